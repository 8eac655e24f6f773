"""A batch goes to Kafka: jobs, dead letters and offsets in one transaction, or none of it."""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping, Sequence
from typing import Protocol

from processor.kafka.errors import (
    FatalKafkaError,
    RecordTooLarge,
    TransactionAborted,
    TransactionFenced,
    TransactionUncertain,
)
from processor.kafka.records import Commit, OutRecord, Position, place_of, position_of
from processor.kafka.starting import metadata_for
from processor.matching.batch import Batch
from processor.matching.judge import Judge
from processor.observability.health import Heartbeat
from processor.observability.metrics import Metrics

log = logging.getLogger(__name__)


class Producer(Protocol):
    """Exactly once or at least once: kafka.transaction or kafka.plain."""

    @property
    def blocked_since(self) -> float | None: ...
    def prepare(self, timeout: float) -> None: ...
    def write(
        self, records: Sequence[OutRecord], offsets: Mapping[Position, Commit], group: object | None, /
    ) -> None: ...


class BatchWriter:
    """Writes batches with the producer it is given; the loop's thread alone calls it."""

    def __init__(self, producer: Producer, judge: Judge, metrics: Metrics, open_since: Heartbeat) -> None:
        """`open_since` is beaten when a transaction begins and put to rest when it has ended."""
        self.producer = producer
        self._judge = judge
        self._metrics = metrics
        self._open_since = open_since

    def write(self, batch: Batch, topic_ids: Mapping[str, str], group: object) -> bool:
        """Write `batch` for the group's generation `group`; blocks for 20 s at most.

        False when it was not written, or when nobody knows: the group's committed offsets tell what counts.
        """
        metrics = self._metrics
        began = time.monotonic()
        self._open_since.beat(began)
        try:
            self._write_what_fits(batch, topic_ids, group)
        except TransactionAborted as failure:
            fenced = isinstance(failure, TransactionFenced)
            metrics.transactions["matcher", "fenced" if fenced else "aborted"].inc()
            _tell_back("transaction aborted: going back to the committed offsets", failure)
            return False
        except TransactionUncertain as failure:
            metrics.transactions["matcher", "uncertain"].inc()
            _tell_back("transaction in doubt: going on from the committed offsets", failure)
            return False
        finally:
            self._open_since.rest()
            metrics.transaction_duration["matcher"].observe(time.monotonic() - began)
        self._count(batch)
        return True

    def _write_what_fits(self, batch: Batch, topic_ids: Mapping[str, str], group: object) -> None:
        """Write the batch; an event whose jobs are too large for their topic is dead-lettered."""
        while True:
            commits = {
                p: Commit(offset, metadata_for(topic_ids[p.topic]))
                for p, offset in batch.next_offsets.items()
            }
            try:
                self.producer.write(batch.records, commits, group)
                return
            except RecordTooLarge as too_large:
                refused, event = batch.records[too_large.index], batch.event_of(too_large.index)
                letter = self._judge.too_large(event, position_of(event), refused)
                if letter == refused:  # a few hundred bytes
                    raise FatalKafkaError(str(too_large)) from None
                log.warning(
                    "event went to the dead letters without its value",
                    extra={"fields": {"event": place_of(event), "reason": str(too_large)}},
                )
                batch.replace_event_of(too_large.index, letter)

    def _count(self, batch: Batch) -> None:
        metrics = self._metrics
        metrics.transactions["matcher", "committed"].inc()
        for outcome, count in batch.outcomes.items():
            if count:
                metrics.events[outcome].inc(count)
        if batch.repaired:
            metrics.events_repaired.inc(batch.repaired)
        if batch.wrong_types:
            metrics.event_fields_wrong_type.inc(batch.wrong_types)
        if jobs := batch.jobs():
            metrics.jobs.inc(jobs)
            now_ms = time.time() * 1000
            metrics.event_to_job.observe_many(max(0.0, now_ms - at) / 1000 for at in batch.hit_times_ms())


def _tell_back(message: str, failure: Exception) -> None:
    log.warning(message, extra={"fields": {"error": str(failure)}})
