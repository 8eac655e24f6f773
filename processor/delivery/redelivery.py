"""Puts dead jobs back into the job topic, each death once, whoever asks and however often.

Everybody who does that claims the same transactional id, and the broker fences whoever claimed it before. So:
claim it, read the dead topic to its end, decide, and write the jobs with their markers (dead.py). When
somebody else came in between, the write fails, and reading goes on from where it had got to: his markers are
there then. A write whose answer was lost is looked for in the same way.

`again` puts back what was put back before. A job must never be in two places, so it is left alone while it
still waits somewhere: that is asked after the claim, when nobody else can put it back, and before the dead
topic is read once more, so that a job that dies meanwhile is met there.
"""

from __future__ import annotations

import logging
import random
import secrets
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from processor.delivery.dead import DeadLetter, DeadLetters, PutBack, Selection, read_dead
from processor.delivery.decide import Cancel, decide
from processor.delivery.lookup import Lookup
from processor.jobs import JobRecordError
from processor.kafka.cluster import Cluster
from processor.kafka.config import client_config
from processor.kafka.errors import (
    BrokerUnavailable,
    RecordTooLarge,
    TransactionAborted,
    TransactionUncertain,
)
from processor.kafka.fencing import FencingIsNoAlarm
from processor.kafka.readiness import largest_record
from processor.kafka.records import InRecord, Position, headers_of
from processor.kafka.scan import Stretch, stretches
from processor.kafka.transaction import TransactionalProducer
from processor.lifecycle import Deadline
from processor.rules.table import RuleSnapshot
from processor.settings import Settings

log = logging.getLogger(__name__)

TRANSACTIONAL_ID: Final = "redeliver"
"""With the topics' prefix: one for everybody, which is what keeps them apart."""

CHUNK: Final = 1_000
CHUNK_BYTES: Final = 8 << 20
"""A transaction holds at most this much."""

_HEADROOM = 128  # bytes of a topic's limit that a batch's framing takes
_CLOCKS_MS = 600_000  # by which a dead record's timestamp may lie before the time it says


@dataclass(frozen=True, slots=True)
class Row:
    """What became of so many dead jobs of a rule.

    action: `redelivered`, and then `reason` is what they had died of; or `skipped`, with the reason for that.
    rule_id: None where a record doesn't tell.
    """

    action: str
    rule_id: int | None
    reason: str
    jobs: int


@dataclass(frozen=True, slots=True)
class Order:
    """What somebody wants put back. again: even what was put back before. dry_run: only say what would be."""

    selection: Selection
    again: bool = False
    dry_run: bool = False


class Redelivery:
    """One run; a thread of its own isn't needed, everything blocks."""

    def __init__(
        self,
        settings: Settings,
        cluster: Cluster,
        rules: RuleSnapshot,
        order: Order,
        *,
        timeout: timedelta,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """`rules`: jobs that these would cancel stay dead. `timeout`: how long to wait for a broker."""
        self._topics = settings.topics
        self._cluster = cluster
        self._rules = rules
        self._order = order
        self._timeout = timeout
        self._clock = clock
        self._lookup = Lookup(settings, cluster, timeout)
        self._letters = DeadLetters(order.selection)
        self._next: dict[Position, int] = {}
        self._done: set[str] = set()
        self._write_id = secrets.token_hex(8)
        self._doubt: list[PutBack] = []
        self._put_back: Counter[tuple[int, str]] = Counter()
        self._skipped: Counter[tuple[int | None, str]] = Counter()
        self._deadline = Deadline(timeout)
        self._config = client_config(settings.kafka, settings.topics.name(TRANSACTIONAL_ID))

    def run(self) -> list[Row]:
        """Put back what can be; one row per action, rule and reason, empty when nothing at all was found.

        Raises BrokerUnavailable when no broker answered in time, FatalKafkaError for missing topics or
        rights; what had been put back until then stays so.
        """
        self._catch_up()  # before the claim: whoever else is at it has time to finish
        if self._order.dry_run:
            self._work(self._count)
            return self._rows()
        limit = largest_record([self._topics.jobs, self._topics.dead], self._cluster, _HEADROOM)
        producer = TransactionalProducer(
            {**self._config, "message.max.bytes": limit}, self._topics.name(TRANSACTIONAL_ID)
        )
        quiet = FencingIsNoAlarm(self._topics.name(TRANSACTIONAL_ID))
        quiet.install()
        try:
            self._until_done(producer)
        finally:
            producer.discard()
            quiet.remove()
        return self._rows()

    def _until_done(self, producer: TransactionalProducer) -> None:
        self._deadline = Deadline(self._timeout)
        while True:
            try:
                producer.prepare(max(0.1, self._deadline.remaining()))
                self._work(lambda chunk: self._write(producer, chunk))
                return
            except (TransactionAborted, TransactionUncertain) as failure:
                producer.discard()
                if self._deadline.expired:
                    raise BrokerUnavailable(f"jobs could not be put back in time: {failure}") from None
                log.debug("redelivery begins anew", extra={"fields": {"reason": str(failure)}})
                # Two that take the claim from each other in turn must not go on doing so.
                time.sleep(random.uniform(0.01, 0.3))

    def _work(self, put_back: Callable[[list[PutBack]], None]) -> None:
        """Choose, read the chosen records again, and hand them over in chunks."""
        again = self._order.again
        waiting = self._waiting() if again else frozenset()
        self._catch_up()
        self._settle_doubt()
        self._skipped = Counter(self._letters.unusable)
        chosen = self._chosen(waiting)
        made = self._made(chosen) if again else {}
        self._deadline = Deadline(self._timeout)
        chunk: list[PutBack] = []
        size = 0
        for job_id, letter, record in self._records(chosen):
            job = self._judged(job_id, letter, record, made.get(job_id, 0))
            if job is None:
                continue
            chunk.append(job)
            size += len(job.body)
            if len(chunk) >= CHUNK or size >= CHUNK_BYTES:
                put_back(chunk)
                chunk, size = [], 0
        if chunk:
            put_back(chunk)

    def _catch_up(self) -> None:
        """Read the dead topic to its end, from where the last time ended."""
        since = self._order.selection.since_ms
        whole = stretches(
            self._cluster,
            self._topics.dead,
            since_ms=max(0, since - _CLOCKS_MS) if since else None,
            timeout=self._timeout.total_seconds(),
        )
        rest = [Stretch(p, max(start, self._next.get(p, 0)), end) for p, start, end in whole]
        self._lookup.dead(self._letters, self._order.selection, rest)
        self._next |= {p: max(start, end) for p, start, end in rest}

    def _waiting(self) -> frozenset[str]:
        """Which of the jobs that were put back still wait somewhere."""
        letters = self._letters
        ids = {job_id for job_id, letter in letters.latest().items() if letters.is_put_back(job_id, letter)}
        found = self._lookup.waiting(ids, self._order.selection) if ids else ()
        return frozenset(waiting.job_id for waiting in found)

    def _settle_doubt(self) -> None:
        """Of the write whose answer was lost: the markers tell."""
        put_back = self._letters.is_put_back_by
        self._count(job for job in self._doubt if put_back(job.job.job_id, self._write_id))
        self._doubt = []

    def _chosen(self, waiting: frozenset[str]) -> dict[str, DeadLetter]:
        chosen = {}
        for job_id, letter in self._letters.latest().items():
            if job_id in self._done:
                continue
            if not self._letters.is_put_back(job_id, letter):
                chosen[job_id] = letter
            elif not self._order.again:
                self._skip(letter, "was put back before")
            elif job_id in waiting:
                self._skip(letter, "was put back before and still waits")
            else:
                chosen[job_id] = letter
        return chosen

    def _made(self, chosen: Mapping[str, DeadLetter]) -> dict[str, int]:
        """The last attempt of each as far as the audit trail tells: there may be some since the death."""
        made: dict[str, int] = {}
        for record in self._lookup.trails(chosen) if chosen else ():
            if record.attempted:
                made[record.job_id] = max(record.attempt, made.get(record.job_id, 0))
        return made

    def _records(self, chosen: Mapping[str, DeadLetter]) -> Iterator[tuple[str, DeadLetter, InRecord]]:
        """The dead records of these jobs, once more, this time with their bodies."""
        by_partition: dict[int, dict[int, str]] = {}
        for job_id, letter in chosen.items():
            by_partition.setdefault(letter.partition, {})[letter.offset] = job_id
        for partition, offsets in sorted(by_partition.items()):
            position = Position(self._topics.dead, partition)
            for record in self._lookup.read([Stretch(position, min(offsets), max(offsets) + 1)]):
                if (offset := record.offset() or 0) in offsets:
                    job_id = offsets.pop(offset)
                    yield job_id, chosen[job_id], record
            for job_id in offsets.values():
                self._skip(chosen[job_id], "is gone from the dead topic meanwhile")

    def _judged(self, job_id: str, letter: DeadLetter, record: InRecord, made: int) -> PutBack | None:
        try:
            job = read_dead(headers_of(record))
        except JobRecordError as failure:  # the topic was made again while it was read
            self._skip(letter, str(failure))
            return None
        again = PutBack(
            key=record.key(),
            body=record.value() or b"",
            job=job,
            dead=Position(self._topics.dead, letter.partition),
            offset=letter.offset,
            attempt=max(letter.attempt, made) + 1,
            redelivered=max(letter.redelivered, self._letters.times_put_back(job_id)) + 1,
            reason=letter.reason,
        )
        now_ms = self._now_ms()
        decision = decide(self._rules, again.again(now_ms), now_ms)
        if isinstance(decision, Cancel):
            self._skip(letter, f"its rule is {decision.reason}: it would be cancelled")
            return None
        return again

    def _write(self, producer: TransactionalProducer, chunk: list[PutBack]) -> None:
        while chunk:
            now_ms = self._now_ms()
            records = [r for job in chunk for r in job.records(self._topics.jobs, now_ms, self._write_id)]
            try:
                producer.write(records, {}, None)
            except RecordTooLarge as failure:
                job = chunk.pop(failure.index // 2)
                self._skipped[job.job.rule_id, f"is larger than {self._topics.jobs} takes"] += 1
                continue
            except TransactionUncertain:
                self._doubt = chunk
                raise
            break
        self._count(chunk)
        self._deadline = Deadline(self._timeout)
        log.info("dead jobs put back", extra={"fields": {"jobs": len(chunk)}})

    def _count(self, chunk: Iterable[PutBack]) -> None:
        for job in chunk:
            self._done.add(job.job.job_id)
            self._put_back[job.job.rule_id, job.reason] += 1

    def _skip(self, letter: DeadLetter, why: str) -> None:
        self._skipped[letter.rule_id, why] += 1

    def _rows(self) -> list[Row]:
        done = [Row("redelivered", rule, reason, jobs) for (rule, reason), jobs in self._put_back.items()]
        skipped = [Row("skipped", rule, reason, jobs) for (rule, reason), jobs in self._skipped.items()]
        return sorted([*done, *skipped], key=lambda row: (row.action, row.rule_id or 0, row.reason))

    def _now_ms(self) -> int:
        return int(self._clock() * 1000)
