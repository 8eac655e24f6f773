"""What became of jobs goes to Kafka: every 100 ms or so one transaction carries outcomes and offsets.

A transaction takes 10 ms and, on a busy broker, many times that; it is made on a thread of its own, so that
jobs are taken and sent meanwhile. There is one at a time, and what it carries was put together at its
beginning: outcomes that come later go with the next one. Those that a failed transaction could not write stay
and go with the next one as well, so nothing is sent again for it. After a lost answer the group's own offsets
tell: nobody else commits for partitions this member owns.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import Future, wait
from dataclasses import dataclass
from typing import Final, Protocol

from processor.delivery.lanes import Lane, Lanes
from processor.delivery.ledger import Entry, Ledger
from processor.kafka.bounded import Bounded
from processor.kafka.errors import (
    BrokerUnavailable,
    FatalKafkaError,
    RecordTooLarge,
    TransactionAborted,
    TransactionFenced,
    TransactionUncertain,
)
from processor.kafka.records import Commit, OutRecord, Position
from processor.observability.health import RoleChecks
from processor.observability.metrics import Metrics

log = logging.getLogger(__name__)

COMMIT_EVERY = 0.1
COMMIT_RECORDS = 500
"""Write finished jobs after so many seconds, or when there are so many."""

MOST_UNWRITTEN: Final = 2_000
"""Finished jobs that may wait for their transaction; with more of them nothing is sent.

They are what a crash would have sent again.
"""

_ALIVE = 0.5
"""Seconds between two signs of life while a transaction is waited for."""


class Transactions(Protocol):
    """What this module needs of TransactionalProducer."""

    def write(
        self, records: Sequence[OutRecord], offsets: Mapping[Position, Commit], group: object | None
    ) -> None: ...


class Group(Protocol):
    """What this module needs of GroupConsumer."""

    def group_metadata(self) -> object: ...
    def committed(self, positions: Iterable[Position]) -> Mapping[Position, Commit | None]: ...


@dataclass(frozen=True, slots=True)
class _UnderWay:
    """A transaction that was begun."""

    done: Future[None]
    entries: list[Entry]
    commits: Mapping[Position, Commit]
    lanes: Sequence[Lane]
    """Whose commits these are; one that was closed and opened again is another."""


class Writer:
    """Owns the ledger and the producer; for the loop's thread alone."""

    def __init__(
        self,
        lanes: Lanes,
        producer: Transactions,
        group: Group,
        metrics: Metrics,
        checks: RoleChecks,
        *,
        written: Callable[[Sequence[Entry]], None],
        stopped: Callable[[], bool],
    ) -> None:
        """`written` is told of entries once they are committed.

        `stopped` ends the waiting for a lost answer.
        """
        self._lanes = lanes
        self._producer = producer
        self._group = group
        self._metrics = metrics
        self._checks = checks
        self._written = written
        self._stopped = stopped
        self._ledger = Ledger()
        self._aside = Bounded("transactions")
        self._under_way: _UnderWay | None = None
        self._due_at: float | None = None
        self._not_before = 0.0

    @property
    def due_at(self) -> float | None:
        """When to write next (monotonic seconds).

        None while there is nothing to write, or while a transaction is under way.
        """
        return self._due_at if self._under_way is None else None

    @property
    def under_way(self) -> bool:
        """Whether a transaction was begun whose end hasn't been looked at."""
        return self._under_way is not None

    @property
    def full(self) -> bool:
        """Whether so much waits to be written that nothing more should be sent."""
        running = 0 if self._under_way is None else len(self._under_way.entries)
        return len(self._ledger) + running >= MOST_UNWRITTEN

    def add(self, entry: Entry) -> None:
        """One more outcome for the next transaction."""
        self._ledger.add(entry)
        self.soon()
        if len(self._ledger) >= COMMIT_RECORDS:
            self._due_at = self._not_before

    def soon(self) -> None:
        """There is something to write."""
        if self._due_at is None:
            self._due_at = time.monotonic() + COMMIT_EVERY

    def forget_closed(self) -> None:
        """Drop outcomes of partitions that are somebody else's now."""
        self._ledger.drop_closed()

    def write_if_due(self) -> None:
        """Take note of a transaction that has ended, and begin one when it is time to. Never waits."""
        if self._under_way is not None:
            if not self._under_way.done.done():
                return
            self._end()
        if self._due_at is not None and time.monotonic() >= self._due_at:
            self._begin(self._due_commits())

    def settle(self) -> bool:
        """Wait for a transaction that is under way; False when there was one and it failed."""
        if self._under_way is None:
            return True
        while not wait([self._under_way.done], _ALIVE).done:
            self._checks.loop.beat(time.monotonic())
        return self._end()

    def write(self) -> bool:
        """Write what there is, and wait for it. False when that failed; it is tried again after a while."""
        if not self.settle():
            return False
        self._begin(self._due_commits())
        return self.settle()

    def write_by(self, until: float) -> bool:
        """Write what there is, again after each failure until then (monotonic seconds)."""
        while not self.write():
            if time.monotonic() + COMMIT_EVERY >= until:
                return False
            self._checks.loop.beat(time.monotonic())
            time.sleep(COMMIT_EVERY)
        return True

    def prove(self) -> bool:
        """Commit though nothing may have moved: success shows that the group still counts on this member."""
        self.settle()
        commits = self._due_commits() or {lane.position: lane.committed for lane in self._lanes}
        self._begin(commits)
        return bool(commits) and self.settle()

    def _begin(self, commits: Mapping[Position, Commit]) -> None:
        if not commits:
            return
        entries = self._ledger.take()
        lanes = [lane for lane in self._lanes if lane.position in commits]
        for lane in lanes:
            lane.changed = False
        self._due_at = None
        group = self._group.group_metadata()
        self._checks.transaction.beat(time.monotonic())
        done = self._aside.begin(lambda: self._transact(entries, commits, group))
        self._under_way = _UnderWay(done, entries, commits, lanes)

    def _transact(self, entries: Sequence[Entry], commits: Mapping[Position, Commit], group: object) -> None:
        """On the transactions' thread."""
        began = time.monotonic()
        try:
            self._producer.write([record for entry in entries for record in entry.records], commits, group)
        finally:
            self._metrics.transaction_duration["sender"].observe(time.monotonic() - began)

    def _end(self) -> bool:
        """Take note of how the transaction ended; whether it was committed."""
        ended, self._under_way = self._under_way, None
        if ended is None:
            return True
        try:
            committed = self._committed(ended)
        finally:
            self._checks.transaction.rest()
        if not committed:
            self._ledger.put_back(ended.entries)
            for lane in ended.lanes:
                lane.changed = True
            self._due_at = self._not_before = time.monotonic() + COMMIT_EVERY
            return False
        for lane in ended.lanes:
            lane.committed = ended.commits[lane.position]
        self._written(ended.entries)
        return True

    def _committed(self, ended: _UnderWay) -> bool:
        transactions = self._metrics.transactions
        try:
            ended.done.result()
        except RecordTooLarge as failure:
            # Start-up has compared the topics' limits. One was lowered since; at the next start it is named.
            raise FatalKafkaError(str(failure)) from failure
        except TransactionAborted as failure:
            fenced = isinstance(failure, TransactionFenced)
            transactions["sender", "fenced" if fenced else "aborted"].inc()
            _tell("transaction aborted: its outcomes go with the next", failure)
            return False
        except TransactionUncertain as failure:
            transactions["sender", "uncertain"].inc()
            _tell("transaction in doubt: the group's offsets decide", failure)
            return self._stands(ended.commits)
        transactions["sender", "committed"].inc()
        return True

    def _due_commits(self) -> dict[Position, Commit]:
        commits = {}
        for lane in self._lanes:
            if lane.changed:
                commit = lane.commit()
                if commit == lane.committed:
                    lane.changed = False
                else:
                    commits[lane.position] = commit
        if not commits:
            self._due_at = None
        return commits

    def _stands(self, commits: Mapping[Position, Commit]) -> bool:
        """Whether the group holds these commits. Of the partitions still ours, since others move on."""
        while mine := [p for p in commits if self._lanes.get(p) is not None]:
            self._checks.loop.beat(time.monotonic())
            self._checks.transaction.beat(time.monotonic())
            try:
                found = self._group.committed(mine)
            except BrokerUnavailable as failure:
                _tell("transaction still in doubt", failure)
                if self._stopped():
                    return False
                continue
            return all(found[p] == commits[p] for p in mine)
        return False


def _tell(message: str, failure: Exception) -> None:
    log.warning(message, extra={"fields": {"error": str(failure)}})
