"""Trigger rules for tests: drafts, records, tables, without a broker unless `rules_settings` is given one."""

import base64
import json
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from itertools import count
from typing import Any

from processor.rules import KeyRing, RuleDraft, RuleSnapshot, RuleTable, Writer
from processor.settings import Settings

KEY = "k1:" + base64.b64encode(b"1" * 32).decode()
OTHER_KEY = "k2:" + base64.b64encode(b"2" * 32).decode()
NOW = datetime(2026, 11, 23, 10, 0, tzinfo=UTC)


def fields(name: Any = "a", **more: Any) -> dict[str, Any]:
    """The fields of a small valid rule, `more` over them."""
    return {"name": name, "action_type": "webhook", "action_target": "https://hooks.example.com/x", **more}


def draft(name: Any = "a", **more: Any) -> RuleDraft:
    return RuleDraft.model_validate(fields(name, **more))


def record(name: Any = "a", **more: Any) -> bytes:
    """A record's value as a plain producer writes it."""
    return json.dumps(fields(name, **more)).encode()


def table_of(records: Iterable[tuple[bytes, bytes | None]]) -> RuleTable:
    """A table of these (key, value) records, at the offsets 0, 1, 2, …"""
    table = RuleTable()
    for offset, (key, value) in enumerate(records):
        table.apply(key, value, None, offset)
    return table


def snapshot_of(rules: Mapping[int, bytes] | None = None, next_id: int | None = None) -> RuleSnapshot:
    """A snapshot of rules by id, and of `_table` with that next_id."""
    records: list[tuple[bytes, bytes | None]] = [(b"%d" % i, value) for i, value in (rules or {}).items()]
    if next_id is not None:
        records.append((b"_table", json.dumps({"next_id": next_id}).encode()))
    return table_of(records).snapshot()


def ring(*entries: str) -> KeyRing:
    return KeyRing.parse(entries)


def writer(keys: KeyRing | None = None, limits: tuple[int, int] = (1_000, 1_000_000)) -> Writer:
    """A writer with one key, a fixed clock, and uids U1, U2, …"""
    numbers = count(1)
    return Writer(
        ring(KEY) if keys is None else keys, "tests", lambda: NOW, lambda: f"U{next(numbers)}", limits
    )


def rules_settings(bootstrap: str, prefix: str, *keys: str) -> Settings:
    """Settings for a store on a broker."""
    return Settings.model_validate(
        {
            "kafka": {"bootstrap_servers": bootstrap},
            "topics": {"prefix": prefix},
            "secrets": {"keys": list(keys)},
        }
    )
