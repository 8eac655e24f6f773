"""What has been judged and is not yet committed: outputs, offsets, and when to write them.

Pure: time is passed in.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from processor.kafka.records import InRecord, OutRecord, Position

Outcome = Literal["matched", "unmatched", "dead"]

HIT_WAIT = 0.005
"""Seconds a hit waits for company: a commit costs 5 to 20 ms; a longer wait would be felt, a shorter one
wasted.
"""

BEHIND_WAIT = 0.05
"""Seconds a hit waits while there is a backlog: nobody would feel a few ms less, and a commit for every few
events would make the backlog last.
"""

QUIET_WAIT = 0.1
"""Seconds between commits of offsets alone."""

MAX_RECORDS = 20_000
MAX_BYTES = 32 * 1_048_576
"""Beyond either, a transaction could stay open for more than a second."""


@dataclass(slots=True)
class _Made:
    """An event that made records, the first of them at index `start`."""

    start: int
    event: InRecord
    outcome: Outcome


class Batch:
    """Judged events, in order per partition."""

    def __init__(self) -> None:
        self.records: list[OutRecord] = []
        self.next_offsets: dict[Position, int] = {}
        self.outcomes: dict[Outcome, int] = {"matched": 0, "unmatched": 0, "dead": 0}
        self.behind = False
        """Whether more events are waiting than one fetch brings."""
        self.repaired = 0
        self.wrong_types = 0
        self._made: list[_Made] = []
        self._bytes = 0
        self._hit_at: float | None = None
        self._since: float | None = None

    def add(
        self, event: InRecord, records: Sequence[OutRecord], outcome: Literal["matched", "dead"], now: float
    ) -> None:
        """Take what the judgement of `event` made: its jobs, or its dead letter. `now`: monotonic seconds."""
        self.outcomes[outcome] += 1
        if self._hit_at is None:
            self._hit_at = now
        self._made.append(_Made(len(self.records), event, outcome))
        self.records.extend(records)
        self._bytes += sum(len(r.value or b"") + 512 for r in records)

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
        if self._hit_at is None:
            return quiet
        return min(quiet, self._hit_at + (BEHIND_WAIT if self.behind else HIT_WAIT))

    def full(self) -> bool:
        """True when it must be written before more is added."""
        return len(self.records) >= MAX_RECORDS or self._bytes >= MAX_BYTES

    def jobs(self) -> int:
        """How many of the records are jobs."""
        return len(self.records) - self.outcomes["dead"]

    def hit_times_ms(self) -> Iterator[int]:
        """When the events that fired were logged, ms since 1970; those without a time left out."""
        times = (made.event.timestamp()[1] for made in self._made if made.outcome == "matched")
        return (time for time in times if time > 0)

    def event_of(self, index: int) -> InRecord:
        """The event whose judgement made record `index`."""
        return self._made[self._place(index)].event

    def replace_event_of(self, index: int, letter: OutRecord) -> None:
        """Put a dead letter in the place of everything that the event of record `index` made."""
        place = self._place(index)
        made = self._made[place]
        end = self._made[place + 1].start if place + 1 < len(self._made) else len(self.records)
        self.records[made.start : end] = [letter]
        for later in self._made[place + 1 :]:
            later.start -= end - made.start - 1
        self.outcomes[made.outcome] -= 1
        self.outcomes["dead"] += 1
        made.outcome = "dead"

    def owns(self, positions: Iterable[Position]) -> bool:
        """True if anything of these partitions is in it."""
        return any(p in self.next_offsets for p in positions)

    def _place(self, index: int) -> int:
        return bisect_right(self._made, index, key=lambda made: made.start) - 1
