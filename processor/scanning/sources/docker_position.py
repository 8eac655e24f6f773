"""Where a tail of the Docker engine goes on: a second to ask for, and how many entries since then are done.

The engine can be asked for the entries since a time, that time included, and knows no better place. Stamps
are not quite in order: the two streams are stamped before they are written, and all parts of a long line have
the stamp of its first. Within one stream the entries keep their order. So a position is a whole second a
little before the last entry, and for each stream the number of its entries from that second on that are done;
a reader that asks for the same second skips as many.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

from processor.scanning.lines import STDERR, STDOUT, Position
from processor.scanning.sources.docker_stamps import nanoseconds_of, second_of

_SLACK: Final = 1
"""Seconds. Two streams are out of order by what a thread may wait between stamping and writing."""

_BACKWARDS: Final = 2_000_000_000
"""Nanoseconds: stamps that fall further back mean that the clock was set back."""

_SECONDS_KEPT: Final = 4096


class Progress:
    """What was read since a position, and the position after it.

    position: what an earlier Progress gave, None for a log that was never read; begin: the second (since the
    epoch) from which on a log without a position is read. `rotated` becomes true when the log has entries,
    but none of those that the position counts: entries between may have gone unread. `entries`: how many were
    read, those that were skipped included.
    """

    __slots__ = ("_counts", "_found", "_last", "_left", "_second", "entries", "pending", "rotated", "since")

    def __init__(self, position: Position | None, begin: int) -> None:
        position = position or {}
        self.since = int(position.get("since", begin))
        self.rotated = False
        self._left = [0, int(position.get("stdout", 0)), int(position.get("stderr", 0))]
        self._last = [0, int(position.get("stdout_last", 0)), int(position.get("stderr_last", 0))]
        self._second = self.since
        self._found = False
        self._counts: dict[int, list[int]] = {}
        self.entries = 0
        self.pending = True

    def skip(self, stream: int, stamp: bytes) -> bool:
        """Whether this entry was done before, or is older than `since`. To be asked for each entry while
        `pending`, in their order.
        """
        if stamp and second_of(stamp) < self.since:
            return True
        if not self._left[stream]:
            self.pending = self._left[STDOUT] + self._left[STDERR] > 0
            return False
        is_done = not stamp or nanoseconds_of(stamp) <= self._last[stream]
        if is_done:
            self._found = True
            self._left[stream] -= 1
            self.add(stamp, stream, 1)
        else:
            # Behind everything of its stream that was done. What was still to be skipped went away with an
            # old file; where any of it was left, the log has no hole.
            self.rotated = self.rotated or not self._found
            self._left[stream] = 0
        self.pending = self._left[STDOUT] + self._left[STDERR] > 0
        return is_done

    def add(self, stamp: bytes, stream: int, entries: int) -> None:
        """So many entries of a stream, of the second of `stamp` (b"": of the entry before), are done."""
        if stamp:
            self._second = second_of(stamp)
        counts = self._counts.get(self._second)
        if counts is None:
            counts = self._counts[self._second] = [0, 0, 0]
        counts[stream] += entries
        self.entries += entries

    def after(self, last: Mapping[int, bytes], unfinished: Iterable[bytes] = ()) -> Position:
        """The position behind all that was added.

        last: of each stream that had any, the last stamp since the position before. unfinished: stamps of
        lines of which some entries were read, but not added.
        """
        for stream, text in last.items():
            stamp = nanoseconds_of(text)
            if not self._last[stream] - _BACKWARDS <= stamp <= self._last[stream]:
                self._last[stream] = stamp
        first = min((self._second, *(second_of(stamp) for stamp in unfinished)))
        # Before `since` nothing was counted; unless the clock was set back: then better repeat than skip.
        self.since = max(first - _SLACK, min(self.since, first))
        for second in [each for each in self._counts if each < self.since]:
            del self._counts[second]
        while len(self._counts) > _SECONDS_KEPT:
            del self._counts[min(self._counts)]
        return {
            "since": self.since,
            "stdout": sum(counts[STDOUT] for counts in self._counts.values()),
            "stderr": sum(counts[STDERR] for counts in self._counts.values()),
            "stdout_last": self._last[STDOUT],
            "stderr_last": self._last[STDERR],
        }
