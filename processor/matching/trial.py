"""Rules tried on events outside the matcher: the engine's verdict, and for people the reason of each no.

Pure. Knows nothing of tables: the rules may be drafts that were never written anywhere.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from processor.events import Event
from processor.matching.building import compiled
from processor.matching.explain import Explainer, Refusal
from processor.rules.schema import RuleDraft, TriggerRule


class DisagreementError(RuntimeError):
    """The engine and the explanation differ: a bug. The text says on what, for a report."""


class Verdict(NamedTuple):
    """What one event does to one rule; `refusal` is None where it fires."""

    rule: TriggerRule
    refusal: Refusal | None

    @property
    def fires(self) -> bool:
        """Whether it does."""
        return self.refusal is None


def as_rules(drafts: Iterable[RuleDraft]) -> list[TriggerRule]:
    """Drafts as rules to try, with ids from 1 on whatever they wish for, in their order."""
    return [
        draft.to_rule(rule_id=number, uid="", set_name=draft.set or "", updated_by="", updated_at=None)
        for number, draft in enumerate(drafts, 1)
    ]


class Trial:
    """Some rules, ready to be tried."""

    def __init__(self, rules: Sequence[TriggerRule]) -> None:
        """`rules`: with an id each, disabled ones too."""
        self.rules = tuple(rules)
        self._set = compiled({rule.id: rule for rule in rules})
        self._explainers = [(rule, Explainer(rule)) for rule in rules]

    def fired(self, event: Event) -> set[int]:
        """The ids of the rules that fire, as the matcher would find them."""
        return {compiled.rule.id for compiled in self._set.match(event)}

    def verdicts(self, event: Event) -> list[Verdict]:
        """What the event does to each rule, in their order. Raises DisagreementError."""
        fired = self.fired(event)
        verdicts = []
        for rule, explainer in self._explainers:
            refusal = explainer.refusal(event)
            if (refusal is None) != (rule.id in fired):
                found = "fires" if rule.id in fired else "does not fire"
                said = (
                    "nothing speaks against it" if refusal is None else f"{refusal.filter}: {refusal.reason}"
                )
                raise DisagreementError(f"rule {rule.name!r} {found}, but {said}: this is a bug of Tocsin")
            verdicts.append(Verdict(rule, refusal))
        return verdicts
