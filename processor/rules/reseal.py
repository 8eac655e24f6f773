"""Key rotation: which secrets the first key of the ring has not sealed, and the writes that mend it.

Pure. Every sealed value is opened, also those the first key has sealed: a rule whose secrets can't be opened
should be known before the key it needs is taken away for good. Values that can be opened are sealed anew even
where another value of the same rule can't.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from processor.rules.changes import Update
from processor.rules.errors import SecretError
from processor.rules.schema import RuleDraft, RuleFields, TriggerRule
from processor.rules.sealing import KeyRing
from processor.rules.table import RuleSnapshot


@dataclass(frozen=True, slots=True)
class ResealStep:
    """What becomes of one rule that holds secrets; `reason` names the fields that can't be opened."""

    action: Literal["resealed", "unchanged", "failed"]
    name: str
    id: int
    reason: str = ""


@dataclass(frozen=True, slots=True)
class ResealPlan:
    """Steps in the order of the ids, and the changes that make them so."""

    steps: tuple[ResealStep, ...] = ()
    changes: tuple[Update[RuleDraft], ...] = ()

    @property
    def failed(self) -> tuple[ResealStep, ...]:
        """The rules with a value that no key opens."""
        return tuple(step for step in self.steps if step.action == "failed")


def plan_reseal(snapshot: RuleSnapshot, keys: KeyRing) -> ResealPlan:
    """Seal everything with the first key: what another one sealed, and what a plain producer left open.

    `keys` has at least one key. Planned again on the table that came of it, it changes nothing.
    """
    steps: list[ResealStep] = []
    changes: list[Update[RuleDraft]] = []
    for rule in snapshot.rules.values():
        stale, reasons = _look_at(rule, keys)
        if stale:
            changes.append(Update(rule.id, _as_it_is(rule)))
        if reasons:
            steps.append(ResealStep("failed", rule.name, rule.id, "; ".join(reasons)))
        elif any(True for _ in rule.secrets()):
            steps.append(ResealStep("resealed" if stale else "unchanged", rule.name, rule.id))
    return ResealPlan(tuple(steps), tuple(changes))


def _look_at(rule: TriggerRule, keys: KeyRing) -> tuple[bool, list[str]]:
    """Whether there is anything to seal anew, and what can't be opened."""
    stale = False
    reasons: list[str] = []
    for path, secret in rule.secrets():
        if secret.is_sealed:
            try:
                keys.open(secret.secret, rule.id)
            except SecretError as failure:
                reasons.append(str(failure.at(path)))
                continue
        stale = stale or secret.is_plain or not keys.seals_like(secret.secret)
    return stale, reasons


def _as_it_is(rule: TriggerRule) -> RuleDraft:
    """A draft that changes nothing; writing it seals what has to be (protect.py)."""
    said = {name: getattr(rule, name) for name in RuleFields.model_fields}
    return RuleDraft.model_construct(**said, id=rule.id, uid=rule.uid, set=rule.set)
