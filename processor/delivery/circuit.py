"""A circuit breaker: stop sending where nothing gets through, and find out soon when it does again.

    closed ──(failures)──> open ──(back-off over)──> half-open ──(probe succeeds)──> closed
                            ^                            │
                            └────(probe fails: twice as long)

Closed, it counts over a sliding window, and opens when at least `failure_share` of at least MIN_SAMPLES
attempts failed, or the last IN_A_ROW all did: a receiver that hangs after a minute of thousands of
successes must not need as many failures. Open, it refuses. When its back-off is over, one attempt at a time
is let through as the probe, a real job; its end decides. The back-off doubles from FIRST_BACKOFF_MS to
`backoff_max_ms` and is shortened by chance to between half and all of it, so that many senders don't probe
a receiver in step.

A refused job is put off, and something must come back when the back-off ends or nobody would ever probe. So
the first SCOUTS refused in each open period are told how long to wait, a second apart; all others go the
usual climb and are woken when the circuit closes (woken.py). A million waiting jobs therefore cost what
their climb costs, however often the circuit probes; and if there are only a few jobs, all of them are
scouts.

Pure: time and chance are arguments. Times are ms of a clock that never goes back (not the wall clock, which
does); waits are relative. One thread.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from processor.settings import CircuitSettings

MIN_SAMPLES: Final = 5
"""Attempts within the window below which no share says anything."""

IN_A_ROW: Final = 20
"""Failures without a success in between that open a circuit whatever the window holds. At a share of failures
that is still below one half, so many in a row are a one in a million chance."""

FIRST_BACKOFF_MS: Final = 5_000

SCOUTS: Final = 16
"""Refused jobs per open period that come back in time for the next probe; one would do, but a scout may be
cancelled, expire, or wait behind others in its topic."""

SCOUT_STEP_MS: Final = 1_000

PROBE_PATIENCE_MS: Final = 15_000
"""When a job that met a probe under way should come again: by then the default time-out has decided."""

PROBE_LOST_MS: Final = 15 * 60_000
"""A probe that was neither decided nor freed for so long is given up; no attempt may take as long (10m)."""

_BUCKETS: Final = 10


@dataclass(frozen=True, slots=True)
class CircuitPolicy:
    """window_ms: how far back attempts count (to a tenth of it); failure_share: above 0, at most 1.

    backoff_max_ms: the longest time without a probe; below FIRST_BACKOFF_MS it is that of the first, too.
    """

    window_ms: int = 60_000
    failure_share: float = 0.5
    backoff_max_ms: int = 300_000

    @classmethod
    def of(cls, settings: CircuitSettings) -> CircuitPolicy:
        """From sender.circuit."""
        return cls(
            int(settings.window.total_seconds() * 1000),
            settings.failure_share,
            int(settings.backoff_max.total_seconds() * 1000),
        )


class State(StrEnum):
    """Open is "nothing goes out yet", half-open "one at a time may, or is on its way"."""

    CLOSED = "closed"
    OPEN = "open"
    HALF_OPEN = "half-open"


class Circuit:
    """One circuit. `enter` and `record` belong together, with `free` for an attempt that told nothing."""

    __slots__ = (
        "_backoff_ms",
        "_counts",
        "_policy",
        "_probe",
        "_probe_since",
        "_retry_at",
        "_row",
        "_scouts",
    )

    def __init__(self, policy: CircuitPolicy) -> None:
        self._policy = policy
        self._counts = _Window(policy.window_ms)
        self._row = 0
        self._backoff_ms = 0  # 0: closed
        self._retry_at = 0
        self._scouts = 0
        self._probe = 0
        self._probe_since: int | None = None

    def state(self, now_ms: int) -> State:
        """What it is now; an open one becomes half-open by time alone."""
        if not self._backoff_ms:
            return State.CLOSED
        return State.OPEN if now_ms < self._retry_at else State.HALF_OPEN

    def retry_in(self, now_ms: int) -> int:
        """ms until the next probe may begin; 0 unless it is open."""
        return max(0, self._retry_at - now_ms) if self._backoff_ms else 0

    def admits(self, now_ms: int) -> bool:
        """Whether an attempt may go out now. Changes nothing: `enter` does."""
        if not self._backoff_ms:
            return True
        if now_ms < self._retry_at:
            return False
        return self._probe_since is None or now_ms - self._probe_since >= PROBE_LOST_MS

    def enter(self, now_ms: int) -> int:
        """An attempt that was admitted begins: 0, or the number of the probe it is."""
        if not self._backoff_ms:
            return 0
        self._probe += 1
        self._probe_since = now_ms
        return self._probe

    def refused(self, now_ms: int) -> int | None:
        """When a job that was not admitted should come again, in ms; None: no time of its own."""
        if not self._scouts:
            return None
        self._scouts -= 1
        at = self._retry_at
        if self._probe_since is not None:
            at = max(at, self._probe_since + PROBE_PATIENCE_MS)
        return max(at - now_ms, 0) + (SCOUTS - self._scouts) * SCOUT_STEP_MS

    def record(self, now_ms: int, *, ok: bool, chance: float, probe: int = 0) -> bool:
        """An attempt ended. `probe` is what `enter` said, `chance` is from [0, 1). True: it opened or closed.

        While the circuit isn't closed only the probe counts: others began before it opened, and what they
        tell is old.
        """
        if self._backoff_ms:
            if not probe or probe != self._probe or self._probe_since is None:
                return False
            if ok:
                self._close()
                return True
            self._open(now_ms, self._backoff_ms * 2, chance)
            return False
        self._counts.add(now_ms, ok=ok)
        self._row = 0 if ok else self._row + 1
        if ok or not self._fails(now_ms):
            return False
        self._open(now_ms, FIRST_BACKOFF_MS, chance)
        return True

    def free(self, probe: int) -> None:
        """An attempt ended without telling anything (broken off, never begun): another may probe."""
        if probe and probe == self._probe:
            self._probe_since = None

    def idle(self, now_ms: int) -> bool:
        """Whether forgetting it changes nothing, or nobody has asked for it in a long time."""
        if self._probe_since is not None and now_ms - self._probe_since < PROBE_LOST_MS:
            return False
        if self._backoff_ms:
            return now_ms >= self._retry_at + self._policy.backoff_max_ms + self._policy.window_ms
        return self._counts.total(now_ms) == (0, 0)

    def _fails(self, now_ms: int) -> bool:
        ok, failed = self._counts.total(now_ms)
        total = ok + failed
        return self._row >= IN_A_ROW or (
            total >= MIN_SAMPLES and failed >= self._policy.failure_share * total
        )

    def _open(self, now_ms: int, backoff_ms: int, chance: float) -> None:
        self._backoff_ms = min(backoff_ms, self._policy.backoff_max_ms)
        self._retry_at = now_ms + self._backoff_ms - int(self._backoff_ms / 2 * chance)
        self._scouts = SCOUTS
        self._probe_since = None

    def _close(self) -> None:
        self._backoff_ms = 0
        self._probe_since = None
        self._row = 0
        self._counts.clear()


class _Window:
    """Successes and failures of the last `span_ms`, in tenths: the oldest tenth leaves as a whole."""

    __slots__ = ("_at", "_buckets", "_failed", "_ok", "_width")

    def __init__(self, span_ms: int) -> None:
        self._width = max(1, span_ms // _BUCKETS)
        self._at = 0
        self.clear()

    def clear(self) -> None:
        self._buckets = [[0, 0] for _ in range(_BUCKETS)]
        self._ok = self._failed = 0

    def add(self, now_ms: int, *, ok: bool) -> None:
        self._advance(now_ms)
        bucket = self._buckets[self._at % _BUCKETS]
        if ok:
            bucket[0] += 1
            self._ok += 1
        else:
            bucket[1] += 1
            self._failed += 1

    def total(self, now_ms: int) -> tuple[int, int]:
        self._advance(now_ms)
        return self._ok, self._failed

    def _advance(self, now_ms: int) -> None:
        number = now_ms // self._width
        if number <= self._at:
            return
        if number - self._at >= _BUCKETS:
            if self._ok or self._failed:
                self.clear()
        else:
            for passed in range(self._at + 1, number + 1):
                bucket = self._buckets[passed % _BUCKETS]
                self._ok -= bucket[0]
                self._failed -= bucket[1]
                bucket[0] = bucket[1] = 0
        self._at = number
