"""A rule as it may be shown: every secret is the placeholder, of a secret target the origin beside it."""

from __future__ import annotations

from typing import Any

from processor.rules.codec import to_fields
from processor.rules.schema import TriggerRule
from processor.rules.values import PLACEHOLDER, Secret

_HEADERS = "delivery.headers."
_BY_THE_WRITER = ("updated_by", "updated_at")


def shown(rule: TriggerRule) -> dict[str, Any]:
    """What `rules list`, `get` and the API show; written back it changes nothing."""
    fields = to_fields(rule)
    if isinstance(rule.action_target, Secret):
        fields["action_target"] = {"secret": PLACEHOLDER}
        if rule.origin:
            fields["action_target"]["origin"] = rule.origin
    for path, _ in rule.secrets():
        holder, key = holder_of(fields, path)
        if path != "action_target":
            holder[key] = {**holder[key], "secret": PLACEHOLDER}
    return fields


def holder_of(fields: dict[str, Any], path: str) -> tuple[Any, str | int]:
    """The map or list that holds the field with this path (of TriggerRule.secrets), and its key there."""
    if path.startswith(_HEADERS):
        return fields["delivery"]["headers"], path.removeprefix(_HEADERS)
    name, bracket, place = path.partition("[")
    return (fields[name], int(place[:-1])) if bracket else (fields, name)


def exported(rule: TriggerRule, *, with_sealed: bool = False) -> dict[str, Any]:
    """The rule for a file: without who wrote it and when; `with_sealed` keeps secrets that are sealed, as
    they are.
    """
    fields = shown(rule)
    if with_sealed:
        stored = to_fields(rule)
        for path, secret in rule.secrets():
            if secret.is_sealed:
                holder, key = holder_of(fields, path)
                original, _ = holder_of(stored, path)
                holder[key] = original[key]
    for name in _BY_THE_WRITER:
        fields.pop(name, None)
    return fields
