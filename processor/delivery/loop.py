"""The sender's loop: take jobs, wait until they are due, hand them to the HTTP thread, write down what became of them.

One thread owns the consumer and, through the writer, the producer. A job is in exactly one place at any time: in its
topic until the transaction that carries its outcome, its next record and the offset has committed.
"""

from __future__ import annotations

import heapq
import itertools
import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from processor.delivery.clerk import Clerk
from processor.delivery.lanes import JobInHand, Lane, Lanes, State
from processor.delivery.lease import Lease, boot_clock
from processor.delivery.ledger import Entry
from processor.delivery.measure import measure
from processor.delivery.sending import Attempt, Sending
from processor.delivery.tiers import Wait
from processor.delivery.watermark import Watermark
from processor.delivery.writing import COMMIT_EVERY, Writer
from processor.jobs import JobError, JobHeaders, NewerFormat
from processor.kafka.cluster import Cluster
from processor.kafka.consumer import GroupConsumer
from processor.kafka.errors import BrokerUnavailable, FatalKafkaError, TransactionAborted
from processor.kafka.records import Commit, Fetched, InRecord, Position
from processor.kafka.starting import StartingOffsets, metadata_for
from processor.kafka.transaction import TransactionalProducer
from processor.kafka.watch import TopicWatch
from processor.lifecycle import Deadline
from processor.observability.health import RoleChecks
from processor.observability.metrics import Metrics

log = logging.getLogger(__name__)

FETCH = 500

BUSY = 0.01
IDLE = 0.1
"""Seconds a turn may wait for records while there is something in flight, and while there isn't."""

REVOKE_DRAIN = 5.0
"""Seconds that attempts in flight get to end when their partition goes to another sender."""

SETTLE = 2.0
"""Seconds of a drain kept for the last transaction and for leaving the group."""

BREAK_OFF = 1.0
"""Seconds for attempts to come back once they are broken off."""

LOOK_EVERY = 1.0
RECOMMIT_EVERY = 86_400.0
"""Brokers forget offsets after seven days without a commit."""

NEVER = Commit(-1)


@dataclass(frozen=True)
class Parts:
    """What the loop works with; the composition root makes them."""

    jobs_topic: str
    retry_topics: Mapping[str, int]
    """Every retry topic to drain, with its delay in milliseconds."""
    consumer: Callable[[SenderLoop], GroupConsumer]
    producer: TransactionalProducer
    starting: Callable[[Callable[[], GroupConsumer]], StartingOffsets]
    cluster: Cluster
    watch: TopicWatch
    sending: Sending
    clerk: Clerk
    lease: Lease
    max_in_flight: int
    metrics: Metrics
    checks: RoleChecks


class SenderLoop:
    """The loop and, as the group's listener, the owner of all jobs in hand. Everything runs on run()'s thread."""

    def __init__(self, parts: Parts, stop: threading.Event) -> None:
        self._parts = parts
        self._stop = stop
        self._lanes = Lanes()
        self._waiting: list[tuple[int, int, JobInHand]] = []
        self._ready: deque[JobInHand] = deque()
        self._in_flight: set[JobInHand] = set()
        self._order = itertools.count()
        self._look_at = 0.0
        self._prove_at = 0.0
        self._recommit_at = time.monotonic() + RECOMMIT_EVERY
        self._consumer = parts.consumer(self)
        self._starting = parts.starting(lambda: self._consumer)
        self._writer = Writer(
            self._lanes,
            parts.producer,
            self._consumer,
            parts.metrics,
            written=parts.clerk.written,
            stopped=stop.is_set,
        )
        self.status: Mapping[str, object] = {}
        """What /status says; replaced as a whole about once a second."""

    def run(self, deadline: Callable[[], Deadline]) -> None:
        """Work until stopped, then let what is in flight end, write it, and leave the group by `deadline`."""
        parts = self._parts
        try:
            self._claim()
            self._consumer.subscribe([parts.jobs_topic])
            while not self._stop.is_set():
                self._turn()
            self._drain(deadline())
        finally:
            self._consumer.close()
            parts.checks.loop.rest()

    def _claim(self) -> None:
        checks = self._parts.checks
        while not self._stop.is_set():
            checks.loop.beat(time.monotonic())
            try:
                self._parts.producer.prepare(5.0)
            except TransactionAborted as failure:
                checks.broker.failed(str(failure))
                _tell("waiting for the broker", failure)
                continue
            checks.broker.met()
            return

    def _turn(self) -> None:
        self._tick()
        fetched = self._consumer.fetch_soon(FETCH, self._patience(), 0)
        if self._consumer.joined:
            self._parts.checks.group.met()
        self._take(fetched)
        self._collect()
        self._wake()
        self._dispatch()
        self._writer.write_if_due()
        self._steer()
        self._look_around()

    def _tick(self) -> None:
        """Say that the loop turns; after a suspension, prove ownership before anything is sent again."""
        self._parts.checks.loop.beat(time.monotonic())
        began = boot_clock()
        if self._parts.lease.tick(began) or not len(self._lanes) or time.monotonic() < self._prove_at:
            return
        if self._writer.prove():
            self._parts.lease.proved(began)
        else:
            self._prove_at = time.monotonic() + COMMIT_EVERY

    def _patience(self) -> float:
        limit = BUSY if self._in_flight or self._ready else IDLE
        if self._writer.due_at is not None:
            limit = min(limit, self._writer.due_at - time.monotonic())
        if self._waiting:
            limit = min(limit, (self._waiting[0][0] - _now_ms()) / 1000)
        return max(0.0, limit)

    # Taking

    def _take(self, fetched: Fetched) -> None:
        for record in fetched.records:
            lane = self._lanes.get(Position(record.topic() or "", record.partition() or 0))
            if lane is None or lane.blocked is not None:
                continue
            lane.started = True
            if lane.watermark.take(record.offset() or 0):
                self._take_one(lane, record)
        for position, next_offset in fetched.ends:
            if (lane := self._lanes.get(position)) is not None and lane.blocked is None:
                lane.started = True
                lane.end(next_offset)

    def _take_one(self, lane: Lane, record: InRecord) -> None:
        offset = record.offset() or 0
        try:
            headers = JobHeaders.decode(record.headers())
        except NewerFormat as failure:
            lane.blocked = str(failure)
            lane.watermark.untake(offset)
            self._parts.checks.offsets.failed(f"{lane.position}: {failure}")
            _tell("partition stopped", failure, partition=str(lane.position))
            return
        except JobError as failure:
            _tell("a record that is no job goes to the dead letters", failure, at=f"{lane.position}@{offset}")
            lane.watermark.finish(offset)
            lane.changed = True
            self._writer.add(self._parts.clerk.unreadable(lane, record, str(failure), _now_ms()))
            return
        job = JobInHand(lane, offset, record.key(), record.value() or b"", headers, record.timestamp()[1])
        lane.take(job)
        self._schedule(job, _now_ms())

    def _schedule(self, job: JobInHand, now_ms: int) -> None:
        """Send now, wait in memory, or go on in another retry topic."""
        step = self._parts.clerk.next_step(job, now_ms)
        if isinstance(step, Wait):
            job.state = State.WAITING
            heapq.heappush(self._waiting, (step.until_ms, next(self._order), job))
        elif step is None:
            job.state = State.READY
            self._ready.append(job)
        else:
            self._settle(job, step)

    def _wake(self) -> None:
        now_ms = _now_ms()
        while self._waiting and self._waiting[0][0] <= now_ms:
            job = heapq.heappop(self._waiting)[2]
            if not job.gone:
                self._schedule(job, now_ms)

    # Sending

    def _dispatch(self) -> None:
        """Hand ready jobs over while there is room; what must not be sent (yet) is settled or put off."""
        room = self._parts.max_in_flight - len(self._in_flight)
        attempts: list[Attempt] = []
        later: list[JobInHand] = []
        now_ms = _now_ms()
        while self._ready and len(attempts) < room:
            job = self._ready.popleft()
            if job.gone:
                continue
            decided = self._parts.clerk.decide(job, now_ms)
            if decided is None:
                job.state = State.RULES
                later.append(job)
            elif isinstance(decided, Attempt):
                job.state = State.SENDING
                self._in_flight.add(job)
                attempts.append(decided)
            else:
                self._settle(job, decided)
        self._ready.extend(later)
        if attempts:
            self._parts.sending.submit(attempts)

    def _collect(self) -> None:
        for ended in self._parts.sending.collect():
            job = ended.attempt.job
            self._in_flight.discard(job)
            if job.gone:
                continue  # its new owner tries again under the same webhook-id
            if ended.outcome is None:
                job.state = State.READY
                self._ready.appendleft(job)
            else:
                self._settle(job, self._parts.clerk.settle(job, ended.outcome, _now_ms()))

    def _settle(self, job: JobInHand, entry: Entry) -> None:
        job.state = State.FINISHED
        job.lane.finish(job)
        self._writer.add(entry)

    # Steering

    def _steer(self) -> None:
        """Pause partitions whose jobs would only pile up in memory, and resume those that have room again."""
        total = len(self._ready) + len(self._in_flight)
        limit = self._parts.max_in_flight
        pause: list[Position] = []
        resume: list[Position] = []
        for lane in self._lanes:
            busy = total >= (limit // 2 if lane.paused else limit)
            if lane.wants_pause(busy) != lane.paused:
                lane.paused = not lane.paused
                (pause if lane.paused else resume).append(lane.position)
        self._consumer.pause(pause)
        self._consumer.resume(resume)

    def _look_around(self) -> None:
        now = time.monotonic()
        if now < self._look_at:
            return
        self._look_at = now + LOOK_EVERY
        parts = self._parts
        reason = parts.clerk.table_reason()
        parts.checks.table.met() if reason is None else parts.checks.table.failed(reason)
        if now >= self._recommit_at:
            self._recommit_at = now + RECOMMIT_EVERY
            for lane in self._lanes:
                lane.committed, lane.changed = NEVER, True
        if any(lane.changed for lane in self._lanes):
            self._writer.soon()  # ends beyond transaction markers: a drained topic shows no lag
        ids = parts.watch.ids()
        for lane in self._lanes:
            if ids.get(lane.position.topic, lane.topic_id) != lane.topic_id:
                # Starting again reads the new topic from its start; what is in memory belongs to the old one.
                raise FatalKafkaError(f"topic {lane.position.topic} was made again")
        self.status = measure(self._lanes, parts.metrics, self._consumer.end_offset, _now_ms())

    # Ending

    def _drain(self, deadline: Deadline) -> None:
        """Take nothing more; what is in flight ends or is broken off in time for a last transaction."""
        log.info("draining", extra={"fields": {"in_flight": len(self._in_flight)}})
        self._consumer.pause([lane.position for lane in self._lanes])
        while self._in_flight and deadline.remaining() > SETTLE + BREAK_OFF:
            self._parts.checks.loop.beat(time.monotonic())
            self._parts.lease.tick(boot_clock())
            self._consumer.fetch(FETCH, 0.02)  # keeps the membership; what it brings stays in its topic
            self._collect()
            self._writer.write_if_due()
        self._let_go(list(self._lanes), 0.0)

    def _let_go(self, lanes: Sequence[Lane], patience: float) -> None:
        """Give attempts of these lanes `patience` seconds to end, break off the rest, and write what ended."""
        leaving = set(map(id, lanes))
        self._wait_for(leaving, patience)
        self._parts.sending.cancel(self._sent_from(leaving))
        self._wait_for(leaving, BREAK_OFF)
        self._writer.write()

    def _wait_for(self, lanes: set[int], patience: float) -> None:
        until = time.monotonic() + patience
        while self._sent_from(lanes) and time.monotonic() < until:
            time.sleep(0.005)
            self._parts.lease.tick(boot_clock())
            self._collect()
            self._writer.write_if_due()

    def _sent_from(self, lanes: set[int]) -> list[JobInHand]:
        return [job for job in self._in_flight if id(job.lane) in lanes]

    # The group's listener. All of it is called inside fetch() or close(), on the same thread.

    def assigned(self, positions: list[Position]) -> Mapping[Position, int]:
        """Partitions of webhook-jobs, and with each the same number of every retry topic."""
        parts = self._parts
        every = [Position(t, p.partition) for p in positions for t in (p.topic, *parts.retry_topics)]
        starts = None
        while starts is None:
            parts.checks.loop.beat(time.monotonic())
            try:
                starts = self._starting.of(every)
            except BrokerUnavailable as failure:
                parts.checks.offsets.failed(str(failure))
                _tell("starting offsets are not known yet", failure)
                if self._stop.is_set():
                    return {}
        parts.checks.offsets.met()
        for position, start in starts.items():
            watermark = Watermark.restore(start.next_offset, start.rest)
            if watermark.damaged is not None:
                log.warning(
                    "finished jobs of a partition are sent again",
                    extra={"fields": {"partition": str(position), "error": watermark.damaged}},
                )
            committed = Commit(start.next_offset, metadata_for(start.topic_id, start.rest))
            tier_ms = parts.retry_topics.get(position.topic, 0)
            self._lanes.open(Lane(position, start.topic_id, tier_ms, watermark, committed))
        log.info("assigned", extra={"fields": {"partitions": _numbers(positions)}})
        return {position: start.next_offset for position, start in starts.items()}

    def revoked(self, positions: list[Position]) -> Iterable[Position]:
        """Attempts in flight get a moment to end; what ended is written while that is still allowed."""
        log.info("revoked", extra={"fields": {"partitions": _numbers(positions)}})
        lanes = self._lanes.numbered(p.partition for p in positions)
        if lanes:
            self._let_go(lanes, REVOKE_DRAIN)
        return self._close(lanes)

    def lost(self, positions: list[Position]) -> Iterable[Position]:
        """Another sender may have them already: nothing of them may be written or sent."""
        log.warning("lost", extra={"fields": {"partitions": _numbers(positions)}})
        closed = self._close(self._lanes.numbered(p.partition for p in positions))
        self._parts.lease.lost(boot_clock())
        self._parts.sending.cancel(job for job in self._in_flight if job.gone)
        return closed

    def out_of_range(self, position: Position) -> int:
        """Jobs were deleted before they were read: say so, go on with the earliest."""
        low = self._parts.cluster.low_offsets([position])[position]
        lane = self._lanes.get(position)
        expected = low if lane is None else lane.watermark.next_offset
        log.error(
            "jobs were deleted before they were read: going on with the earliest",
            extra={
                "fields": {"partition": str(position), "lost": max(0, low - expected), "next_offset": low}
            },
        )
        if lane is not None:
            lane.watermark.skip_to(low)
            lane.changed = True
        return low

    def _close(self, lanes: Iterable[Lane]) -> list[Position]:
        positions = [lane.position for lane in lanes]
        self._lanes.close(positions)
        self._writer.forget_closed()
        return positions


def _now_ms() -> int:
    return time.time_ns() // 1_000_000


def _numbers(positions: Iterable[Position]) -> list[int]:
    return sorted({p.partition for p in positions})


def _tell(message: str, failure: Exception, **fields: str) -> None:
    log.warning(message, extra={"fields": {**fields, "error": str(failure)}})
