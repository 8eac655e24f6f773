"""The newest records of the audit trail, in memory, and how far back they are complete. Pure; any thread."""

from __future__ import annotations

import threading
from bisect import bisect_left
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from typing import Final

from processor.delivery.trail import AuditRecord, Place

MOST_RECORDS: Final = 50_000
MOST_BYTES: Final = 64 << 20

_RECORD_BYTES: Final = 1_500  # what a record and its place take besides their longer texts, about
_NEWEST: Final = Place(1 << 62, 0, 0)


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which records are asked for. rule: an id, or a name as it was at the time; since_ms: 0 for all."""

    rule: str | None = None
    job_id: str | None = None
    outcome: str | None = None
    since_ms: int = 0

    def takes(self, record: AuditRecord) -> bool:
        """Whether the record is, apart from its time."""
        return (
            (self.job_id is None or record.job_id == self.job_id)
            and (self.rule is None or self.rule in {str(record.rule_id), record.rule_name})
            and (self.outcome is None or record.outcome == self.outcome)
        )


class DeliveryIndex:
    """Bounded: what is oldest leaves first."""

    def __init__(self, most_records: int = MOST_RECORDS, most_bytes: int = MOST_BYTES) -> None:
        self._most_records = most_records
        self._most_bytes = most_bytes
        self._lock = threading.Lock()
        self._complete_since_ms = 0
        self._clear()

    def clear(self) -> None:
        """Forget everything."""
        with self._lock:
            self._clear()

    def left_out(self, partitions: Collection[int]) -> None:
        """Say that older records of these partitions were never added."""
        with self._lock:
            firsts: dict[int, int] = {}
            for place, _ in self._entries:
                firsts.setdefault(place.partition, place.at_ms)
            # A partition that was cut and shows nothing says nothing about when.
            late = max((firsts.get(one, _NEWEST.at_ms) for one in partitions), default=0)
            if late == _NEWEST.at_ms:
                late = self._entries[-1][0].at_ms + 1 if self._entries else 0
            self._complete_since_ms = max(self._complete_since_ms, late)

    def add(self, entries: Iterable[tuple[Place, AuditRecord]]) -> None:
        """Take more, in whatever order they come."""
        with self._lock:
            more = list(entries)
            behind = self._entries[-1][0] if self._entries else None
            self._entries += more
            if any(place < behind for place, _ in more if behind is not None) or len(more) > 1:
                self._entries.sort(key=lambda entry: entry[0])  # nearly sorted already: one pass
            self._bytes += sum(map(_size, more))
            self._cut()

    def newest(
        self, wanted: Wanted, limit: int, before: Place | None = None
    ) -> tuple[list[AuditRecord], Place | None]:
        """Up to `limit` records, newest first, from before that place on; and where to go on, None at the
        end.
        """
        with self._lock:
            at = bisect_left(self._entries, before or _NEWEST, key=lambda entry: entry[0])
            found: list[AuditRecord] = []
            last = None
            while at > 0:
                at -= 1
                place, record = self._entries[at]
                if place.at_ms < wanted.since_ms:
                    break
                if wanted.takes(record):
                    if len(found) == limit:
                        return found, last
                    found.append(record)
                    last = place
            return found, None

    @property
    def complete_since_ms(self) -> int:
        """From when on every record is here (ms since 1970); 0: all that the topic held when it was read."""
        return self._complete_since_ms

    def __len__(self) -> int:
        return len(self._entries)

    def _clear(self) -> None:
        self._entries: list[tuple[Place, AuditRecord]] = []
        self._bytes = 0
        self._complete_since_ms = 0

    def _cut(self) -> None:
        count, size = 0, self._bytes
        while len(self._entries) - count > self._most_records or size > self._most_bytes:
            size -= _size(self._entries[count])
            count += 1
        if count:
            self._complete_since_ms = max(self._complete_since_ms, self._entries[count - 1][0].at_ms + 1)
            self._bytes = size
            del self._entries[:count]


def _size(entry: tuple[Place, AuditRecord]) -> int:
    record = entry[1]
    return _RECORD_BYTES + 2 * (len(record.snippet) + len(record.error))
