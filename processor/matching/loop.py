"""The matcher's loop: fetch, wait until the rules are fresh, judge, commit.

One thread owns the consumer and the producer. Events are judged before a transaction begins, so none stays open for long;
a transaction carries jobs, dead letters and offsets, and is fenced by the group's generation (KIP-447). Whatever
way a transaction ends other than in a commit, everything in memory is thrown away and the loop goes back to what the group has
committed.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Protocol

from processor.kafka.cluster import Cluster
from processor.kafka.consumer import GroupConsumer
from processor.kafka.errors import (
    BrokerUnavailable,
    RecordTooLarge,
    TransactionAborted,
    TransactionUncertain,
)
from processor.kafka.plain import AcknowledgedProducer
from processor.kafka.records import Commit, Fetched, InRecord, Position
from processor.kafka.starting import StartingOffsets, metadata_for
from processor.kafka.transaction import TransactionalProducer
from processor.kafka.watch import TopicWatch
from processor.matching.batch import Batch
from processor.matching.engine import RuleSet
from processor.matching.freshness import Freshness
from processor.matching.judge import Judge, Version
from processor.observability.health import RoleChecks
from processor.observability.metrics import Metrics
from processor.rules.table import RuleSnapshot

log = logging.getLogger(__name__)

FETCH = 500
IDLE = 0.1
LINGER = 0.002
"""Records per fetch; seconds to wait for a first one and, after it, for company."""

RECOMMIT_EVERY = 86_400.0
"""Seconds after which offsets are committed again though nothing moved: brokers forget them after seven days."""

LAG_EVERY = 5.0


class Rules(Protocol):
    """What the loop needs of the live rule table."""

    def snapshot(self) -> RuleSnapshot: ...
    def state(self) -> tuple[str | None, int, str | None]: ...


@dataclass(frozen=True)
class Parts:
    """What the loop works with; the composition root makes them."""

    event_topics: list[str]
    replay_epoch: int
    consumer: Callable[[MatcherLoop], GroupConsumer]
    producer: Callable[[GroupConsumer], TransactionalProducer | AcknowledgedProducer]
    starting: Callable[[Callable[[], GroupConsumer]], StartingOffsets]
    cluster: Cluster
    watch: TopicWatch
    rules: Rules
    freshness: Freshness
    judge: Judge
    metrics: Metrics
    checks: RoleChecks


class MatcherLoop:
    """The loop and, as the group's listener, the owner of what is in hand. Everything runs on the thread of run()."""

    def __init__(self, parts: Parts, stop: threading.Event) -> None:
        self._parts = parts
        self._stop = stop
        self._batch = Batch()
        self._in_hand: list[InRecord] = []
        self._topic_ids: dict[str, str] = {}
        self._next: dict[Position, int] = {}
        self._rewind_needed = False
        self._ruleset: tuple[RuleSnapshot, RuleSet] | None = None
        self._recommit_at = time.monotonic() + RECOMMIT_EVERY
        self._lag_at = 0.0
        self._consumer = parts.consumer(self)
        self.producer = parts.producer(self._consumer)
        self._starting = parts.starting(lambda: self._consumer)

    def run(self) -> None:
        """Work until stopped, then write what is judged and leave the group."""
        parts = self._parts
        try:
            self._claim()
            self._consumer.subscribe(parts.event_topics)
            while not self._stop.is_set():
                self._turn()
            self._write()
        except BaseException:
            self._batch = Batch()  # leaving the group must not commit what an error may have left half done
            raise
        finally:
            self._consumer.close()
            parts.checks.loop.rest()

    def _claim(self) -> None:
        while not self._stop.is_set():
            self._parts.checks.loop.beat(time.monotonic())
            try:
                self.producer.prepare(5.0)
            except TransactionAborted as failure:
                self._parts.checks.broker.failed(str(failure))
                log.warning("waiting for the broker", extra={"fields": {"error": str(failure)}})
                continue
            self._parts.checks.broker.met()
            return

    def _turn(self) -> None:
        now = time.monotonic()
        self._show_alive()
        if self._rewind_needed and not self._rewind():
            return
        due = self._batch.due_at()
        fetched = self._fetch(IDLE if due is None else min(IDLE, max(0.0, due - now)))
        if fetched.records:
            self._in_hand = list(fetched.records)
            version = None
            while version is None and self._parts.freshness.wait(self._between):
                version = self._version()
            if version is not None:
                self._judge(version)
            self._in_hand = []
        if not self._rewind_needed:
            self._advance(fetched)
        due = self._batch.due_at()
        if due is not None and time.monotonic() >= due:
            self._write()
        self._now_and_then(time.monotonic())

    def _fetch(self, timeout: float) -> Fetched:
        fetched = self._consumer.fetch_soon(FETCH, timeout, LINGER)
        if self._consumer.joined:
            self._parts.checks.group.met()
            self._parts.checks.offsets.met()
        return fetched

    def _advance(self, fetched: Fetched) -> None:
        """Ends lie past transaction markers; committing them lets a drained topic show no lag."""
        now = time.monotonic()
        for position, next_offset in fetched.ends:
            if self._next.get(position, next_offset) < next_offset:
                self._batch.advance(position, next_offset, now)
                self._next[position] = next_offset

    def _between(self) -> bool:
        """Keep the membership while the rules are waited for. False when there is nothing left to wait with."""
        self._show_alive()
        owned = self._consumer.owned
        self._consumer.pause(owned)
        try:
            late = self._consumer.fetch(FETCH, 0.05)
        finally:
            self._consumer.resume(owned)
        self._in_hand.extend(late.records)
        return not self._stop.is_set() and bool(self._in_hand) and not self._rewind_needed

    def _judge(self, version: Version) -> None:
        now = time.monotonic()
        now_ms = time.time_ns() // 1_000_000
        repaired = wrong_types = 0
        judge, ids = self._parts.judge.judge, self._topic_ids
        for record in self._in_hand:
            position = _position(record)
            offset = record.offset() or 0
            if offset < self._next.get(position, offset + 1):
                continue  # not ours any more, or from before a rewind
            judged = judge(record, position, ids[position.topic], version, now_ms)
            if judged.outcome == "dead":
                _tell_dead(record, judged.reason)
            repaired += judged.repaired
            wrong_types += judged.wrong_types
            self._batch.add(record, position, judged.records, judged.outcome, now)
            self._next[position] = offset + 1
            if self._batch.full() and not self._write():
                break
        if repaired:
            self._parts.metrics.events_repaired.inc(repaired)
        if wrong_types:
            self._parts.metrics.event_fields_wrong_type.inc(wrong_types)

    def _version(self) -> Version | None:
        """The rules to judge by; None when the table changed while it was looked at."""
        rules = self._parts.rules
        snapshot = rules.snapshot()
        topic_id, next_offset, reason = rules.state()
        # The same snapshot before and after the table was whole is the whole table, even if it was being rebuilt.
        if reason is not None or topic_id is None or rules.snapshot() is not snapshot:
            return None
        if self._ruleset is None or self._ruleset[0] is not snapshot:
            previous = self._ruleset[1] if self._ruleset else None
            self._ruleset = (snapshot, RuleSet(snapshot.rules, self._parts.replay_epoch, previous))
        return Version(self._ruleset[1], topic_id, max(next_offset, snapshot.next_offset))

    def _write(self) -> bool:
        """Commit the batch. False when it was thrown away and the loop has to rewind."""
        if not self._batch.next_offsets:
            return True
        metrics = self._parts.metrics
        began = time.monotonic()
        try:
            self._write_fitting()
        except TransactionAborted as failure:
            metrics.transactions["matcher", "aborted"].inc()
            _tell_back("transaction aborted: going back to the committed offsets", failure)
            self._throw_away()
            return False
        except TransactionUncertain as failure:
            metrics.transactions["matcher", "uncertain"].inc()
            _tell_back("transaction in doubt: going on from the committed offsets", failure)
            self._throw_away()
            return False
        finally:
            metrics.transaction_duration["matcher"].observe(time.monotonic() - began)
        self._count_committed()
        self._batch = Batch()
        return True

    def _write_fitting(self) -> None:
        """Write the batch; an event whose jobs are too large for their topic is dead-lettered without its value."""
        while True:
            batch = self._batch
            commits = {
                p: Commit(n, metadata_for(self._topic_ids[p.topic])) for p, n in batch.next_offsets.items()
            }
            try:
                self.producer.write(batch.records, commits, self._consumer.group_metadata())
                return
            except RecordTooLarge as too_large:
                event = batch.event_of(too_large.index)
                letter = self._parts.judge.dead_letter(event, _position(event), "too_large", keep_value=False)
                if batch.records[too_large.index] == letter:
                    raise  # not even that fits: the topics are wrong, and start-up checks them
                _tell_dead(event, "too_large, its value left out")
                batch.replace_event_of(too_large.index, letter)

    def _count_committed(self) -> None:
        batch, metrics = self._batch, self._parts.metrics
        metrics.transactions["matcher", "committed"].inc()
        for outcome, count in batch.outcomes.items():
            if count:
                metrics.events[outcome].inc(count)
        jobs = len(batch.records) - batch.outcomes["dead"]
        if jobs:
            metrics.jobs.inc(jobs)
            now_ms = time.time() * 1000
            metrics.event_to_job.observe_many((now_ms - at) / 1000 for at in batch.hit_times_ms)

    def _throw_away(self) -> None:
        self._batch = Batch()
        self._in_hand = []
        self._rewind_needed = True

    def _rewind(self) -> bool:
        """Go back to what the group has committed. False when the broker doesn't say; the next turn tries again."""
        owned = self._consumer.owned
        try:
            commits = self._consumer.committed(owned, timeout=2.0)
        except BrokerUnavailable as failure:
            self._parts.checks.broker.failed(str(failure))
            self._consumer.fetch(FETCH, 0.2)  # serves the group; what it brings is read again
            return False
        for position, commit in commits.items():
            if commit is not None and position in self._consumer.owned:
                self._next[position] = commit.next_offset
                self._consumer.seek(position, commit.next_offset)
        self._rewind_needed = False
        return True

    def _show_alive(self) -> None:
        checks = self._parts.checks
        checks.loop.beat(time.monotonic())
        reason = self._parts.freshness.blocked or self._parts.rules.state()[2]
        if reason is None:
            checks.table.met()
        else:
            checks.table.failed(reason)

    def _now_and_then(self, now: float) -> None:
        if now >= self._recommit_at:
            self._recommit_at = now + RECOMMIT_EVERY
            for position, next_offset in self._next.items():
                self._batch.advance(position, next_offset, now)
        if now >= self._lag_at:
            self._lag_at = now + LAG_EVERY
            self._look_around()

    def _look_around(self) -> None:
        lag = dict.fromkeys(self._parts.event_topics, 0)
        for position, next_offset in self._next.items():
            end = self._consumer.end_offset(position)
            lag[position.topic] += max(0, end - next_offset) if end is not None else 0
        for topic, count in lag.items():
            self._parts.metrics.consumer_lag.labels(topic).set(count)
        for topic, topic_id in self._parts.watch.ids().items():
            if self._topic_ids.get(topic, topic_id) != topic_id:
                self._begin_again(topic, topic_id)

    def _begin_again(self, topic: str, topic_id: str) -> None:
        log.warning("topic was made again: reading it from its start", extra={"fields": {"topic": topic}})
        self._batch = Batch()
        mine = [p for p in self._next if p.topic == topic]
        self._topic_ids[topic] = topic_id
        lows = self._parts.cluster.low_offsets(mine)
        self._consumer.commit({p: Commit(o, metadata_for(topic_id)) for p, o in lows.items()})
        self._rewind_needed = True

    # The group's listener. All of it is called inside fetch() or close(), on the same thread.

    def assigned(self, positions: list[Position]) -> Mapping[Position, int]:
        """Partitions start at their commit, or where starting.py says."""
        if not positions:
            return {}
        while True:
            self._parts.checks.loop.beat(time.monotonic())
            try:
                starts = self._starting.of(positions)
                break
            except BrokerUnavailable as failure:
                self._parts.checks.offsets.failed(str(failure))
                log.warning("starting offsets are not known yet", extra={"fields": {"error": str(failure)}})
                if self._stop.is_set():
                    return {}
        self._topic_ids.update({p.topic: s.topic_id for p, s in starts.items()})
        offsets = {p: s.next_offset for p, s in starts.items()}
        self._next.update(offsets)
        log.info("assigned", extra={"fields": {"partitions": _listed(positions)}})
        return offsets

    def revoked(self, positions: list[Position]) -> Iterable[Position]:
        """What is judged is committed while that is still allowed; the rest is the next owner's."""
        log.info("revoked", extra={"fields": {"partitions": _listed(positions)}})
        if self._batch.owns(positions):
            self._write()
        self._forget(positions)
        return positions

    def lost(self, positions: list[Position]) -> Iterable[Position]:
        """Another member may have them already: nothing of the batch may be committed."""
        log.warning("lost", extra={"fields": {"partitions": _listed(positions)}})
        self._throw_away()
        self._forget(positions)
        return positions

    def out_of_range(self, position: Position) -> int:
        """Events were deleted before they were read: count them, say so, go on with the earliest."""
        low = self._parts.cluster.low_offsets([position])[position]
        lost = max(0, low - self._next.get(position, low))
        self._parts.metrics.events_lost.inc(lost)
        log.error(
            "events were deleted before they were read: going on with the earliest",
            extra={"fields": {"partition": str(position), "lost": lost, "next_offset": low}},
        )
        self._next[position] = low
        return low

    def _forget(self, positions: Iterable[Position]) -> None:
        gone = set(positions)
        for position in gone:
            self._next.pop(position, None)
        self._in_hand = [r for r in self._in_hand if _position(r) not in gone]


def _position(record: InRecord) -> Position:
    return Position(record.topic() or "", record.partition() or 0)


def _place(record: InRecord) -> str:
    return f"{_position(record)}@{record.offset()}"


def _tell_dead(record: InRecord, reason: str) -> None:
    log.warning("event went to the dead letters", extra={"fields": {"event": _place(record), "reason": reason}})


def _tell_back(message: str, failure: Exception) -> None:
    log.warning(message, extra={"fields": {"error": str(failure)}})


def _listed(positions: Iterable[Position]) -> str:
    return ", ".join(str(p) for p in sorted(positions))
