"""A group member that owns its partitions until they are revoked or lost (cooperative-sticky, KIP-429).

One thread owns it. Offsets are never committed by the client on its own and never chosen by it: the listener
says where each partition starts, and it may add partitions of other topics (co-assignment) that live and die
with the assigned ones.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterable, Mapping
from typing import Any, Protocol

from confluent_kafka import Consumer, KafkaError, KafkaException, Message, TopicPartition

from processor.kafka.access import denied
from processor.kafka.errors import (
    BrokerUnavailable,
    FatalKafkaError,
    Kind,
    MembershipLost,
    NotAllowed,
    classify,
    error_of,
    not_a_member,
    unauthorized,
)
from processor.kafka.records import Commit, Fetched, InRecord, Position

log = logging.getLogger(__name__)

SESSION_TIMEOUT = 6.0
HEARTBEAT_INTERVAL = 1.5
"""Seconds; a member that is killed loses its partitions after the former."""


class RebalanceListener(Protocol):
    """Told of rebalances, always on the thread that called fetch() or close(), inside that call.

    An exception raised here comes out of fetch().
    """

    def assigned(self, positions: list[Position]) -> Mapping[Position, int] | None:
        """New partitions. Answers the next offset of each one to fetch, co-assigned partitions included.

        None when it can't be told: the member leaves the group with the next fetch() and joins it again, so
        that the others don't wait for it.
        """
        ...

    def revoked(self, positions: list[Position]) -> Iterable[Position]:
        """Partitions that go to another member after this call; commits are still valid within it.

        Answers everything that is no longer to be fetched, co-assigned partitions included.
        """
        ...

    def lost(self, positions: list[Position]) -> Iterable[Position]:
        """Partitions that another member may own already: nothing of them may be committed."""
        ...


class GroupConsumer:
    """A consumer group member. `config` is librdkafka's, without the properties set here."""

    def __init__(
        self,
        config: Mapping[str, Any],
        group_id: str,
        instance_id: str | None,
        listener: RebalanceListener,
        *,
        fetch_bytes: int = 1_048_576,
        fetch_wait_ms: int = 500,
    ) -> None:
        """fetch_bytes: per partition and fetch; fetch_wait_ms: how long a broker holds an empty fetch.

        While it does, a partition that is resumed waits: there is one fetch at a time for all of a broker's.
        """
        own: dict[str, Any] = {
            **config,
            "group.id": group_id,
            "partition.assignment.strategy": "cooperative-sticky",
            "isolation.level": "read_committed",
            "enable.auto.commit": False,
            "enable.auto.offset.store": False,
            "auto.offset.reset": "error",
            "enable.partition.eof": True,
            "session.timeout.ms": int(SESSION_TIMEOUT * 1000),
            "heartbeat.interval.ms": int(HEARTBEAT_INTERVAL * 1000),
            "max.partition.fetch.bytes": fetch_bytes,
            "fetch.wait.max.ms": fetch_wait_ms,
            # New partitions, and topics that were made again, are seen within this time.
            "topic.metadata.refresh.interval.ms": 5_000,
            # The default of 1,000 ms stalls a consumer whenever its local queue has been full.
            "fetch.queue.backoff.ms": 2,
            "queued.max.messages.kbytes": 16_384,
        }
        if instance_id is not None:
            own["group.instance.id"] = instance_id
        self._consumer = Consumer(own, logger=log)
        self._group_id = group_id
        self._listener = listener
        self._owned: set[Position] = set()
        self._floor: dict[Position, int] = {}
        self._last_complaint = 0.0
        self._topics: list[str] = []
        self._join_again = False
        self.joined = False
        """True once the group gave this member an assignment, an empty one included."""

    def subscribe(self, topics: list[str]) -> None:
        """Join the group; the listener is called from later fetch() calls."""
        self._topics = topics
        self._consumer.subscribe(
            topics, on_assign=self._on_assign, on_revoke=self._on_revoke, on_lost=self._on_lost
        )

    def fetch(self, max_records: int, timeout: float) -> Fetched:
        """Up to `max_records`, waiting at most `timeout` seconds; serves rebalances meanwhile.

        Raises FatalKafkaError when the member can't go on, and whatever a listener raised.
        """
        self._join_again_if_needed()
        return self._sort(self._consumer.consume(max_records, timeout))

    def fetch_soon(self, max_records: int, timeout: float, linger: float) -> Fetched:
        """Like fetch(), but returns `linger` seconds after the first record: it doesn't wait for a full
        batch.
        """
        self._join_again_if_needed()
        first = self._consumer.poll(timeout)
        if first is None:
            return Fetched((), ())
        return self._sort([first, *self._consumer.consume(max_records - 1, linger)])

    def pause(self, positions: Iterable[Position]) -> None:
        """Stop fetching these partitions; what was fetched ahead of it is dropped and fetched again later."""
        if chosen := self._held(positions):
            self._consumer.pause(chosen)

    def resume(self, positions: Iterable[Position]) -> None:
        """Fetch these partitions again, from where the last fetch() left off."""
        if chosen := self._held(positions):
            self._consumer.resume(chosen)

    def seek(self, position: Position, next_offset: int) -> None:
        """Go on at `next_offset`. Not to be called from a listener.

        Raises BrokerUnavailable when the partition can't be moved yet (it has only just been assigned).
        """
        if position not in self._owned:
            return
        try:
            self._consumer.seek(TopicPartition(position.topic, position.partition, next_offset))
        except KafkaException as failure:
            raise BrokerUnavailable(f"no seek in {position}: {error_of(failure).str()}") from None
        self._floor[position] = next_offset

    def committed(
        self, positions: Iterable[Position], timeout: float = 10.0
    ) -> dict[Position, Commit | None]:
        """What the group has committed; waits for open transactions on these offsets (KIP-447).

        Raises BrokerUnavailable when no answer came in time.
        """
        asked = [TopicPartition(p.topic, p.partition) for p in positions]
        deadline = time.monotonic() + timeout
        while True:
            try:
                answers = self._consumer.committed(asked, max(0.1, deadline - time.monotonic()))
                failed = next((a.error for a in answers if a.error is not None), None)
                if failed is None:
                    break
                error = failed
            except KafkaException as failure:
                error = error_of(failure)
            if classify(error) is Kind.FATAL:
                raise FatalKafkaError(f"committed offsets can't be read: {error.str()}")
            if time.monotonic() > deadline:
                raise BrokerUnavailable(f"committed offsets can't be read: {error.str()}")
            time.sleep(0.05)
        return {
            Position(a.topic, a.partition): Commit(a.offset, a.metadata or "") if a.offset >= 0 else None
            for a in answers
        }

    def commit(self, commits: Mapping[Position, Commit]) -> None:
        """Commit outside a transaction, and wait for the answer.

        Raises BrokerUnavailable when it was refused, MembershipLost when no repetition would help.
        """
        listed = [TopicPartition(p.topic, p.partition, c.next_offset, c.metadata) for p, c in commits.items()]
        if not listed:
            return
        try:
            answers = self._consumer.commit(offsets=listed, asynchronous=False)
        except KafkaException as failure:
            raise _not_committed(error_of(failure)) from None
        for answer in answers:
            if answer.error is not None:
                raise _not_committed(answer.error)

    def group_metadata(self) -> object:
        """The member's generation as of now, which fences the transaction it is given to."""
        return self._consumer.consumer_group_metadata()

    def end_offset(self, position: Position) -> int | None:
        """The last known end of a partition (what a read_committed reader may see), without asking the
        broker.
        """
        try:
            _, high = self._consumer.get_watermark_offsets(
                TopicPartition(position.topic, position.partition), cached=True
            )
        except KafkaException:
            return None
        return high if high >= 0 else None

    @property
    def owned(self) -> frozenset[Position]:
        """Everything fetched now, co-assigned partitions included."""
        return frozenset(self._owned)

    def close(self) -> None:
        """Leave the group; revokes what is owned through the listener."""
        self._consumer.close()

    def _held(self, positions: Iterable[Position]) -> list[TopicPartition]:
        return [TopicPartition(p.topic, p.partition) for p in positions if p in self._owned]

    def _join_again_if_needed(self) -> None:
        if self._join_again:
            self._join_again = False
            log.warning("leaving the group, to join it again")
            self._consumer.unsubscribe()
            self.subscribe(self._topics)

    def _sort(self, messages: list[Message]) -> Fetched:
        # Nearly always there is nothing to sort, and what is done for each record counts.
        if not self._floor and not [message for message in messages if message.error() is not None]:
            return Fetched(messages, ())
        records: list[InRecord] = []
        ends: list[tuple[Position, int]] = []
        for message in messages:
            error = message.error()
            if error is None:
                if not (self._floor and self._is_stale(message)):
                    records.append(message)
            elif error.code() == KafkaError._PARTITION_EOF:
                end = Position(str(message.topic()), int(message.partition() or 0))
                ends.append((end, int(message.offset() or 0)))
                self._floor.pop(end, None)
            elif error.code() == KafkaError._AUTO_OFFSET_RESET:
                # The offset to fetch doesn't exist. Fetching has stopped, and a seek() can't start it again;
                # assigned() sees what there is to read instead.
                self._join_again = True
                log.warning("out of range", extra={"fields": {"error": error.str()}})
            else:
                self._complain(error)
        return Fetched(records, ends)

    def _is_stale(self, message: Message) -> bool:
        """Records from before a seek() may still be in the client's queue.

        None comes behind the first that is not, or behind an end: so it isn't asked for longer.
        """
        position = Position(str(message.topic()), int(message.partition() or 0))
        least = self._floor.get(position)
        if least is None:
            return False
        if int(message.offset() or 0) < least:
            return True
        del self._floor[position]
        return False

    def _complain(self, error: KafkaError) -> None:
        if unauthorized(error) == "group":
            raise NotAllowed(denied("Read", "group", self._group_id))
        if classify(error) is Kind.FATAL:
            raise FatalKafkaError(f"the consumer can't go on: {error.str()}")
        now = time.monotonic()
        if now - self._last_complaint > 10:  # librdkafka repeats itself while a broker is away
            self._last_complaint = now
            log.warning("kafka", extra={"fields": {"error": error.str()}})

    def _on_assign(self, consumer: Consumer, partitions: list[TopicPartition]) -> None:
        positions = [Position(p.topic, p.partition) for p in partitions]
        starts = self._listener.assigned(positions)
        if starts is None:
            self._join_again = True
            consumer.incremental_assign([])
            return
        self._floor.update(starts)
        self._owned.update(starts)
        consumer.incremental_assign([TopicPartition(p.topic, p.partition, at) for p, at in starts.items()])
        self.joined = True

    def _on_revoke(self, consumer: Consumer, partitions: list[TopicPartition]) -> None:
        positions = [Position(p.topic, p.partition) for p in partitions]
        self._drop(consumer, self._listener.revoked(positions))

    def _on_lost(self, consumer: Consumer, partitions: list[TopicPartition]) -> None:
        positions = [Position(p.topic, p.partition) for p in partitions]
        self._drop(consumer, self._listener.lost(positions))

    def _drop(self, consumer: Consumer, gone: Iterable[Position]) -> None:
        dropped = [p for p in gone if p in self._owned]
        self._owned.difference_update(dropped)
        for position in dropped:
            self._floor.pop(position, None)
        listed = [TopicPartition(p.topic, p.partition) for p in dropped]
        # The client remembers a pause beyond the assignment: a partition that came back would never be read.
        consumer.resume(listed)
        consumer.incremental_unassign(listed)


def _not_committed(error: KafkaError) -> BrokerUnavailable | MembershipLost:
    kind = MembershipLost if not_a_member(error) else BrokerUnavailable
    return kind(f"offsets not committed: {error.str()}")
