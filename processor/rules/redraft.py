"""A standing rule as a draft of its next version: everything as it is, but for what is to change. Pure."""

from __future__ import annotations

from typing import Any

from processor.rules.schema import RuleDraft, TriggerRule
from processor.rules.view import shown


def redraft(rule: TriggerRule, **changes: Any) -> RuleDraft:
    """The rule with these fields changed (values as in a rules file, None: as if left out).

    Its secrets are placeholders, which keep what the rule has. Raises pydantic's ValidationError.
    """
    fields = shown(rule)
    for name, value in changes.items():
        fields.pop(name, None)
        if value is not None:
            fields[name] = value
    return RuleDraft.model_validate(fields)
