"""How fast a destination has been getting through its attempts, as far as it was watched.

Pure; times are ms of a clock that never goes back.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import exp
from typing import Final

_PACE_MS: Final = 5_000
"""The time over which a destination's pace is measured."""


@dataclass(slots=True)
class Pace:
    """How long a destination's attempts take, as they have of late: what is older fades over its busy time.

    Not how many it finishes: one that is given few jobs finishes few, would be thought slow, and be given
    fewer still.
    """

    at: int
    busy_ms: float = 0.0
    taken_ms: float = 0.0
    finished: float = 0.0

    def tick(self, now_ms: int, in_flight: int) -> None:
        """Time has passed with so many attempts under way."""
        if in_flight and now_ms > self.at:
            passed = now_ms - self.at
            self.busy_ms += passed
            fading = exp(-passed / _PACE_MS)
            self.finished *= fading
            self.taken_ms = self.taken_ms * fading + in_flight * _PACE_MS * (1 - fading)
        self.at = now_ms

    def finish(self) -> None:
        """One more."""
        self.finished += 1

    def of(self, now_ms: int, in_flight: int) -> tuple[float, float]:
        """Busy time in all, and ms per attempt; 0: none has finished."""
        self.tick(now_ms, in_flight)
        if self.finished < 0.01 or not self.busy_ms:
            return self.busy_ms, 0.0
        return self.busy_ms, self.taken_ms / self.finished
