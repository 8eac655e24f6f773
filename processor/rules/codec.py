"""Between the rule topic's records and rules.

Reading never raises and never looks at other records: a record is a valid rule or an invalid one, and the
same bytes mean the same thing after every restart.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeVar

import msgspec
from pydantic import BaseModel, ValidationError

from processor.durations import format_duration
from processor.rules.errors import FieldError, InvalidFields
from processor.rules.explain import invalid_fields
from processor.rules.fields import MAX_ID, MAX_NAME, format_time
from processor.rules.identity import check_uid
from processor.rules.schema import TriggerRule
from processor.rules.values import Reference, Secret, SecretWindow

FORMAT: Final = 1
"""The newest record format this version knows (header `tocsin-format`, absent is 1)."""
FORMAT_HEADER: Final = "tocsin-format"
TABLE_KEY: Final = b"_table"
"""The record that holds the next id to give out."""

Headers = Sequence[tuple[str, bytes | None]]

M = TypeVar("M", bound=BaseModel)

_ID = re.compile(rb"[1-9][0-9]{0,15}")


@dataclass(frozen=True, slots=True)
class InvalidRule:
    """A record that is no valid rule: it fires nothing and is reported.

    `id` is None where the key isn't one; `key` is the record's key for people, `raw_key` as it is. `name`,
    `uid` and `identity` are what the record says of itself, as far as it could be read; `newer` that a newer
    version wrote it.
    """

    id: int | None
    key: str
    reason: str
    offset: int
    raw_key: bytes | None = None
    name: str = ""
    uid: str = ""
    newer: bool = False
    identity: Hashable | None = None


def read_id(key: bytes | None) -> int | None:
    """The id in a record's key: canonical decimal, 1…2^53-1; None for any other key."""
    if key is None or _ID.fullmatch(key) is None:
        return None
    number = int(key)
    return number if number <= MAX_ID else None


def show_key(key: bytes | None) -> str:
    """A key for people: text where it is UTF-8, `\\xNN` for other bytes, on one line."""
    text = (key or b"").decode("utf-8", "backslashreplace")
    return text if text.isprintable() else ascii(text)[1:-1]


def newer_format(headers: Headers | None) -> str:
    """Why a record of this format can't be read; empty when it can."""
    for name, value in headers or ():
        if name == FORMAT_HEADER:
            text = (value or b"").decode("ascii", "replace")
            if not (text.isascii() and text.isdigit()):
                return f"header {FORMAT_HEADER} is not a number"
            if int(text[:9]) > FORMAT or len(text) > 9:
                shown = f"format {text[:9]}, this one knows {FORMAT}"
                return f"written by a newer version of Tocsin ({shown}): upgrade"
    return ""


def read_record(
    key: bytes | None, value: bytes, headers: Headers | None, offset: int
) -> TriggerRule | InvalidRule:
    """The rule in a record (not a tombstone, not `_table`), or why it is none."""
    return read_as(TriggerRule, key, value, headers, offset, further=_no_placeholders)


def _no_placeholders(rule: TriggerRule) -> Iterable[FieldError]:
    return (FieldError(path, "holds the placeholder, not a secret") for path in rule.placeholders())


def read_as(
    model: type[M],
    key: bytes | None,
    value: bytes,
    headers: Headers | None,
    offset: int,
    *,
    further: Callable[[M], Iterable[FieldError]] = lambda _: (),
    identify: Callable[[str, Mapping[str, Any]], Hashable | None] = lambda name, _: name,
) -> M | InvalidRule:
    """The record (not a tombstone, not `_table`) as `model`, or why it is none.

    further: what else is wrong with one that the model takes. identify: the identity of one that it doesn't
    take, from its name and its fields.
    """
    rule_id = read_id(key)
    if newer := newer_format(headers):
        return InvalidRule(rule_id, show_key(key), newer, offset, key, newer=True)
    try:
        record = msgspec.json.decode(value)
    except (msgspec.MsgspecError, RecursionError, ValueError) as failure:
        why = "nested too deeply" if isinstance(failure, RecursionError) else _plain(str(failure))
        return InvalidRule(rule_id, show_key(key), f"not JSON: {why}", offset, key)
    if not isinstance(record, dict):
        return InvalidRule(rule_id, show_key(key), "not a JSON object", offset, key)
    errors: list[FieldError] = []
    if rule_id is None:
        errors.append(FieldError("key", f"is not a rule id (1 to {MAX_ID} in decimal)"))
    elif "id" in record and (type(record["id"]) is not int or record["id"] != rule_id):
        errors.append(FieldError("id", "is not the record's key"))
    try:
        rule = model.model_validate({**record, "id": rule_id or 1})
    except ValidationError as failure:
        errors += invalid_fields(failure).errors
    else:
        errors += further(rule)
        if not errors:
            return rule
    said, uid = record.get("name"), record.get("uid")
    name = said if isinstance(said, str) and len(said) <= MAX_NAME else ""
    return InvalidRule(
        rule_id,
        show_key(key),
        str(InvalidFields(errors)),
        offset,
        key,
        name,
        uid if isinstance(uid, str) and _is_uid(uid) else "",
        identity=identify(name, record) if name else None,
    )


def to_record(rule: TriggerRule) -> bytes:
    """The record's value: JSON in UTF-8, fields in the order of the contract, absent where they say
    nothing.
    """
    return msgspec.json.encode(to_fields(rule))


def to_fields(rule: TriggerRule) -> dict[str, Any]:
    """The rule as plain JSON values, secrets as they stand in it (view.py has what may be shown)."""
    fields: dict[str, Any] = {
        "id": rule.id,
        "uid": rule.uid,
        "name": rule.name,
        "enabled": rule.enabled,
        "description": rule.description,
        "labels": dict(rule.labels),
        "filter_severity": list(rule.filter_severity),
        "filter_source": list(rule.filter_source),
        "filter_message_regex": rule.filter_message_regex,
    }
    if rule.filter_pattern is not None:
        fields["filter_pattern"] = rule.filter_pattern
    fields["action_type"] = rule.action_type
    fields["action_target"] = _value(rule.action_target)
    if rule.action_secret is not None:
        fields["action_secret"] = _signing(rule.action_secret)
    if rule.muted_until is not None:
        fields["muted_until"] = format_time(rule.muted_until)
    if rule.paused:
        fields["paused"] = True
    delivery = _delivery(rule)
    if delivery:
        fields["delivery"] = delivery
    fields["set"] = rule.set
    fields["updated_by"] = rule.updated_by
    if rule.updated_at is not None:
        fields["updated_at"] = format_time(rule.updated_at)
    return fields


def _delivery(rule: TriggerRule) -> dict[str, Any]:
    delivery = rule.delivery
    fields: dict[str, Any] = {}
    if delivery.timeout is not None:
        fields["timeout"] = format_duration(delivery.timeout)
    if delivery.rate_limit is not None:
        fields["rate_limit"] = str(delivery.rate_limit)
    if delivery.max_attempts is not None:
        fields["max_attempts"] = delivery.max_attempts
    if delivery.expires_after is not None:
        fields["expires_after"] = format_duration(delivery.expires_after)
    if not delivery.retry_4xx:
        fields["retry_4xx"] = False
    if delivery.headers:
        fields["headers"] = {name: _value(value) for name, value in delivery.headers.items()}
    return fields


def _signing(secret: Secret | Reference | tuple[SecretWindow, ...]) -> Any:
    return [_window(one) for one in secret] if isinstance(secret, tuple) else _value(secret)


def _window(window: SecretWindow) -> dict[str, Any]:
    times = {"not_before": window.not_before, "not_after": window.not_after}
    return {**_value(window.value), **{n: format_time(at) for n, at in times.items() if at is not None}}


def _value(value: str | BaseModel) -> Any:
    return value if isinstance(value, str) else value.model_dump(exclude_defaults=True)


def _is_uid(uid: str) -> bool:
    try:
        check_uid(uid)
    except ValueError:
        return False
    return True


def _plain(text: str) -> str:
    return text.removeprefix("JSON is malformed: ")
