"""A rule as it may be shown: every secret is the placeholder, of a secret target the origin beside it."""

from __future__ import annotations

from typing import Any

from processor.rules.codec import to_fields
from processor.rules.schema import TriggerRule
from processor.rules.values import PLACEHOLDER, Secret

_BY_THE_WRITER = ("updated_by", "updated_at")


def shown(rule: TriggerRule) -> dict[str, Any]:
    """What `rules list`, `get` and the API show; written back it changes nothing."""
    fields = to_fields(rule)
    if isinstance(rule.action_target, Secret):
        fields["action_target"] = {"secret": PLACEHOLDER}
        if rule.origin:
            fields["action_target"]["origin"] = rule.origin
    if isinstance(rule.action_secret, Secret):
        fields["action_secret"] = {"secret": PLACEHOLDER}
    for name, value in rule.delivery.headers.items():
        if isinstance(value, Secret):
            fields["delivery"]["headers"][name] = {"secret": PLACEHOLDER}
    return fields


def exported(rule: TriggerRule, *, with_sealed: bool = False) -> dict[str, Any]:
    """The rule for a file: without who wrote it and when; `with_sealed` keeps secrets that are sealed, as
    they are.
    """
    fields = shown(rule)
    if with_sealed:
        stored = to_fields(rule)
        for path, secret in rule.secrets():
            if secret.is_sealed:
                if path in stored:
                    fields[path] = stored[path]
                else:
                    header = path.removeprefix("delivery.headers.")
                    fields["delivery"]["headers"][header] = stored["delivery"]["headers"][header]
    for name in _BY_THE_WRITER:
        fields.pop(name, None)
    return fields
