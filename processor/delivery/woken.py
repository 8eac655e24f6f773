"""What need not wait any longer because a circuit closed: jobs put off before that for its destination or
rule.

Most jobs that an open circuit refused come back only after up to ten minutes (circuit.py says why). When it
closes they are due at once, wherever in their tier they are met; one put off later waits as it was told. As
release.py does for what somebody asked for. Bounded and pure; times are ms since 1970, compared with those of
the records (LogAppendTime).
"""

from __future__ import annotations

from collections import OrderedDict
from typing import Final

MOST: Final = 10_000

Wakeable = str | int
"""An origin, or a rule's id."""


class Woken:
    """When what was last woken, the longest ago forgotten first; one thread."""

    def __init__(self, most: int = MOST) -> None:
        self._most = most
        self._at: OrderedDict[Wakeable, int] = OrderedDict()

    def wake(self, what: Wakeable, at_ms: int) -> None:
        """Its circuit closed: everything put off for it before `at_ms` is due."""
        self._at[what] = max(at_ms, self._at.pop(what, at_ms))
        if len(self._at) > self._most:
            self._at.popitem(last=False)

    def withdraw(self, what: Wakeable) -> None:
        """Its circuit opened again: what comes back now would only be put off once more."""
        self._at.pop(what, None)

    def covers(self, origin: str, rule_id: int, appended_ms: int) -> bool:
        """Whether a job that was put off, and whose record was appended then, is due now."""
        return appended_ms < max(self._at.get(origin, 0), self._at.get(rule_id, 0))

    def __bool__(self) -> bool:
        return bool(self._at)
