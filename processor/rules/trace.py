"""The table as the store's reader sees it, and the trace that a write has left in it."""

from __future__ import annotations

import threading
from typing import Any, Final, Generic

from processor.kafka.records import InRecord, headers_of
from processor.rules.numbered import S, Table

WRITE_ID: Final = "write-id"
"""Header on every record of a write: how a writer finds its own after an answer was lost."""


class WriteTrace(Generic[S]):
    """A TableSink, filled by the reader's thread and asked by any other."""

    def __init__(self, table: Table[Any, S]) -> None:
        self._lock = threading.Condition()
        self._table = table
        self._write_id = b""
        self._found: dict[bytes, int] = {}

    def reset(self) -> None:
        with self._lock:
            self._table.reset()

    def apply(self, record: InRecord) -> None:
        key, headers, offset = record.key(), headers_of(record), record.offset() or 0
        with self._lock:
            self._table.apply(key, record.value(), headers, offset)
            if self._write_id and (WRITE_ID, self._write_id) in headers:
                self._found[key or b""] = offset
                self._lock.notify_all()

    def snapshot(self) -> S:
        with self._lock:
            return self._table.snapshot()

    def look_for(self, write_id: str) -> None:
        """Note the offsets of the records of this write from here on."""
        with self._lock:
            self._write_id, self._found = write_id.encode(), {}

    def wait_found(self, count: int, timeout: float) -> dict[bytes, int]:
        """Wait for `count` records of the write; those that were read after `timeout` seconds."""
        with self._lock:
            self._lock.wait_for(lambda: len(self._found) >= count, timeout)
            return dict(self._found)

    @property
    def found(self) -> dict[bytes, int]:
        """Key and offset of each record of the write."""
        with self._lock:
            return dict(self._found)
