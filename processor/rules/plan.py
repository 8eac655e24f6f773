"""What applying rules files would change: drafts on one side, the table on the other, matched by name.

Pure. Each name stands once among the drafts (files.py sees to that). Nothing is planned while a single
draft is invalid, unless a part of them is asked for.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import msgspec

from processor.rules.changes import Change, Create, Delete, RaiseNextId, Update
from processor.rules.codec import InvalidRule
from processor.rules.errors import SecretError
from processor.rules.protect import protected
from processor.rules.schema import RuleDraft, TriggerRule
from processor.rules.sealing import KeyRing
from processor.rules.table import RuleSnapshot

Action = Literal["created", "updated", "unchanged", "deleted", "invalid"]


@dataclass(frozen=True, slots=True)
class SourcedDraft:
    """A draft and where it was written (`rules.yaml, document 2`)."""

    place: str
    draft: RuleDraft


@dataclass(frozen=True, slots=True)
class Wanted:
    """What the files say: drafts in their order, and the next_id they carry over."""

    drafts: tuple[SourcedDraft, ...] = ()
    next_id: int | None = None


@dataclass(frozen=True, slots=True)
class Step:
    """What happens to one rule; `id` is None as long as a new rule has none, `reason` says why it is
    invalid.

    `before` and `after` are the rule as it stands and as it will be, None where there is none (or none that
    could be read); a new rule that has no id yet is shown with 1. difference.py compares them.
    """

    action: Action
    name: str
    id: int | None = None
    reason: str = ""
    before: TriggerRule | None = None
    after: TriggerRule | None = None


@dataclass(frozen=True, slots=True)
class Plan:
    """Steps in the order of the files, deletions last; `changes` is empty when there is nothing to do, or a
    step is invalid and no part was asked for.

    `empties_set`: pruning would leave nothing in a set that holds rules.
    """

    steps: tuple[Step, ...]
    changes: tuple[Change, ...]
    empties_set: bool = False

    @property
    def invalid(self) -> tuple[Step, ...]:
        """The steps that stand in the way."""
        return tuple(step for step in self.steps if step.action == "invalid")


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
    planning = _Planning(snapshot, keys, set_name)
    for sourced in wanted.drafts:
        planning.add(sourced)
    gone: list[TriggerRule] = []
    empties_set = False
    if prune and set_name is not None:
        members = [rule for rule in snapshot.rules.values() if rule.set == set_name]
        gone = [rule for rule in members if rule.id not in planning.matched]
        empties_set = bool(members) and not wanted.drafts
    if any(step.action == "invalid" for step in planning.steps):
        if not partial:
            return Plan(tuple(planning.steps), (), empties_set)
        gone = []
    steps = (*planning.steps, *(Step("deleted", rule.name, rule.id, before=rule) for rule in gone))
    # Ids asked for first and in rising order, then next_id, then new rules that take what comes: a write of
    # several transactions that breaks off in between can be made again and gives the same ids.
    asking: list[Create] = []
    taking: list[Create] = []
    for create in planning.creates:
        asks = create.draft.id is not None and snapshot.is_free(create.draft.id)
        (asking if asks else taking).append(create)
    asking.sort(key=lambda create: create.draft.id or 0)
    raised = wanted.next_id is not None and wanted.next_id > snapshot.next_id
    if wanted.next_id is not None and (raised or snapshot.table_error):
        raise_to = [RaiseNextId(wanted.next_id)]
    else:
        raise_to = []
    changes: list[Change] = [
        *asking,
        *raise_to,
        *taking,
        *planning.updates,
        *(Delete(str(rule.id).encode()) for rule in gone),
    ]
    return Plan(steps, tuple(changes), empties_set)


class _Planning:
    def __init__(self, snapshot: RuleSnapshot, keys: KeyRing, set_name: str | None) -> None:
        self._snapshot = snapshot
        self._keys = keys
        self._set = set_name
        self._invalid_by_name: dict[str, list[InvalidRule]] = {}
        for invalid in snapshot.invalid.values():
            if invalid.name and invalid.id is not None:
                self._invalid_by_name.setdefault(invalid.name, []).append(invalid)
        self.steps: list[Step] = []
        self.creates: list[Create] = []
        self.updates: list[Update] = []
        self.matched: set[int] = set()

    def add(self, sourced: SourcedDraft) -> None:
        draft = sourced.draft
        ids = self._snapshot.by_name.get(draft.name, ())
        if len(ids) > 1 and draft.id in ids:
            ids = (draft.id,)
        if len(ids) > 1:
            listed = ", ".join(map(str, ids))
            self._refuse(
                sourced, f"several rules have this name (ids {listed}): give the id, or delete all but one"
            )
            return
        broken = self._invalid_by_name.get(draft.name, [])
        current = self._snapshot.rules[ids[0]] if ids else None
        try:
            if current is not None:
                self._against(current, draft)
            elif len(broken) == 1 and broken[0].id is not None:
                self._update(broken[0].id, draft, None, self._as_rule(broken[0].id, draft, None))
            else:
                after = self._as_rule(draft.id or 1, draft, None)
                self.creates.append(Create(draft, self._set))
                asked = draft.id if draft.id is not None and self._snapshot.is_free(draft.id) else None
                self.steps.append(Step("created", draft.name, asked, after=after))
        except SecretError as failure:
            self._refuse(sourced, str(failure))

    def _against(self, current: TriggerRule, draft: RuleDraft) -> None:
        rule = self._as_rule(current.id, draft, current)
        self.matched.add(current.id)
        if same_rule(rule, current):
            self.steps.append(Step("unchanged", draft.name, current.id, before=current, after=current))
        else:
            self._update(current.id, draft, current, rule)

    def _as_rule(self, rule_id: int, draft: RuleDraft, current: TriggerRule | None) -> TriggerRule:
        """What the draft makes of the rule, but for who wrote it; raises SecretError."""
        set_name = self._set if self._set is not None else draft.set
        if set_name is None:
            set_name = "" if current is None else current.set
        return draft.to_rule(
            rule_id=rule_id,
            uid=(draft.uid or "") if current is None else current.uid,
            set_name=set_name,
            updated_by="" if current is None else current.updated_by,
            updated_at=None if current is None else current.updated_at,
            **protected(draft, rule_id, current, self._keys),
        )

    def _update(self, rule_id: int, draft: RuleDraft, before: TriggerRule | None, after: TriggerRule) -> None:
        self.matched.add(rule_id)
        self.updates.append(Update(rule_id, draft, set=self._set))
        self.steps.append(Step("updated", draft.name, rule_id, before=before, after=after))

    def _refuse(self, sourced: SourcedDraft, reason: str) -> None:
        self.steps.append(Step("invalid", sourced.draft.name, None, f"{sourced.place}: {reason}"))


def same_rule(one: TriggerRule, other: TriggerRule) -> bool:
    """Whether the two say the same in every field, down to true and 1 in a pattern."""
    return one == other and _pattern_text(one) == _pattern_text(other)


def _pattern_text(rule: TriggerRule) -> bytes:
    """What tells `[1]` from `[true]`, which are equal in Python."""
    return msgspec.json.encode(rule.filter_pattern, order="sorted")
