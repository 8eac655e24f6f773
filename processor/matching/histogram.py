"""Counts over time in few buckets, whatever the stretch of time turns out to be.

Nothing needs to be known beforehand, and what is counted may come in any order: when the buckets become too
many, they are put together into wider ones. Widths are those that people count in; each is a multiple of the
one before, so that nothing has to be split.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple

MAX_BUCKETS: Final = 24

_SECOND: Final = 1_000
_MINUTE: Final = 60 * _SECOND
_HOUR: Final = 60 * _MINUTE
_DAY: Final = 24 * _HOUR

TIME_WIDTHS: Final = (
    *(n * _SECOND for n in (1, 5, 10, 30)),
    *(n * _MINUTE for n in (1, 5, 10, 30)),
    *(n * _HOUR for n in (1, 6, 12)),
    *(n * _DAY for n in (1, 7, 28, 364)),
)
"""In milliseconds."""

COUNT_WIDTHS: Final = tuple(n * 10**zeros for zeros in range(8) for n in (1, 5))
"""For what has no time: its number."""


class Bucket(NamedTuple):
    """Counts of everything from `start` to before `start + width`, of each series."""

    start: int
    width: int
    counts: tuple[int, ...]


class Histogram:
    """Counts of several series over one axis."""

    def __init__(self, series: int, widths: Sequence[int]) -> None:
        """`series`: how many. `widths`: of buckets, rising; beyond the last, ten times as wide each."""
        self._series = series
        self._widths = widths
        self._step = 0
        self.width = widths[0]
        self._buckets: dict[int, list[int]] = {}

    def add(self, at: int, series: Sequence[int]) -> None:
        """Count one in each of these series at this place of the axis."""
        index = at // self.width
        counts = self._buckets.get(index)
        if counts is None:
            counts = self._buckets[index] = [0] * self._series
            if max(self._buckets) - min(self._buckets) >= MAX_BUCKETS:
                self._widen()
                counts = self._buckets[at // self.width]
        for one in series:
            counts[one] += 1

    def buckets(self) -> Iterator[Bucket]:
        """From the first that counts anything to the last, empty ones between them included."""
        if self._buckets:
            none = [0] * self._series
            for index in range(min(self._buckets), max(self._buckets) + 1):
                counts = tuple(self._buckets.get(index, none))
                yield Bucket(index * self.width, self.width, counts)

    def _widen(self) -> None:
        while max(self._buckets) - min(self._buckets) >= MAX_BUCKETS:
            before, self._step = self.width, self._step + 1
            known = self._step < len(self._widths)
            self.width = self._widths[self._step] if known else self.width * 10
            wider: dict[int, list[int]] = {}
            for index, counts in self._buckets.items():
                into = wider.setdefault(index * before // self.width, [0] * self._series)
                for one, count in enumerate(counts):
                    into[one] += count
            self._buckets = wider
