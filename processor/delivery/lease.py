"""Whether this process may still act on the jobs in its memory.

A process that was stopped (SIGSTOP, a frozen container) or starved for longer than the group's session
timeout has lost its partitions without knowing it: others are sending the jobs it still holds. What tells is
the Kafka thread's own pulse: after a gap in it nothing is sent until a commit that is fenced by the group's
generation, begun after the gap, has gone through.

One thread ticks and proves, any thread asks. Times are seconds of one clock that goes on while the process is
stopped (CLOCK_BOOTTIME also goes on while the machine sleeps).
"""

import time
from typing import Final

MAX_GAP: Final = 3.0
"""Seconds without a tick after which ownership must be proved again.

A member is thrown out 6 s after its last heartbeat, which it sends every 1.5 s: at 3 s it still owns
everything.
"""


class Lease:
    """Begins invalid: the first proof is the first commit after the assignment."""

    __slots__ = ("_broken_at", "_last_tick", "_max_gap", "_valid")

    def __init__(self, now: float, max_gap: float = MAX_GAP) -> None:
        self._max_gap = max_gap
        self._last_tick = now
        self._broken_at = now
        self._valid = False

    def tick(self, now: float) -> bool:
        """The Kafka thread's pulse, at least ten times a second; whether the lease is still valid."""
        if now - self._last_tick > self._max_gap:
            # In this order: a reader between the two sees an invalid lease with an old tick, never a valid
            # one.
            self._valid = False
            self._broken_at = now
        self._last_tick = now
        return self._valid

    def proved(self, began: float) -> None:
        """A commit fenced by the group's generation, begun at `began`, was acknowledged.

        Not a tick: after a stop in the middle of that commit its answer may be older than the stop, and the
        next tick has to see the gap.
        """
        if began >= self._broken_at:
            self._valid = True

    def lost(self, now: float) -> None:
        """Ownership is known to be gone (partitions lost, producer fenced): prove it again before sending."""
        self._valid = False
        self._broken_at = now

    def may_send(self, now: float) -> bool:
        """Whether a job in memory may be sent now; asked right before each request."""
        return self._valid and now - self._last_tick <= self._max_gap


def boot_clock() -> float:
    """Seconds on CLOCK_BOOTTIME: it goes on while the process or the machine is stopped."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)
