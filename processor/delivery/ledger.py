"""Outcomes that are not written yet: what goes into the next transaction, and what drops out of it. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from processor.delivery.lanes import Lane
from processor.delivery.outcome import Outcome
from processor.kafka.records import OutRecord


@dataclass(frozen=True, slots=True)
class Entry:
    """What became of one job: the records that say so, and the outcome for metrics.

    No outcome for what is neither an attempt nor a decision: a hop to another tier, a repeated deferral, a
    record that is no job (`unreadable`).
    """

    lane: Lane
    records: Sequence[OutRecord]
    outcome: Outcome | None = None
    matched_at_ms: int = 0
    unreadable: bool = False


class Ledger:
    """Entries in the order in which they came."""

    def __init__(self) -> None:
        self._entries: list[Entry] = []

    def add(self, entry: Entry) -> None:
        """One more for the next transaction."""
        self._entries.append(entry)

    def take(self) -> list[Entry]:
        """Everything there is, to be written now."""
        entries, self._entries = self._entries, []
        return entries

    def put_back(self, entries: list[Entry]) -> None:
        """These were not written; they come first next time. What was lost meanwhile drops out."""
        self._entries[:0] = [entry for entry in entries if not entry.lane.closed]

    def drop_closed(self) -> None:
        """Forget what belongs to partitions that are somebody else's now."""
        self._entries = [entry for entry in self._entries if not entry.lane.closed]

    def __len__(self) -> int:
        return len(self._entries)
