"""Throughput, CPU and memory of a process while it works off a backlog."""

import time
from collections.abc import Callable
from dataclasses import dataclass

from benchmarks.usage import cpu_seconds, resident_mib

EVERY = 0.01
WARM_UP = 1.0
"""Seconds of work before the measurement begins, or the time of a tenth of the backlog if that is less."""

START_TIMEOUT = 60.0
STALLED = 30.0
"""Seconds without any progress after which a measurement is given up."""


@dataclass(frozen=True, slots=True)
class Window:
    """A stretch in the middle of the work."""

    done: int
    seconds: float
    cpu: float
    """CPU seconds of the process, all threads."""
    rss: float
    """MiB at its end."""

    @property
    def rate(self) -> float:
        """Done per second."""
        return self.done / self.seconds

    @property
    def cpu_each(self) -> float:
        """CPU seconds per one done."""
        return self.cpu / self.done


def measure(
    pid: int,
    progress: Callable[[], int],
    *,
    total: int,
    end: float,
    seconds: float,
    alive: Callable[[], None],
) -> Window:
    """Watch the process `pid` until it has done `end` (a share) of `total`, or for `seconds` once warm.

    `progress` answers how many are done; both ends of the window are moments at which that has just changed,
    so progress in lumps is not counted wrong. `alive` raises when the process has ended. RuntimeError when
    nothing moves.
    """
    watch = _Watch(progress, alive)
    watch.change(START_TIMEOUT)
    first = watch.at
    while watch.done < total / 10 and watch.at - first < WARM_UP:
        watch.change(STALLED)
    start_done, start_at, start_cpu = watch.done, watch.at, cpu_seconds(pid)
    while watch.done < total * end and watch.at - start_at < seconds:
        watch.change(STALLED)
    if watch.done == start_done:
        raise RuntimeError("all was done before it could be measured: the backlog is too small")
    return Window(
        watch.done - start_done, watch.at - start_at, cpu_seconds(pid) - start_cpu, resident_mib(pid)
    )


class _Watch:
    def __init__(self, progress: Callable[[], int], alive: Callable[[], None]) -> None:
        self._progress = progress
        self._alive = alive
        self.done = 0
        self.at = 0.0

    def change(self, timeout: float) -> None:
        """Wait until more is done."""
        until = time.monotonic() + timeout
        while (done := self._progress()) <= self.done:
            self._alive()
            if time.monotonic() > until:
                raise RuntimeError(f"no progress for {timeout:g} s at {self.done} done")
            time.sleep(EVERY)
        self.done, self.at = done, time.monotonic()
