"""Between the scan rule topic's records and scan rules; reading never raises. As rules/codec.py, whose keys,
formats and invalid rules these are too.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from typing import Any

import msgspec

from processor.durations import format_duration
from processor.rules.codec import Headers, InvalidRule, read_as
from processor.rules.fields import format_time
from processor.scanning.rule import ScanRule


def read_record(
    key: bytes | None, value: bytes, headers: Headers | None, offset: int
) -> ScanRule | InvalidRule:
    """The scan rule in a record (not a tombstone, not `_table`), or why it is none."""
    return read_as(ScanRule, key, value, headers, offset, identify=_identity)


def _identity(name: str, record: Mapping[str, Any]) -> Hashable | None:
    workload = record.get("workload")
    return (workload, name) if workload is None or isinstance(workload, str) else None


def to_record(rule: ScanRule) -> bytes:
    """The record's value: JSON in UTF-8, fields in the order of to_fields()."""
    return msgspec.json.encode(to_fields(rule))


def to_fields(rule: ScanRule) -> dict[str, Any]:
    """The rule as plain JSON values; workload and overrides only where they say something."""
    fields: dict[str, Any] = {
        "id": rule.id,
        "name": rule.name,
        "enabled": rule.enabled,
        "description": rule.description,
        "labels": dict(rule.labels),
        "pattern": rule.pattern,
        "severity": rule.severity,
        "message_template": rule.message_template,
        "cooldown": format_duration(rule.cooldown),
        "streams": rule.streams,
    }
    if rule.workload is not None:
        fields["workload"] = rule.workload
    if rule.overrides is not None:
        fields["overrides"] = rule.overrides
    fields["set"] = rule.set
    fields["updated_by"] = rule.updated_by
    if rule.updated_at is not None:
        fields["updated_at"] = format_time(rule.updated_at)
    return fields
