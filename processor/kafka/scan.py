"""Reads stretches of topics, or follows them, without a group: for commands that look things up.

read_committed throughout. A stretch's end is taken with read_uncommitted, so that it lies behind everything
that was acknowledged, and reading goes on until the transactions that were open there have ended.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence
from types import TracebackType
from typing import Any, NamedTuple, Self

from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition

from processor.kafka.access import denied
from processor.kafka.cluster import TIMEOUT, Cluster
from processor.kafka.errors import (
    BrokerUnavailable,
    FatalKafkaError,
    Kind,
    NotAllowed,
    classify,
    error_of,
    unauthorized,
)
from processor.kafka.records import Fetched, InRecord, Position, position_of

log = logging.getLogger(__name__)

BATCH = 2_000
LOOK_EVERY = 10.0
"""Seconds between looks for partitions that were added."""

_POLL = 0.2


class Stretch(NamedTuple):
    """The records of one partition from `start` to before `end`."""

    position: Position
    start: int
    end: int


def stretches(
    cluster: Cluster,
    topic: str,
    *,
    partitions: Iterable[int] | None = None,
    since_ms: int | None = None,
    committed: bool = False,
    timeout: float = TIMEOUT,
) -> list[Stretch]:
    """What a topic holds now, as one stretch per partition, empty ones included.

    partitions: only these numbers (None: all). since_ms: from the first record whose timestamp is as late
    (ms since 1970). committed: up to the first transaction that is open, so that reading waits for none.
    Raises BrokerUnavailable after `timeout` seconds, FatalKafkaError when there is no such
    topic.
    """
    deadline = time.monotonic() + timeout
    info = cluster.topic(topic, timeout=timeout)
    if info is None:
        raise FatalKafkaError(f"topic {topic} is missing: run `tocsin topics apply`")
    numbers = range(info.partitions) if partitions is None else partitions
    positions = [Position(topic, number) for number in numbers]
    left = max(0.1, deadline - time.monotonic())
    if since_ms is None:
        starts = cluster.low_offsets(positions, timeout=left)
    else:
        starts = cluster.offsets_for_time(positions, since_ms, timeout=left)
    # Only now, so that no start lies behind its end (but for one within a transaction that is open).
    left = max(0.1, deadline - time.monotonic())
    ends = cluster.end_offsets(positions, committed=committed, timeout=left)
    return [Stretch(one, starts[one], max(starts[one], ends[one])) for one in positions]


def cut(wanted: Iterable[Stretch], start: int | None, end: int | None) -> list[Stretch]:
    """The part of each stretch from offset `start` to before `end`; None is no limit."""
    return [
        Stretch(
            one.position,
            one.start if start is None else min(max(one.start, start), one.end),
            one.end if end is None else max(one.start, min(one.end, end)),
        )
        for one in wanted
    ]


def read(
    config: Mapping[str, Any], wanted: Sequence[Stretch], *, patience: float = TIMEOUT
) -> Iterator[Sequence[InRecord]]:
    """The records of these stretches, in batches; in order within a partition, mixed between them.

    config: librdkafka's properties. Ends when all ends are reached; raises BrokerUnavailable when nothing
    came for `patience` seconds, so a large topic may take its time. Records that are gone meanwhile
    (retention) are passed over.
    """
    ends = {stretch.position: stretch.end for stretch in wanted if stretch.start < stretch.end}
    if not ends:
        return
    starts = {stretch.position: stretch.start for stretch in wanted}
    with Reader(config) as reader:
        reader.add({position: starts[position] for position in ends})
        moved = time.monotonic()
        while ends:
            fetched = reader.fetch(BATCH, _POLL)
            records, reached = _within(fetched, ends)
            reader.drop(reached)
            for position in reached:
                del ends[position]
            if fetched.records or fetched.ends:
                moved = time.monotonic()
            elif time.monotonic() - moved > patience:
                where = ", ".join(f"{position}@{end}" for position, end in sorted(ends.items())[:3])
                raise BrokerUnavailable(f"not read to the end ({where}) in time")
            if records:
                yield records


def follow(
    config: Mapping[str, Any], cluster: Cluster, starts: Mapping[Position, int]
) -> Generator[Sequence[InRecord], None, None]:
    """The records behind these offsets as they come, without end; an empty batch about every second.

    Partitions that are added to the topics are followed from their start.
    """
    known = dict(starts)
    look_at = time.monotonic() + LOOK_EVERY
    with Reader(config) as reader:
        reader.add(known)
        while True:
            yield reader.fetch(BATCH, 1.0).records
            if time.monotonic() >= look_at:
                look_at = time.monotonic() + LOOK_EVERY
                added = {position: 0 for position in _positions(cluster, known) if position not in known}
                reader.add(added)
                known |= added


def _positions(cluster: Cluster, known: Iterable[Position]) -> list[Position]:
    try:
        topics = cluster.topics({position.topic for position in known}, timeout=2.0).values()
    except BrokerUnavailable:
        return []
    return [Position(topic.name, number) for topic in topics for number in range(topic.partitions)]


def _within(fetched: Fetched, ends: Mapping[Position, int]) -> tuple[list[InRecord], set[Position]]:
    """The records below their partition's end, and the partitions that have reached it."""
    records: list[InRecord] = []
    reached: set[Position] = set()
    for record in fetched.records:
        position, next_offset = position_of(record), (record.offset() or 0) + 1
        end = ends.get(position)
        if end is None:
            continue  # fetched ahead before it was dropped
        if next_offset <= end:
            records.append(record)
        if next_offset >= end:
            reached.add(position)
    reached.update(position for position, at in fetched.ends if position in ends and at >= ends[position])
    return records, reached


class Reader:
    """A consumer without a group, one thread's; a context manager. `config` is librdkafka's."""

    def __init__(self, config: Mapping[str, Any]) -> None:
        self._consumer = Consumer(
            {
                **config,
                # Required by the client, never used: partitions are assigned by hand, nothing is committed.
                "group.id": f"{config.get('client.id', 'tocsin')}.reader",
                "isolation.level": "read_committed",
                "enable.auto.commit": False,
                "enable.auto.offset.store": False,
                # Only retention can put a start out of range.
                "auto.offset.reset": "earliest",
                "enable.partition.eof": True,
                # An end behind a commit marker is seen with the next empty answer, half a second by default.
                "fetch.wait.max.ms": 50,
                "fetch.queue.backoff.ms": 2,
                "queued.max.messages.kbytes": 65_536,
            },
            logger=log,
        )

    def add(self, starts: Mapping[Position, int]) -> None:
        """Read these partitions too, each from its next offset."""
        if added := [TopicPartition(p.topic, p.partition, at) for p, at in starts.items()]:
            self._consumer.incremental_assign(added)

    def drop(self, positions: Iterable[Position]) -> None:
        """Read these no longer; what was fetched ahead of them may still come."""
        if dropped := [TopicPartition(p.topic, p.partition) for p in positions]:
            self._consumer.incremental_unassign(dropped)

    def fetch(self, max_records: int, timeout: float) -> Fetched:
        """What there is, waiting up to `timeout` seconds for the first; raises FatalKafkaError."""
        try:
            first = self._consumer.poll(timeout)
            messages = [] if first is None else [first, *self._consumer.consume(max_records - 1, 0)]
        except KafkaException as failure:
            raise FatalKafkaError(f"records can't be read: {error_of(failure).str()}") from None
        records: list[InRecord] = []
        ends: list[tuple[Position, int]] = []
        for message in messages:
            error = message.error()
            if error is None:
                records.append(message)
            elif error.code() == KafkaError._PARTITION_EOF:
                ends.append((position_of(message), message.offset() or 0))
            elif unauthorized(error) == "group":
                pass  # the client looks for the coordinator of every group id, and this one has no group
            elif unauthorized(error) == "topic":
                raise NotAllowed(denied("Read", "topic", str(message.topic())))
            elif classify(error) is Kind.FATAL:
                raise FatalKafkaError(f"records can't be read: {error.str()}")
            else:
                log.debug("kafka", extra={"fields": {"error": error.str()}})
        return Fetched(records, ends)

    def close(self) -> None:
        """Close the connections."""
        self._consumer.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
