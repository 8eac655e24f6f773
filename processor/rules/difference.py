"""What would change in a rule, as a unified diff of its YAML. Pure.

No secret is in it: a secret is the placeholder on both sides, with a word behind it where it is another one.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping
from io import StringIO
from typing import Any, Final

from processor.rules.documents import write_yaml
from processor.rules.plan import Step
from processor.rules.schema import TriggerRule
from processor.rules.values import PLACEHOLDER, Secret
from processor.rules.view import exported, holder_of

CHANGED: Final = f"{PLACEHOLDER} (sealed anew)"
"""What stands for a secret that is not the one before."""

_GIVEN = ("id", "uid")
_CONTEXT = 2
_NOTHING = "/dev/null"


def difference(step: Step) -> Iterator[str]:
    """The lines of the diff without line ends; none where nothing changes.

    Who wrote the rule and when is left out, and so are the id and uid of a new one, which it has not got yet.
    """
    if step.before is step.after:
        return
    yield from unified(
        None if step.before is None else exported(step.before),
        None if step.after is None else _after(step, step.after),
        f"rule {step.name}" if step.id is None else f"rule {step.id} {step.name}",
    )


def unified(before: Mapping[str, Any] | None, after: Mapping[str, Any] | None, what: str) -> Iterator[str]:
    """The unified diff of two things' fields as YAML, without line ends; None is one that isn't there."""
    one = [] if before is None else _lines(before)
    other = [] if after is None else _lines(after)
    names = (what if one else _NOTHING, what if other else _NOTHING)
    yield from difflib.unified_diff(one, other, *names, n=_CONTEXT, lineterm="")


def _after(step: Step, rule: TriggerRule) -> dict[str, Any]:
    fields = exported(rule)
    if step.before is None:
        for name in _GIVEN:
            if name == "uid" or step.id is None:
                fields.pop(name, None)
        return fields
    stood = _secrets(step.before)
    for path, secret in _secrets(rule).items():
        if path in stood and stood[path] != secret:
            holder, key = holder_of(fields, path)
            holder[key] = {**holder[key], "secret": CHANGED}
    return fields


def _secrets(rule: TriggerRule) -> dict[str, Secret]:
    return dict(rule.secrets())


def _lines(fields: Mapping[str, Any]) -> list[str]:
    stream = StringIO()
    write_yaml(fields, stream)
    return stream.getvalue().splitlines()[1:]  # without ---
