"""What applying rules files would change: drafts on one side, the table on the other, matched by name.

Pure. Each name stands once among the drafts (files.py sees to that). Nothing is planned while a single
draft is invalid.
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
    """

    action: Action
    name: str
    id: int | None = None
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Plan:
    """Steps in the order of the files, deletions last; `changes` is empty when there is nothing to do or a
    step is invalid.

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
    wanted: Wanted, snapshot: RuleSnapshot, keys: KeyRing, *, set_name: str | None = None, prune: bool = False
) -> Plan:
    """Compare `wanted` with the table. `set_name` puts every rule into that set, `prune` deletes what else
    is in it.
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
    steps = (*planning.steps, *(Step("deleted", rule.name, rule.id) for rule in gone))
    if any(step.action == "invalid" for step in steps):
        return Plan(steps, (), empties_set)
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
                self._check_secrets(draft, broken[0].id)
                self._update(broken[0].id, draft, "updated")
            else:
                self._check_secrets(draft, draft.id or 1)
                self.creates.append(Create(draft, self._set))
                asked = draft.id if draft.id is not None and self._snapshot.is_free(draft.id) else None
                self.steps.append(Step("created", draft.name, asked))
        except SecretError as failure:
            self._refuse(sourced, str(failure))

    def _against(self, current: TriggerRule, draft: RuleDraft) -> None:
        set_name = self._set if self._set is not None else draft.set
        fields = protected(draft, current.id, current, self._keys)
        rule = draft.to_rule(
            rule_id=current.id,
            uid=current.uid,
            set_name=current.set if set_name is None else set_name,
            updated_by=current.updated_by,
            updated_at=current.updated_at,
            **fields,
        )
        self.matched.add(current.id)
        if rule == current and _pattern_text(rule) == _pattern_text(current):
            self.steps.append(Step("unchanged", draft.name, current.id))
        else:
            self._update(current.id, draft, "updated")

    def _check_secrets(self, draft: RuleDraft, rule_id: int) -> None:
        protected(draft, rule_id, None, self._keys)

    def _update(self, rule_id: int, draft: RuleDraft, action: Action) -> None:
        self.matched.add(rule_id)
        self.updates.append(Update(rule_id, draft, set=self._set))
        self.steps.append(Step(action, draft.name, rule_id))

    def _refuse(self, sourced: SourcedDraft, reason: str) -> None:
        self.steps.append(Step("invalid", sourced.draft.name, None, f"{sourced.place}: {reason}"))


def _pattern_text(rule: TriggerRule) -> bytes:
    """What tells `[1]` from `[true]`, which are equal in Python."""
    return msgspec.json.encode(rule.filter_pattern, order="sorted")
