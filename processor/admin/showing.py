"""Rules and records as the API shows them, and what of that is not read again. Pure.

What a read shows can be changed and written back: secrets are the placeholder, and the fields that only a
read has are passed over.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeVar

from pydantic import BaseModel, ValidationError

from processor.admin.problems import invalid
from processor.rules.codec import InvalidRule, read_id
from processor.rules.errors import FieldError
from processor.rules.explain import invalid_fields
from processor.rules.numbered import R, Snapshot
from processor.rules.schema import RuleDraft, TriggerRule
from processor.rules.view import shown

READ_ONLY: Final = ("key", "status", "reason", "offset", "unsealed", "warnings")
"""Beside `updated_by` and `updated_at`, which a draft may hold without effect."""

_LAST_ID: Final = 1 << 53

M = TypeVar("M", bound=BaseModel)


@dataclass(frozen=True, slots=True)
class Filter:
    """Which rules are wanted; None is any."""

    name: str | None = None
    enabled: bool | None = None
    status: str | None = None
    workload: str | None = None
    """Of a scan rule."""

    def takes(self, rule: Any) -> bool:
        """Whether this valid or invalid rule, of any table, is. Whether an invalid one is enabled, and whose
        it is, nobody can tell.
        """
        if self.name not in (None, rule.name):
            return False
        if isinstance(rule, InvalidRule):
            return self.enabled is None and self.workload is None and self.status != "valid"
        return (
            self.status != "invalid"
            and self.enabled in (None, rule.enabled)
            and (self.workload is None or rule.workload == self.workload)
        )


def show_rule(rule: TriggerRule, offset: int, warnings: Sequence[FieldError] = ()) -> dict[str, Any]:
    """A valid rule, whose record stands at `offset`."""
    more: dict[str, Any] = {
        "key": str(rule.id),
        "status": "valid",
        "reason": None,
        "offset": offset,
        "unsealed": list(rule.unsealed()),
    }
    if warnings:
        more["warnings"] = [{"path": one.field, "message": one.message} for one in warnings]
    return {**shown(rule), **more}


def show_record(
    rule: TriggerRule | InvalidRule, offset: int, warnings: Sequence[FieldError] = ()
) -> dict[str, Any]:
    """A record, valid or not."""
    return show_invalid(rule) if isinstance(rule, InvalidRule) else show_rule(rule, offset, warnings)


def show_invalid(rule: InvalidRule) -> dict[str, Any]:
    """A record that is no valid rule."""
    return {
        "id": rule.id,
        "uid": rule.uid,
        "name": rule.name,
        "key": rule.key,
        "status": "invalid",
        "reason": rule.reason,
        "offset": rule.offset,
    }


def page(
    snapshot: Snapshot[R],
    wanted: Filter,
    limit: int,
    cursor: str | None,
    show: Callable[[R | InvalidRule, int], dict[str, Any]],
) -> tuple[list[dict[str, Any]], str | None]:
    """One page of the table, and the cursor of the next one; None where this is the last.

    In the order of the ids, then of the keys that are none. What is written meanwhile moves no other rule to
    another page.
    """
    after = (0, b"") if cursor is None else _place(_read_cursor(cursor))
    items: list[dict[str, Any]] = []
    last = b""
    for key, rule in _records(snapshot):
        if _place(key) <= after or not wanted.takes(rule):
            continue
        if len(items) == limit:
            return items, _cursor(last)
        last = key
        items.append(show(rule, rule.offset if isinstance(rule, InvalidRule) else snapshot.offsets[rule.id]))
    return items, None


def read_draft(body: Mapping[str, Any], rule_id: int | None = None) -> RuleDraft:
    """A rule as somebody writes it: of the rule `rule_id`, or a new one. Raises InvalidFields, Problem."""
    return read_draft_as(RuleDraft, body, rule_id)


def read_draft_as(model: type[M], body: Mapping[str, Any], rule_id: int | None = None) -> M:
    """The same for any kind of rules."""
    said = {name: value for name, value in body.items() if name not in READ_ONLY}
    if rule_id is not None and said.get("id", rule_id) != rule_id:
        raise invalid("id", f"is not {rule_id}, the one in the path")
    try:
        return model.model_validate(said)
    except ValidationError as failure:
        raise invalid_fields(failure) from None


def _records(snapshot: Snapshot[R]) -> Iterator[tuple[bytes, R | InvalidRule]]:
    records: list[tuple[bytes, R | InvalidRule]] = [
        (b"%d" % rule_id, rule) for rule_id, rule in snapshot.rules.items()
    ]
    records += snapshot.invalid.items()
    return iter(sorted(records, key=lambda record: _place(record[0])))


def _place(key: bytes) -> tuple[int, bytes]:
    return read_id(key) or _LAST_ID, key


def _cursor(key: bytes) -> str:
    return base64.urlsafe_b64encode(key or b"\0").decode().rstrip("=")


def _read_cursor(text: str) -> bytes:
    try:
        key = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        key = b""
    if not key:
        raise invalid("cursor", "is not one that a page before gave")
    return key
