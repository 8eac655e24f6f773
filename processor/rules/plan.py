"""What applying files of trigger rules would change. Pure; planning.py has what all tables share."""

from __future__ import annotations

from typing import TypeAlias

import msgspec

from processor.rules import planning
from processor.rules.planning import Action, Planning
from processor.rules.protect import protected
from processor.rules.schema import RuleDraft, TriggerRule
from processor.rules.sealing import KeyRing
from processor.rules.table import RuleSnapshot

__all__ = ["Action", "Plan", "SourcedDraft", "Step", "Wanted", "make_plan", "same_rule"]

SourcedDraft: TypeAlias = planning.SourcedDraft[RuleDraft]
Wanted: TypeAlias = planning.Wanted[RuleDraft]
Step: TypeAlias = planning.Step[TriggerRule]
Plan: TypeAlias = planning.Plan[TriggerRule, RuleDraft]


def make_plan(
    wanted: Wanted,
    snapshot: RuleSnapshot,
    keys: KeyRing,
    *,
    set_name: str | None = None,
    prune: bool = False,
    partial: bool = False,
) -> Plan:
    """Compare `wanted` with the table. `set_name` puts every rule into that set, `prune` deletes what else
    is in it. `partial` plans the valid drafts beside invalid ones, but then deletes nothing: the rule that
    would go may be the one that could not be read.
    """
    return _Planning(wanted, snapshot, set_name, keys).make(prune=prune, partial=partial)


class _Planning(Planning[TriggerRule, RuleDraft]):
    def __init__(self, wanted: Wanted, snapshot: RuleSnapshot, set_name: str | None, keys: KeyRing) -> None:
        super().__init__(wanted, snapshot, set_name)
        self._keys = keys

    def _as_rule(
        self, draft: RuleDraft, rule_id: int, current: TriggerRule | None, set_name: str
    ) -> TriggerRule:
        return draft.to_rule(
            rule_id=rule_id,
            uid=(draft.uid or "") if current is None else current.uid,
            set_name=set_name,
            updated_by="" if current is None else current.updated_by,
            updated_at=None if current is None else current.updated_at,
            **protected(draft, rule_id, current, self._keys),
        )

    def _same(self, one: TriggerRule, other: TriggerRule) -> bool:
        return same_rule(one, other)


def same_rule(one: TriggerRule, other: TriggerRule) -> bool:
    """Whether the two say the same in every field, down to true and 1 in a pattern."""
    return one == other and _pattern_text(one) == _pattern_text(other)


def _pattern_text(rule: TriggerRule) -> bytes:
    """What tells `[1]` from `[true]`, which are equal in Python."""
    return msgspec.json.encode(rule.filter_pattern, order="sorted")
