"""What became of jobs goes to Kafka: every 100 ms or so one transaction carries outcomes and offsets.

Outcomes that a failed transaction could not write stay and go with the next one, so nothing is sent again for
it. After a lost answer the group's own offsets tell: nobody else commits for partitions this member owns.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Protocol

from processor.delivery.lanes import Lanes
from processor.delivery.ledger import Entry, Ledger
from processor.kafka.errors import (
    BrokerUnavailable,
    FatalKafkaError,
    RecordTooLarge,
    TransactionAborted,
    TransactionUncertain,
)
from processor.kafka.records import Commit, OutRecord, Position
from processor.observability.health import RoleChecks
from processor.observability.metrics import Metrics

log = logging.getLogger(__name__)

COMMIT_EVERY = 0.1
COMMIT_RECORDS = 500
"""Write finished jobs after so many seconds, or when there are so many."""


class Transactions(Protocol):
    """What this module needs of TransactionalProducer."""

    def write(
        self, records: Sequence[OutRecord], offsets: Mapping[Position, Commit], group: object | None
    ) -> None: ...


class Group(Protocol):
    """What this module needs of GroupConsumer."""

    def group_metadata(self) -> object: ...
    def committed(self, positions: Iterable[Position]) -> Mapping[Position, Commit | None]: ...


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
        written: Callable[[Entry], None],
        stopped: Callable[[], bool],
    ) -> None:
        """`written` is told of each entry once it is committed.

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
        self._not_before = 0.0
        self.due_at: float | None = None
        """When to write next (monotonic seconds), None while there is nothing to write."""

    def add(self, entry: Entry) -> None:
        """One more outcome for the next transaction."""
        self._ledger.add(entry)
        self.soon()
        if len(self._ledger) >= COMMIT_RECORDS:
            self.due_at = self._not_before

    def soon(self) -> None:
        """There is something to write."""
        if self.due_at is None:
            self.due_at = time.monotonic() + COMMIT_EVERY

    def forget_closed(self) -> None:
        """Drop outcomes of partitions that are somebody else's now."""
        self._ledger.drop_closed()

    def write_if_due(self) -> None:
        """Write when it is time to."""
        if self.due_at is not None and time.monotonic() >= self.due_at:
            self.write()

    def write(self) -> bool:
        """Write what there is. False when that failed; it is tried again after a while."""
        commits = self._due_commits()
        return not commits or self._write(commits)

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
        commits = self._due_commits() or {lane.position: lane.committed for lane in self._lanes}
        return bool(commits) and self._write(commits)

    def _write(self, commits: Mapping[Position, Commit]) -> bool:
        entries = self._ledger.take()
        began = time.monotonic()
        self._checks.transaction.beat(began)
        try:
            committed = self._transact([record for entry in entries for record in entry.records], commits)
        finally:
            self._checks.transaction.rest()
            self._metrics.transaction_duration["sender"].observe(time.monotonic() - began)
        if not committed:
            self._ledger.put_back(entries)
            self.due_at = self._not_before = time.monotonic() + COMMIT_EVERY
            return False
        for position, commit in commits.items():
            if (lane := self._lanes.get(position)) is not None:
                lane.committed, lane.changed = commit, False
        for entry in entries:
            self._written(entry)
        self.due_at = None
        return True

    def _transact(self, records: Sequence[OutRecord], commits: Mapping[Position, Commit]) -> bool:
        transactions = self._metrics.transactions
        try:
            self._producer.write(records, commits, self._group.group_metadata())
        except RecordTooLarge as failure:
            # Start-up has compared the topics' limits. One was lowered since; at the next start it is named.
            raise FatalKafkaError(str(failure)) from failure
        except TransactionAborted as failure:
            transactions["sender", "aborted"].inc()
            _tell("transaction aborted: its outcomes go with the next", failure)
            return False
        except TransactionUncertain as failure:
            transactions["sender", "uncertain"].inc()
            _tell("transaction in doubt: the group's offsets decide", failure)
            return self._stands(commits)
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
            self.due_at = None
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
