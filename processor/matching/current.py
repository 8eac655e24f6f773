"""The rules in force now, as the live table has them."""

from __future__ import annotations

from typing import Protocol

from processor.matching.engine import RuleSet
from processor.matching.judge import Version
from processor.rules.table import RuleSnapshot


class Rules(Protocol):
    """What is needed of the live rule table."""

    def snapshot(self) -> RuleSnapshot: ...
    def state(self) -> tuple[str | None, int, str | None]: ...


class CurrentRules:
    """Keeps the rule set of the newest snapshot; one thread asks."""

    def __init__(self, rules: Rules, epoch: int) -> None:
        """`epoch`: matcher.replay_epoch."""
        self._rules = rules
        self._epoch = epoch
        self._built: tuple[RuleSnapshot, RuleSet] | None = None

    def waiting_for(self) -> str | None:
        """Why the table isn't whole; None when it is."""
        return self._rules.state()[2]

    def version(self) -> Version | None:
        """The rules to judge by; None when the table changed while it was looked at, or isn't whole."""
        snapshot = self._rules.snapshot()
        topic_id, next_offset, reason = self._rules.state()
        # The same snapshot before and after the table was whole is the whole table, even if it was being
        # rebuilt when the first one was taken.
        if reason is not None or topic_id is None or self._rules.snapshot() is not snapshot:
            return None
        if self._built is None or self._built[0] is not snapshot:
            previous = self._built[1] if self._built else None
            self._built = (snapshot, RuleSet(snapshot.rules, self._epoch, previous))
        return Version(self._built[1], topic_id, max(next_offset, snapshot.next_offset))
