"""The matcher's loop: fetch, wait until the rules are fresh, judge, commit.

One thread owns the consumer and the producer. Events are judged before a transaction begins, so none stays
open for long; a transaction carries jobs, dead letters and offsets, and is fenced by the group's generation
(KIP-447).

Whatever way a transaction ends other than in a commit, what is in memory is thrown away and its partitions
are *behind*: nothing more of them is judged until they are fetched again from what the group has committed.
"""

from __future__ import annotations

import logging
import operator
import random
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby

from processor.kafka.consumer import GroupConsumer
from processor.kafka.errors import BrokerUnavailable, MembershipLost, TransactionAborted
from processor.kafka.records import Fetched, InRecord, Position, position_of
from processor.kafka.starting import Start, StartingOffsets
from processor.kafka.watch import TopicWatch
from processor.matching.batch import Batch
from processor.matching.current import CurrentRules
from processor.matching.freshness import Freshness
from processor.matching.judge import Judge, Version
from processor.matching.judging import Judging
from processor.matching.writer import BatchWriter, Producer
from processor.observability.health import RoleChecks
from processor.observability.metrics import Metrics

log = logging.getLogger(__name__)


FETCH = 4_000
IDLE = 0.1
LINGER = 0.002
"""Records per fetch; seconds to wait for a first one and, after it, for company."""

RECOMMIT_EVERY = 86_400.0
"""Seconds after which offsets are committed again though nothing moved: brokers forget them after seven days.
"""

LOOK_EVERY = 5.0
"""Seconds between looks at the lag and at whether topics were made again."""

_partition = operator.methodcaller("partition")

LONGEST_PAUSE = 1.0
"""Seconds, at most, between transactions that fail one after the other."""


@dataclass(frozen=True)
class Parts:
    """What the loop works with; the composition root makes them."""

    event_topics: list[str]
    consumer: Callable[[MatcherLoop], GroupConsumer]
    producer: Callable[[GroupConsumer], Producer]
    starting: Callable[[Callable[[], GroupConsumer]], StartingOffsets]
    watch: TopicWatch
    rules: CurrentRules
    freshness: Freshness
    judge: Judge
    metrics: Metrics
    checks: RoleChecks


class MatcherLoop:
    """The loop and, as the group's listener, the owner of what is in hand. It runs on run()'s thread."""

    def __init__(self, parts: Parts, stop: threading.Event) -> None:
        self._parts = parts
        self._stop = stop
        self._batch = Batch()
        self._records: list[InRecord] = []
        self._ends: list[tuple[Position, int]] = []
        self._next: dict[Position, int] = {}
        self._behind: set[Position] = set()
        self._topic_ids: dict[str, str] = {}
        self._failures = 0
        self._recommit_at = time.monotonic() + RECOMMIT_EVERY
        self._look_at = 0.0
        self._consumer = parts.consumer(self)
        self._starting = parts.starting(lambda: self._consumer)
        self.producer = parts.producer(self._consumer)
        self._writer = BatchWriter(self.producer, parts.judge, parts.metrics, parts.checks.transaction)

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
                self._stop.wait(0.5)
                continue
            self._parts.checks.broker.met()
            return

    def _turn(self) -> None:
        self._show_alive()
        if self._behind:
            self._go_back()
        self._hold(self._fetch())
        if self._records:
            version = self._wait_for_rules()
            if version is None:
                self._records = []
            else:
                self._judge(version)
        else:
            self._parts.rules.version()  # changes are taken in before an event has to wait for it
        if self._stop.is_set():
            return
        if not self._records:
            self._advance()
        due = self._batch.due_at()
        if due is not None and (time.monotonic() >= due or self._batch.full()):
            self._write()
        self._now_and_then(time.monotonic())

    def _fetch(self) -> Fetched:
        """Serves the group in any case; while there is something in hand, next to nothing is fetched."""
        if self._records:
            return self._consumer.fetch(1, 0.0)
        due = self._batch.due_at()
        timeout = IDLE if due is None else min(IDLE, max(0.0, due - time.monotonic()))
        fetched = self._consumer.fetch_soon(FETCH, timeout, LINGER)
        self._batch.behind = len(fetched.records) == FETCH
        if self._consumer.joined:
            self._parts.checks.group.met()
            self._parts.checks.offsets.met()
        return fetched

    def _hold(self, fetched: Fetched) -> None:
        """Take in hand what was fetched. Of a partition that is behind it would leave a gap."""
        behind = self._behind
        records = fetched.records
        self._records.extend([r for r in records if position_of(r) not in behind] if behind else records)
        self._ends.extend(end for end in fetched.ends if end[0] not in behind)

    def _wait_for_rules(self) -> Version | None:
        """The rules to judge what is in hand by; None when nothing is left in hand, or at a stop."""
        began = time.monotonic()
        version = None
        while version is None and self._parts.freshness.wait(self._between):
            version = self._parts.rules.version()
            if version is None and not self._between(0.005):
                break
        self._parts.metrics.rules_wait.observe(time.monotonic() - began)
        return version

    def _between(self, timeout: float = 0.05) -> bool:
        """Keep the membership while the rules are waited for. False when nothing is left to wait for."""
        self._show_alive()
        owned = self._consumer.owned
        self._consumer.pause(owned)
        try:
            self._hold(self._consumer.fetch(FETCH, timeout))
        finally:
            self._consumer.resume(owned)
        return not self._stop.is_set() and bool(self._records)

    def _judge(self, version: Version) -> None:
        """Judge what is in hand for a SLICE of time, or until the batch is full; the rest stays in hand."""
        judging = Judging(self._parts.judge, version, self._batch)
        records, self._records = self._records, []
        for _, group in groupby(records, _partition if len(self._parts.event_topics) == 1 else position_of):
            run: Sequence[InRecord] = list(group)
            if not judging.over():
                position = position_of(run[0])
                expected = self._next.get(position)
                if expected is None:
                    continue  # not ours any more
                run, self._next[position] = judging.run(
                    run, position, expected, self._topic_ids[position.topic]
                )
            self._records += run

    def _advance(self) -> None:
        """Ends lie past transaction markers; committing them lets a drained topic show no lag."""
        now = time.monotonic()
        for position, next_offset in self._ends:
            if self._next.get(position, next_offset) < next_offset:
                self._batch.advance(position, next_offset, now)
                self._next[position] = next_offset
        self._ends = []

    def _write(self) -> bool:
        """Commit the batch. False when it was thrown away."""
        if not self._batch.next_offsets:
            return True
        if not self._writer.write(self._batch, self._topic_ids, self._consumer.group_metadata()):
            self._failures += 1
            self._throw_away()
            return False
        self._failures = 0
        self._batch = Batch()
        return True

    def _throw_away(self) -> None:
        self._batch = Batch()
        self._records, self._ends = [], []
        self._behind.update(self._next)

    def _go_back(self) -> None:
        """Fetch what is behind again from its commit; what can't be had now stays behind."""
        if self._failures > 1:
            self._stop.wait(min(LONGEST_PAUSE, random.uniform(0.01, 0.02) * 2 ** min(self._failures, 10)))
        try:
            # Not committed again: of a member with a static id that the group may have given up, a commit is
            # the end (it is answered as if another process had the id).
            for position, start in self._starting.of(sorted(self._behind), again=False).items():
                self._consumer.seek(position, start.next_offset)
                self._start_at(position, start)
                self._behind.discard(position)
        except (BrokerUnavailable, MembershipLost) as failure:
            self._parts.checks.broker.failed(str(failure))

    def _start_at(self, position: Position, start: Start) -> None:
        self._next[position] = start.next_offset
        self._parts.metrics.events_lost.inc(start.lost)
        self._topic_ids[position.topic] = start.topic_id

    def _show_alive(self) -> None:
        checks = self._parts.checks
        checks.loop.beat(time.monotonic())
        reason = self._parts.freshness.blocked or self._parts.rules.waiting_for()
        if reason is None:
            checks.table.met()
        else:
            checks.table.failed(reason)

    def _now_and_then(self, now: float) -> None:
        if now >= self._recommit_at:
            self._recommit_at = now + RECOMMIT_EVERY
            for position in self._next.keys() - self._behind:
                self._batch.advance(position, self._next[position], now)
        if now >= self._look_at:
            self._look_at = now + LOOK_EVERY
            self._look_around()

    def _look_around(self) -> None:
        lag = dict.fromkeys(self._parts.event_topics, 0)
        for position, next_offset in self._next.items():
            end = self._consumer.end_offset(position)
            lag[position.topic] += max(0, end - next_offset) if end is not None else 0
        for topic, count in lag.items():
            self._parts.metrics.consumer_lag.labels(topic).set(count)
        ids = self._parts.watch.ids()
        if any(ids.get(p.topic, "") not in ("", self._topic_ids[p.topic]) for p in self._next):
            self._throw_away()  # going back finds a commit of the topic that was, and begins with the new one

    # The group's listener. All of it is called inside fetch() or close(), on the same thread.

    def assigned(self, positions: list[Position]) -> Mapping[Position, int] | None:
        """Partitions start at their commit, or where starting.py says."""
        checks = self._parts.checks

        def waiting(reason: str) -> None:
            checks.loop.beat(time.monotonic())
            checks.offsets.failed(reason)
            log.warning("starting offsets are not known yet", extra={"fields": {"error": reason}})

        starts = self._starting.patiently(positions, waiting, self._stop.is_set)
        if starts is None:
            return None
        for position, start in starts.items():
            self._start_at(position, start)
        log.info("assigned", extra={"fields": {"partitions": _listed(positions)}})
        return {position: start.next_offset for position, start in starts.items()}

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

    def _forget(self, positions: Iterable[Position]) -> None:
        gone = set(positions)
        self._next = {p: offset for p, offset in self._next.items() if p not in gone}
        self._behind -= gone
        self._records = [r for r in self._records if position_of(r) not in gone]
        self._ends = [end for end in self._ends if end[0] not in gone]


def _listed(positions: Iterable[Position]) -> str:
    return ", ".join(str(p) for p in sorted(positions))
