"""Processes that are killed, stopped and frozen by a seeded plan while they work."""

import random
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from tests.support.processes import Process

FENCED = "Static consumer fenced by other consumer"
"""A member with a name of its own may be fenced by itself: when a broker dies, the answer to its JoinGroup is
lost, and the member id it goes on with has been replaced (KIP-345). It ends, to be started again.
"""

FROZEN_FOR = 8.0
"""Seconds: longer than session.timeout.ms (6 s) and than transaction.timeout.ms (5 s)."""


@dataclass(order=True)
class Step:
    """Something to do `at` a time (seconds from the start)."""

    at: float
    what: str = field(compare=False)
    do: Callable[[], object] = field(compare=False)


class Victim:
    """One process after the other in one place; `start` makes the next."""

    def __init__(self, name: str, start: Callable[[], Process]) -> None:
        self.name = name
        self._start = start
        self.process = start()
        self.kills = 0

    def kill(self) -> None:
        """SIGKILL."""
        self._check_alive()
        self.process.kill()
        self.kills += 1

    def begin_again(self) -> None:
        """Start it again after a kill."""
        self.process = self._start()

    def restart(self) -> None:
        """SIGTERM, and start it again once it has drained."""
        self._check_alive()
        assert self.process.stop() == 0
        self.begin_again()

    def freeze(self) -> None:
        """SIGSTOP."""
        self._check_alive()
        self.process.freeze()

    def thaw(self) -> None:
        """SIGCONT: a zombie that doesn't know it."""
        self.process.thaw()

    def stop(self) -> None:
        """SIGTERM, and wait until it has drained."""
        self._check_alive()
        assert self.process.stop() == 0

    def _check_alive(self) -> None:
        code = self.process.returncode
        if code == 1 and FENCED in self.process.log():
            self.begin_again()  # as whoever supervises it does
            self.process.wait_ready()
            return
        assert code is None, (
            f"{self.name} has ended by itself with exit code {code}\n{self.process.log()[-3000:]}"
        )


def plan_for(victim: Victim, dice: random.Random, gap: float, kills: int, freezes: int) -> Iterator[Step]:
    """Kills and freezes in an order, and `gap` to twice as many seconds apart, that `dice` decides."""
    acts = ["kill"] * kills + ["freeze"] * freezes
    dice.shuffle(acts)
    at = 0.0
    for act in acts:
        at += dice.uniform(gap, 2 * gap)
        if act == "kill":
            yield Step(at, f"kill {victim.name}", victim.kill)
            at += dice.choice([0.0, 1.0])
            yield Step(at, f"start {victim.name}", victim.begin_again)
        else:
            yield Step(at, f"freeze {victim.name}", victim.freeze)
            at += FROZEN_FOR
            yield Step(at, f"thaw {victim.name}", victim.thaw)


def carry_out(steps: list[Step], meanwhile: Callable[[float], object]) -> None:
    """Do the steps when their time has come; `meanwhile` is called in between with the seconds gone by."""
    began = time.monotonic()
    for step in sorted(steps):
        while (gone := time.monotonic() - began) < step.at:
            meanwhile(gone)
        print(f"{gone:6.1f} s: {step.what}")
        step.do()
