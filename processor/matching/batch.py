"""What has been judged and is not yet committed: outputs, offsets, and when to write them. Pure: time is passed in."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Sequence
from typing import Literal

from processor.kafka.records import InRecord, OutRecord, Position

Outcome = Literal["matched", "unmatched", "dead"]

HIT_WAIT = 0.005
"""Seconds a hit waits for company: a commit costs 5 to 20 ms, so a longer wait would be felt and a shorter one wasted."""

QUIET_WAIT = 0.1
"""Seconds between commits of offsets alone."""

MAX_RECORDS = 20_000
MAX_BYTES = 32 * 1_048_576
"""Beyond either, a transaction could stay open for more than a second."""


class Batch:
    """Judged events, in order per partition."""

    def __init__(self) -> None:
        self.records: list[OutRecord] = []
        self.next_offsets: dict[Position, int] = {}
        self.outcomes: dict[Outcome, int] = {"matched": 0, "unmatched": 0, "dead": 0}
        self.hit_times_ms: list[int] = []
        self._events: list[tuple[int, InRecord]] = []
        self._bytes = 0
        self._hit_at: float | None = None
        self._since: float | None = None

    def add(
        self, event: InRecord, position: Position, records: Sequence[OutRecord], outcome: Outcome, now: float
    ) -> None:
        """Take the judgement of `event` at `position`: its jobs, its dead letter, or nothing. `now`: monotonic seconds."""
        self.advance(position, (event.offset() or 0) + 1, now)
        self.outcomes[outcome] += 1
        if records:
            if self._hit_at is None:
                self._hit_at = now
            self._events.append((len(self.records), event))
            self.records.extend(records)
            self._bytes += sum(len(r.value or b"") + 512 for r in records)
            if outcome == "matched":
                self.hit_times_ms.append(event.timestamp()[1])

    def advance(self, position: Position, next_offset: int, now: float) -> None:
        """Everything before `next_offset` is judged (or is a marker that no reader sees)."""
        if self.next_offsets.get(position, -1) < next_offset:
            self.next_offsets[position] = next_offset
        if self._since is None:
            self._since = now

    def due_at(self) -> float | None:
        """When to write (monotonic seconds); None when there is nothing to write."""
        if self._since is None:
            return None
        quiet = self._since + QUIET_WAIT
        return quiet if self._hit_at is None else min(quiet, self._hit_at + HIT_WAIT)

    def full(self) -> bool:
        """True when it must be written before more is added."""
        return len(self.records) >= MAX_RECORDS or self._bytes >= MAX_BYTES

    def event_of(self, index: int) -> InRecord:
        """The event whose judgement made record `index`."""
        return self._events[self._place(index)][1]

    def replace_event_of(self, index: int, record: OutRecord) -> None:
        """Put `record` in the place of everything that the event of record `index` made."""
        place = self._place(index)
        start = self._events[place][0]
        end = self._events[place + 1][0] if place + 1 < len(self._events) else len(self.records)
        self.records[start:end] = [record]
        removed = end - start - 1
        self._events[place + 1 :] = [(s - removed, e) for s, e in self._events[place + 1 :]]
        self.outcomes["matched"] -= 1
        self.outcomes["dead"] += 1

    def owns(self, positions: Iterable[Position]) -> bool:
        """True if anything of these partitions is in it."""
        return any(p in self.next_offsets for p in positions)

    def _place(self, index: int) -> int:
        return bisect_right(self._events, index, key=lambda entry: entry[0]) - 1
