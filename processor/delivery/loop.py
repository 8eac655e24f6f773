"""The sender's loop: take jobs, have them sent when they are due, write what became of them.

One thread owns the consumer and, through the writer, the producer. A job is in exactly one place at any time:
in its topic until the transaction that carries its outcome, its next record and the offset has committed.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from processor.delivery.admission import Admission
from processor.delivery.clerk import Clerk
from processor.delivery.clock import steady_ms, wall_ms
from processor.delivery.dispatch import Dispatch
from processor.delivery.lanes import BATCH, Lane, Lanes
from processor.delivery.lease import Lease, boot_clock
from processor.delivery.measure import measure
from processor.delivery.ownership import JobTopics, Ownership, numbers
from processor.delivery.sending import Sending
from processor.delivery.writing import COMMIT_EVERY, Writer
from processor.jobs import JobError, NewerFormat
from processor.kafka.cluster import Cluster
from processor.kafka.consumer import GroupConsumer
from processor.kafka.errors import FatalKafkaError, TransactionAborted
from processor.kafka.records import Commit, Fetched, InRecord, Position, place_of, position_of
from processor.kafka.starting import StartingOffsets
from processor.kafka.transaction import TransactionalProducer
from processor.kafka.watch import TopicWatch
from processor.lifecycle import Deadline
from processor.observability.health import RoleChecks
from processor.observability.metrics import Metrics

log = logging.getLogger(__name__)

FLOWING = 0.002
BUSY = 0.01
IDLE = 0.1
"""Seconds a turn may wait: while jobs wait for the places of attempts that end, while there is something in
flight, and while there isn't."""

LUMP = 100
"""Records that there should be room for before more are fetched, while there are others to send.

Small fetches cost as much as large ones.
"""

SERVE_EVERY = 0.05
"""Seconds after which the consumer is asked all the same: for the group, and for retries that are due."""

STUCK = 0.25
"""Seconds without room for more, after which the partitions are paused.

Not at once: what the client has fetched ahead is dropped then, and fetched once more when they are resumed.
"""

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
NOTHING = Fetched((), ())


@dataclass(frozen=True)
class Parts:
    """What the loop works with; the composition root makes them."""

    topics: JobTopics
    consumer: Callable[[SenderLoop], GroupConsumer]
    producer: TransactionalProducer
    starting: Callable[[Callable[[], GroupConsumer]], StartingOffsets]
    cluster: Cluster
    watch: TopicWatch
    sending: Sending
    clerk: Clerk
    admission: Admission
    lease: Lease
    max_in_flight: int
    metrics: Metrics
    checks: RoleChecks


class SenderLoop:
    """The loop and, as the group's listener, the owner of all jobs in hand; for the thread of run() alone."""

    def __init__(self, parts: Parts, stop: threading.Event) -> None:
        self._parts = parts
        self._stop = stop
        self._lanes = Lanes()
        self._look_at = 0.0
        self._prove_at = 0.0
        self._serve_at = 0.0
        self._had_room_at = time.monotonic()
        self._stuck = False
        self._recommit_at = time.monotonic() + RECOMMIT_EVERY
        self._consumer = parts.consumer(self)
        self._ownership = Ownership(
            parts.topics,
            self._lanes,
            parts.starting(lambda: self._consumer),
            parts.cluster,
            parts.checks.offsets,
        )
        self._writer = Writer(
            self._lanes,
            parts.producer,
            self._consumer,
            parts.metrics,
            parts.checks,
            written=parts.clerk.reports.written,
            stopped=stop.is_set,
        )
        self._dispatch = Dispatch(
            parts.clerk, parts.admission, parts.sending, self._writer, parts.max_in_flight
        )
        self.status: Mapping[str, object] = {}
        """What /status says; replaced as a whole about once a second."""

    def run(self, deadline: Callable[[], Deadline]) -> None:
        """Work until stopped, then let what is in flight end, write it, and leave the group by `deadline`."""
        parts = self._parts
        try:
            self._claim()
            self._consumer.subscribe([parts.topics.jobs])
            while not self._stop.is_set():
                self._turn()
            self._drain(deadline())
        finally:
            self._consumer.close()
            parts.clerk.reports.flush()
            parts.checks.loop.rest()

    def _claim(self) -> None:
        checks = self._parts.checks
        while not self._stop.is_set():
            self._alive()
            try:
                self._parts.producer.prepare(5.0)
            except TransactionAborted as failure:
                checks.broker.failed(str(failure))
                _tell("waiting for the broker", failure)
                continue
            checks.broker.met()
            return

    def _turn(self) -> None:
        may_send = self._tick()
        self._take(self._fetch())
        self._dispatch.collect()
        self._dispatch.wake()
        if may_send and not self._writer.full:
            self._dispatch.admit()
            self._dispatch.send()
        self._writer.write_if_due()
        self._parts.clerk.reports.flush()
        self._steer()
        self._look_around()

    def _alive(self) -> None:
        self._parts.checks.loop.beat(time.monotonic())

    def _tick(self) -> bool:
        """Say that the loop turns; after a suspension, prove ownership before anything is sent again.

        False while that is not proved.
        """
        self._alive()
        began = boot_clock()
        if self._parts.lease.tick(began):
            return True
        if not len(self._lanes) or time.monotonic() < self._prove_at:
            return False
        if self._writer.prove():
            self._parts.lease.proved(began)
            return True
        self._prove_at = time.monotonic() + COMMIT_EVERY
        return False

    def _fetch(self) -> Fetched:
        """As many records as there is room for."""
        patience, now = self._patience(), time.monotonic()
        room = BATCH if self._stuck else self._parts.max_in_flight - self._dispatch.load
        enough = LUMP if self._dispatch.flows else 1
        if room < enough and now < self._serve_at:
            time.sleep(patience)
            return NOTHING
        self._serve_at = now + SERVE_EVERY
        fetched = self._consumer.fetch_soon(max(1, min(BATCH, room)), patience, 0)
        if self._consumer.joined:
            self._parts.checks.group.met()
        return fetched

    def _patience(self) -> float:
        limit = BUSY if self._dispatch.load or self._writer.under_way else IDLE
        if self._dispatch.flows:
            limit = FLOWING
        if self._writer.due_at is not None:
            limit = min(limit, self._writer.due_at - time.monotonic())
        if (due_ms := self._dispatch.next_due_ms) is not None:
            limit = min(limit, (due_ms - wall_ms()) / 1000)
        return max(0.0, limit)

    # Taking

    def _take(self, fetched: Fetched) -> None:
        for record in fetched.records:
            lane = self._lanes.get(position_of(record))
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
            job = self._parts.clerk.read(lane, record)
        except NewerFormat as failure:
            lane.blocked = str(failure)
            lane.watermark.untake(offset)
            self._ownership.tell()
            _tell("partition stopped", failure, partition=str(lane.position))
        except JobError as failure:
            _tell("a record that is no job goes to the dead letters", failure, at=place_of(record))
            lane.watermark.finish(offset)
            lane.changed = True
            self._writer.add(self._parts.clerk.unreadable(lane, record, str(failure), wall_ms()))
        else:
            lane.take(job)
            self._dispatch.schedule(job, wall_ms())

    # Steering

    def _steer(self) -> None:
        """Pause partitions whose jobs would only pile up in memory, and resume those that have room again."""
        limit, load, now = self._parts.max_in_flight, self._dispatch.load, time.monotonic()
        if load < limit:
            self._had_room_at = now
        # Once stuck, until half of the room is free.
        self._stuck = load > limit // 2 if self._stuck else now - self._had_room_at > STUCK
        busy = self._dispatch.holds or self._stuck
        pause: list[Position] = []
        resume: list[Position] = []
        for lane in self._lanes:
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
        if parts.admission.released(parts.clerk.releases(), parts.clerk.origin_of, steady_ms(), wall_ms()):
            self._dispatch.recall()
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
        topics = [parts.topics.jobs, *parts.topics.retries]
        circuits = parts.admission.status(steady_ms())
        parts.metrics.circuits_open.set(len(parts.admission.open_circuits(steady_ms())))
        jobs = measure(self._lanes, topics, parts.metrics, self._consumer.end_offset, wall_ms())
        self.status = jobs | circuits

    # Ending

    def _drain(self, deadline: Deadline) -> None:
        """Take nothing more; what is in flight ends or is broken off in time for a last transaction."""
        log.info("draining", extra={"fields": {"in_flight": self._dispatch.in_flight}})
        self._consumer.pause([lane.position for lane in self._lanes])
        while self._dispatch.in_flight and deadline.remaining() > SETTLE + BREAK_OFF:
            self._alive()
            self._parts.lease.tick(boot_clock())
            self._consumer.fetch(BATCH, 0.02)  # keeps the membership; what it brings stays in its topic
            self._dispatch.collect()
            self._writer.write_if_due()
            self._parts.clerk.reports.flush()
        self._let_go(list(self._lanes), 0.0, time.monotonic() + deadline.remaining() - SETTLE / 2)

    def _let_go(self, lanes: Sequence[Lane], patience: float, until: float) -> None:
        """Give attempts of these lanes `patience` seconds to end, break off the rest, and write what ended.

        The writing may be tried until `until` (monotonic seconds): what can't be written is sent once more.
        """
        leaving = set(map(id, lanes))
        self._wait_for(leaving, patience)
        self._dispatch.cancel(self._dispatch.sent_from(leaving))
        self._wait_for(leaving, BREAK_OFF)
        self._writer.write_by(until)

    def _wait_for(self, lanes: set[int], patience: float) -> None:
        until = time.monotonic() + patience
        while self._dispatch.sent_from(lanes) and time.monotonic() < until:
            time.sleep(0.005)
            self._alive()
            self._parts.lease.tick(boot_clock())
            self._dispatch.collect()
            self._writer.write_if_due()

    # The group's listener. All of it is called inside fetch() or close(), on the same thread.

    def assigned(self, positions: list[Position]) -> Mapping[Position, int] | None:
        """Partitions of webhook-jobs, and with each the same number of every retry topic."""
        # A transaction of an earlier generation may still be under way: what it commits is to be read here.
        self._writer.settle()
        starts = self._ownership.open(positions, alive=self._alive, stopped=self._stop.is_set)
        if starts is not None:
            self._parts.admission.assigned(numbers(starts), steady_ms())
        # On the way out nothing more is taken, and leaving to join again would only cut the drain short.
        return {} if starts is None and self._stop.is_set() else starts

    def revoked(self, positions: list[Position]) -> Iterable[Position]:
        """Attempts in flight get a moment to end; what ended is written while that is still allowed."""
        log.info("revoked", extra={"fields": {"partitions": numbers(positions)}})
        lanes = self._lanes.numbered(p.partition for p in positions)
        if lanes:
            self._let_go(lanes, REVOKE_DRAIN, time.monotonic() + REVOKE_DRAIN + BREAK_OFF)
        return self._close(lanes)

    def lost(self, positions: list[Position]) -> Iterable[Position]:
        """Another sender may have them already: nothing of them may be written or sent."""
        log.warning("lost", extra={"fields": {"partitions": numbers(positions)}})
        closed = self._close(self._lanes.numbered(p.partition for p in positions))
        self._parts.lease.lost(boot_clock())
        self._dispatch.break_off_gone()
        return closed

    def _close(self, lanes: Sequence[Lane]) -> list[Position]:
        jobs = [job for lane in lanes for job in lane.jobs.values()]
        positions = self._ownership.close(lanes)
        self._writer.forget_closed()
        self._dispatch.gone(numbers(positions), jobs)
        return positions


def _tell(message: str, failure: Exception, **fields: str) -> None:
    log.warning(message, extra={"fields": {**fields, "error": str(failure)}})
