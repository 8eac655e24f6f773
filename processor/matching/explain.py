"""Why a rule doesn't fire on an event: for people, one rule at a time.

Not the way events are matched: engine.py decides that. The two must agree, and trial.py sees to it.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Final, Literal, NamedTuple

from processor.events import Event, document
from processor.patterns import compile_pattern
from processor.rules.schema import TriggerRule

Filter = Literal["enabled", "filter_severity", "filter_source", "filter_message_regex", "filter_pattern"]

_SHOWN: Final = 80
"""Characters of a value that are shown."""
_LISTED: Final = 10


class Refusal(NamedTuple):
    """The first filter, in the order of the fields, that says no, and why, in one line."""

    filter: Filter
    reason: str


class Explainer:
    """Explains one rule. Immutable."""

    def __init__(self, rule: TriggerRule) -> None:
        self._rule = rule
        regex = rule.filter_message_regex
        self._pattern = compile_pattern(regex) if regex else None
        self._filter = rule.event_filter()

    def refusal(self, event: Event) -> Refusal | None:
        """Which filter says no; None where the rule fires. Quotes the event."""
        rule = self._rule
        if not rule.enabled:
            return Refusal("enabled", "the rule is disabled")
        if rule.filter_severity and event.severity not in rule.filter_severity:
            return Refusal("filter_severity", _not_among("severity", event.severity, rule.filter_severity))
        if rule.filter_source and event.source not in rule.filter_source:
            return Refusal("filter_source", _not_among("source", event.source, rule.filter_source))
        if self._pattern is not None and not self._pattern.search(event.message):
            return Refusal("filter_message_regex", f"not found in the message {_quoted(event.message)}")
        if self._filter is not None and (reason := self._filter.explain(document(event.body))):
            return Refusal("filter_pattern", reason)
        return None


def _not_among(name: str, value: str, accepted: Sequence[str]) -> str:
    listed = ", ".join(_quoted(one) for one in accepted[:_LISTED])
    more = f" and {len(accepted) - _LISTED} more" if len(accepted) > _LISTED else ""
    return f"the {name} is {_quoted(value)}, accepted: {listed}{more}"


def _quoted(text: str) -> str:
    shown = json.dumps(text if len(text) <= _SHOWN else text[:_SHOWN] + "…", ensure_ascii=False)
    return shown if shown.isprintable() else ascii(shown)[1:-1]
