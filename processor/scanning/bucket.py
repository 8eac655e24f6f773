"""Token buckets: how many events one container may make. Pure."""

from __future__ import annotations


class Bucket:
    """Holds `burst` events at most and gets `rate` a second. Time is that of the lines, in ms since 1970, so
    that a backlog may make as many events as it would have made line by line; it never goes back.
    """

    __slots__ = ("_at", "_burst", "_rate", "_tokens")

    def __init__(self, rate: int, burst: int) -> None:
        self._rate = rate / 1_000
        self._burst = float(burst)
        self._tokens = self._burst
        self._at = 0

    def take(self, at: int) -> bool:
        """Whether one more event may be made now, and if so, count it."""
        if at > self._at:
            self._tokens = min(self._burst, self._tokens + (at - self._at) * self._rate)
            self._at = at
        if self._tokens < 1:
            return False
        self._tokens -= 1
        return True
