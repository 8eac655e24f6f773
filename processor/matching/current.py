"""The rules in force now, as the live table has them."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final, Protocol

from processor.matching.engine import RuleSet
from processor.matching.judge import Version
from processor.rules.schema import TriggerRule
from processor.rules.table import Changes

HOLD: Final = 0.003
"""Seconds that changes may hold the loop at a time; ten thousand at once are taken in portions."""

WARM_UP: Final = 15.0
"""Seconds after its start that a matcher waits for many rules to be compiled, rather than begin at a
thousandth of its pace.
"""

FEW: Final = 200
"""Rules with a regex that may be asked one by one meanwhile: they cost a fifth of a millisecond an event."""

_PORTION: Final = 50
"""Changes between looks at the clock."""


class Rules(Protocol):
    """What is needed of the live rule table."""

    def changes(self, since: int, /) -> Changes: ...
    @property
    def version(self) -> int: ...
    def state(self) -> tuple[str | None, int, str | None]: ...


class CurrentRules:
    """Keeps a rule set as the table has it; one thread asks."""

    def __init__(self, rules: Rules, rule_set: RuleSet, clock: Callable[[], float] = time.monotonic) -> None:
        """`rule_set` is changed by this alone. `clock`: seconds."""
        self._rules = rules
        self._set = rule_set
        self._clock = clock
        self._seen = 0
        self._pending: dict[int, TriggerRule | None] = {}
        self._warm_by: float | None = None
        self._warm = False

    def waiting_for(self) -> str | None:
        """Why the table isn't whole; None when it is."""
        return self._rules.state()[2]

    def version(self) -> Version | None:
        """The rules to judge by until this is called again.

        None when the table changed while it was looked at, isn't whole, or when more has changed than can be
        taken in within HOLD (then the next call goes on); and at first until most rules are compiled.
        """
        if self._rules.state()[2] is not None:
            return None
        changes = self._rules.changes(self._seen)
        topic_id, next_offset, reason = self._rules.state()
        # The same version before and after the table was whole is the whole table: a rebuild in between would
        # have made another.
        if reason is not None or topic_id is None or self._rules.version != changes.version:
            return None
        self._seen = changes.version
        if changes.whole:
            self._set.clear()
            self._pending.clear()
        self._pending.update(changes.rules)
        if not self._take_in():
            return None
        self._set.tend()
        if not (self._warm or self._warmed_up()):
            return None
        return Version(self._set, topic_id, max(next_offset, changes.next_offset))

    def _warmed_up(self) -> bool:
        if self._warm_by is None:
            self._warm_by = self._clock() + WARM_UP
        self._warm = self._set.alone <= FEW or self._clock() > self._warm_by
        return self._warm

    def _take_in(self) -> bool:
        """Bring the set up to date; False if that takes longer than HOLD."""
        until = self._clock() + HOLD
        pending = self._pending
        while pending:
            if self._clock() > until:
                return False
            for _ in range(min(_PORTION, len(pending))):
                self._set.update(*pending.popitem())
        return True
