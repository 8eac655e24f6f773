"""What need not wait any longer: jobs put off before their destination or rule was released.

A destination or rule is released when its circuit closes, and when somebody asks for it. A job that was put
off before that moment is due at once, wherever in its tier it is met; one put off later waits as it was
told. Bounded and pure; times are ms since 1970, of the brokers' clock as good as it is known.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import Final

MOST: Final = 10_000

Released = str | int
"""An origin, or a rule's id."""


class Releases:
    """The moments of release, the oldest forgotten first; one thread."""

    def __init__(self, most: int = MOST) -> None:
        self._most = most
        self._at: OrderedDict[Released, int] = OrderedDict()

    def release(self, what: Released, at_ms: int) -> None:
        """Everything put off for it before `at_ms` is due."""
        self._at[what] = max(at_ms, self._at.pop(what, at_ms))
        if len(self._at) > self._most:
            self._at.popitem(last=False)

    def withdraw(self, what: Released) -> None:
        """Its circuit opened again: what comes back now would only be put off once more."""
        self._at.pop(what, None)

    def covers(self, origin: str, rule_id: int, put_off_at_ms: int) -> bool:
        """Whether a job of this rule and destination, put off at that time, is due now."""
        return put_off_at_ms < max(self._at.get(origin, 0), self._at.get(rule_id, 0))

    def __bool__(self) -> bool:
        return bool(self._at)
