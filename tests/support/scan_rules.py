"""Scan rules for tests: drafts, records, tables, without a broker."""

import json
from collections.abc import Iterable, Mapping
from typing import Any

from processor.rules.building import Writer
from processor.rules.sealing import KeyRing
from processor.scanning.changes import ScanBatch, ScanChange, build
from processor.scanning.rule import ScanDraft
from processor.scanning.table import ScanSnapshot, ScanTable
from tests.support.rules import NOW


def fields(name: Any = "oom", **more: Any) -> dict[str, Any]:
    """The fields of a small valid scan rule, `more` over them."""
    return {"name": name, "pattern": "Out of memory", "severity": "error", **more}


def draft(name: Any = "oom", **more: Any) -> ScanDraft:
    return ScanDraft.model_validate(fields(name, **more))


def record(name: Any = "oom", **more: Any) -> bytes:
    """A record's value as a plain producer writes it."""
    return json.dumps(fields(name, **more)).encode()


def table_of(records: Iterable[tuple[bytes, bytes | None]]) -> ScanTable:
    """A table of these (key, value) records, at the offsets 0, 1, 2, …"""
    table = ScanTable()
    for offset, (key, value) in enumerate(records):
        table.apply(key, value, None, offset)
    return table


def snapshot_of(rules: Mapping[int, bytes] | None = None, next_id: int | None = None) -> ScanSnapshot:
    """A snapshot of rules by id, and of `_table` with that next_id."""
    records: list[tuple[bytes, bytes | None]] = [(b"%d" % i, value) for i, value in (rules or {}).items()]
    if next_id is not None:
        records.append((b"_table", json.dumps({"next_id": next_id}).encode()))
    return table_of(records).snapshot()


def writer(limits: tuple[int, int] = (1_000, 1_000_000)) -> Writer:
    """A writer with a fixed clock."""
    return Writer(KeyRing.parse([]), "tests", lambda: NOW, lambda: "", limits)


def applied(table: ScanTable, *changes: ScanChange) -> ScanBatch:
    """Build these changes and apply what would be written to the table."""
    batch = build(changes, table.snapshot(), writer())
    for record_ in batch.records:
        table.apply(record_.key, record_.value, None, table.snapshot().next_offset)
    return batch
