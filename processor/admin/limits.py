"""How much is taken from whom: token buckets by key, and what they decide about failed tries. Pure."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from typing import Final

MOST_KEYS: Final = 10_000
"""Keys that are remembered; the one longest unused is forgotten, and begins anew with a full bucket."""


@dataclass(frozen=True, slots=True)
class Rate:
    """`burst` at once, then `per_second`."""

    per_second: float
    burst: int


class Buckets:
    """A token bucket for each key. Not thread-safe."""

    def __init__(self, rate: Rate, most_keys: int = MOST_KEYS) -> None:
        self._rate = rate
        self._most = most_keys
        self._levels: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def wait(self, key: str, now: float) -> float:
        """Seconds until one more is allowed, 0 if it is now. `now` in seconds, never going back."""
        level = self._level(key, now)
        return 0.0 if level >= 1 else (1 - level) / self._rate.per_second

    def take(self, key: str, now: float) -> None:
        """Count one. Below nothing a bucket does not fall."""
        self._levels[key] = (max(0.0, self._level(key, now) - 1), now)
        self._levels.move_to_end(key)
        if len(self._levels) > self._most:
            self._levels.popitem(last=False)

    def _level(self, key: str, now: float) -> float:
        level, at = self._levels.get(key, (float(self._rate.burst), now))
        return min(float(self._rate.burst), level + (now - at) * self._rate.per_second)


class Guesses:
    """Wrong tokens by the client's address: after some of them, nothing but wrong is said for a while.

    Also a right token is turned away then, or guessing would go on: except where it was used from that very
    address before. So one misconfigured client behind a proxy does not shut out the others there.
    """

    def __init__(self, rate: Rate) -> None:
        self._failed = Buckets(rate)
        self._known: OrderedDict[tuple[str, str], None] = OrderedDict()

    def wait(self, address: str, name: str | None, now: float) -> float:
        """Seconds to turn this try away for, 0 to judge it. name: whose token it is, None for a wrong one."""
        if name is not None and (address, name) in self._known:
            return 0.0
        return self._failed.wait(address, now)

    def failed(self, address: str, now: float) -> None:
        """A wrong token came from there."""
        self._failed.take(address, now)

    def succeeded(self, address: str, name: str) -> None:
        """A right one did."""
        self._known[address, name] = None
        self._known.move_to_end((address, name))
        if len(self._known) > MOST_KEYS:
            self._known.popitem(last=False)
