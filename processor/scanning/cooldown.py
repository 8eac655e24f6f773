"""Cooldowns: how long a rule keeps silent in a workload after an event, and what it held back. Pure.

Time is the line's own wherever it has one. So a backlog read in a second makes the events that it would have
made line by line, a restart judges again as before, and the clock of this process decides nothing.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Mapping
from typing import Any, Final, NamedTuple, TypeVar

_K = TypeVar("_K")

Key = tuple[str, int]
"""A workload and the id of a rule."""

MOST: Final = 50_000
"""Cooldowns that are remembered; the one that was asked for the longest time ago is forgotten first."""

PLACES: Final = 8
"""Times of events that one cooldown remembers: logs of one workload's containers are read side by side, and
one of them may be hours behind the others.
"""


class Started(NamedTuple):
    """An event has been made of a line of `at` (ms since 1970); it tells of `taken` suppressed ones."""

    key: Key
    at: int
    taken: int


class _Cooldown:
    __slots__ = ("suppressed", "times")

    def __init__(self, times: Iterable[int] = (), suppressed: int = 0) -> None:
        self.times = list(times)
        self.suppressed = suppressed


class Cooldowns:
    """Every workload's and rule's cooldown."""

    def __init__(self) -> None:
        self._kept: OrderedDict[Key, _Cooldown] = OrderedDict()

    def holds_back(self, key: Key, at: int, cooldown_ms: int) -> bool:
        """Whether a hit in a line of `at` comes within the cooldown of an event."""
        kept = self._kept.get(key)
        if kept is None:
            return False
        times = kept.times
        for place, time in enumerate(times):
            if -cooldown_ms < at - time < cooldown_ms:
                if place:
                    times.insert(0, times.pop(place))
                return True
        return False

    def waiting(self, key: Key) -> int:
        """How many were suppressed that no event has told of yet."""
        kept = self._kept.get(key)
        return max(0, kept.suppressed) if kept is not None else 0

    def start(self, started: Started) -> None:
        """An event was made."""
        kept = self._of(started.key)
        kept.times.insert(0, started.at)
        del kept.times[PLACES:]
        kept.suppressed -= started.taken

    def suppress(self, key: Key, count: int = 1) -> None:
        """So many more hits were held back."""
        self._of(key).suppressed += count

    def as_json(self) -> list[list[Any]]:
        """For from_json."""
        return [
            [workload, rule, kept.times, kept.suppressed] for (workload, rule), kept in self._kept.items()
        ]

    @classmethod
    def from_json(cls, rows: Iterable[Any]) -> Cooldowns:
        """What as_json gave. Raises TypeError or ValueError for anything else."""
        cooldowns = cls()
        for workload, rule, times, suppressed in rows:
            key = (str(workload), int(rule))
            cooldowns._kept[key] = _Cooldown(map(int, times), max(0, int(suppressed)))
        return cooldowns

    def _of(self, key: Key) -> _Cooldown:
        kept = self._kept.get(key)
        if kept is None:
            kept = self._kept[key] = _Cooldown()
            if len(self._kept) > MOST:
                self._kept.popitem(last=False)
        else:
            self._kept.move_to_end(key)
        return kept


class Changes:
    """What judging some lines has changed; adding it to the saved state when their events are acknowledged
    brings that to where the lines end. The order of additions doesn't matter.
    """

    __slots__ = ("dropped", "hits", "started", "suppressed")

    def __init__(self) -> None:
        self.started: list[Started] = []
        self.suppressed: dict[Key, int] = {}
        self.dropped: dict[int, int] = {}
        self.hits: dict[int, int] = {}
        """By rule, hits that became events."""

    def add(self, other: Changes) -> None:
        """Take over what the other one holds."""
        self.started += other.started
        _add(self.suppressed, other.suppressed)
        _add(self.dropped, other.dropped)
        _add(self.hits, other.hits)

    @property
    def suppressed_by_rule(self) -> Mapping[int, int]:
        """How many hits of each rule were held back."""
        counts: dict[int, int] = {}
        for (_, rule), count in self.suppressed.items():
            counts[rule] = counts.get(rule, 0) + count
        return counts

    def apply(self, cooldowns: Cooldowns) -> None:
        """Bring saved cooldowns to where these lines end."""
        for key, count in self.suppressed.items():
            cooldowns.suppress(key, count)
        for started in self.started:
            cooldowns.start(started)


def _add(to: dict[_K, int], more: Mapping[_K, int]) -> None:
    for key, count in more.items():
        to[key] = to.get(key, 0) + count
