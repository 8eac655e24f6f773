"""What applying rules files would change: drafts on one side, the table on the other, matched by identity.

Pure, for any table of numbered records; plan.py is the one of trigger rules. Each identity stands once among
the drafts (files.py sees to that). Nothing is planned while a single draft is invalid, unless a part of them
is asked for.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import Generic, Literal, TypeVar

from processor.rules.building import Create, D, Delete, Draft, RaiseNextId, Update
from processor.rules.codec import InvalidRule
from processor.rules.errors import RuleFailure
from processor.rules.numbered import R, Snapshot

Action = Literal["created", "updated", "unchanged", "deleted", "invalid"]

D_co = TypeVar("D_co", bound=Draft, covariant=True)
R_co = TypeVar("R_co", covariant=True)


@dataclass(frozen=True)
class SourcedDraft(Generic[D_co]):
    """A draft and where it was written (`rules.yaml, document 2`)."""

    place: str
    draft: D_co


@dataclass(frozen=True)
class Wanted(Generic[D_co]):
    """What the files say: drafts in their order, and the next_id they carry over."""

    drafts: tuple[SourcedDraft[D_co], ...] = ()
    next_id: int | None = None


@dataclass(frozen=True)
class Step(Generic[R_co]):
    """What happens to one rule; `id` is None as long as a new rule has none, `reason` says why it is
    invalid.

    `before` and `after` are the rule as it stands and as it will be, None where there is none (or none that
    could be read); a new rule that has no id yet is shown with 1. difference.py compares them.
    """

    action: Action
    name: str
    id: int | None = None
    reason: str = ""
    before: R_co | None = None
    after: R_co | None = None


@dataclass(frozen=True)
class Plan(Generic[R_co, D_co]):
    """Steps in the order of the files, deletions last; `changes` is empty when there is nothing to do, or a
    step is invalid and no part was asked for.

    `empties_set`: pruning would leave nothing in a set that holds rules.
    """

    steps: tuple[Step[R_co], ...]
    changes: tuple[Create[D_co] | Update[D_co] | Delete | RaiseNextId, ...]
    empties_set: bool = False

    @property
    def invalid(self) -> tuple[Step[R_co], ...]:
        """The steps that stand in the way."""
        return tuple(step for step in self.steps if step.action == "invalid")


class Planning(ABC, Generic[R, D]):
    """Compares drafts with a table, one after the other."""

    def __init__(self, wanted: Wanted[D], snapshot: Snapshot[R], set_name: str | None) -> None:
        """`set_name` puts every rule into that set."""
        self._wanted = wanted
        self._snapshot = snapshot
        self._set = set_name
        self._broken: dict[Hashable, list[InvalidRule]] = {}
        for invalid in snapshot.invalid.values():
            if invalid.identity is not None and invalid.id is not None:
                self._broken.setdefault(invalid.identity, []).append(invalid)
        self._steps: list[Step[R]] = []
        self._creates: list[Create[D]] = []
        self._updates: list[Update[D]] = []
        self._matched: set[int] = set()

    @abstractmethod
    def _as_rule(self, draft: D, rule_id: int, current: R | None, set_name: str) -> R:
        """What the draft makes of the rule, but for who wrote it; raises a RuleFailure."""

    def _same(self, one: R, other: R) -> bool:
        """Whether the two say the same in every field."""
        return one == other

    def _first(self, creates: Sequence[Create[D]]) -> Sequence[Create[D]]:
        """New rules in an order in which each finds what it needs."""
        return creates

    def _also_gone(self, gone: Sequence[R]) -> Sequence[R]:
        """What is deleted along with these, which is not to be deleted twice."""
        del gone
        return ()

    def _on_pruned(self, gone: Sequence[R]) -> None:
        """Refuse drafts that can't be without a rule that is pruned."""
        del gone

    def make(self, *, prune: bool = False, partial: bool = False) -> Plan[R, D]:
        """The plan. `prune` deletes what else is in the set. `partial` plans the valid drafts beside invalid
        ones, but then deletes nothing: the rule that would go may be the one that could not be read.
        """
        wanted, snapshot = self._wanted, self._snapshot
        for sourced in wanted.drafts:
            self._add(sourced)
        gone: list[R] = []
        empties_set = False
        if prune and self._set is not None:
            members = [rule for rule in snapshot.rules.values() if rule.set == self._set]
            gone = [rule for rule in members if rule.id not in self._matched]
            empties_set = bool(members) and not wanted.drafts
            self._on_pruned(gone)
        if any(step.action == "invalid" for step in self._steps):
            if not partial:
                return Plan(tuple(self._steps), (), empties_set)
            gone = []
        named = {rule.id for rule in gone}
        along = [rule for rule in self._also_gone(gone) if rule.id not in named]
        steps = (
            *self._steps,
            *(Step("deleted", rule.name, rule.id, before=rule) for rule in (*gone, *along)),
        )
        return Plan(steps, tuple(self._changes(gone)), empties_set)

    def _changes(self, gone: Sequence[R]) -> Sequence[Create[D] | Update[D] | Delete | RaiseNextId]:
        # Ids asked for first and in rising order, then next_id, then new rules that take what comes: a write
        # of several transactions that breaks off in between can be made again and gives the same ids.
        wanted, snapshot = self._wanted, self._snapshot
        asking: list[Create[D]] = []
        taking: list[Create[D]] = []
        for create in self._creates:
            asks = create.draft.id is not None and snapshot.is_free(create.draft.id)
            (asking if asks else taking).append(create)
        asking.sort(key=lambda create: create.draft.id or 0)
        raised = wanted.next_id is not None and wanted.next_id > snapshot.next_id
        raise_to: list[RaiseNextId] = []
        if wanted.next_id is not None and (raised or snapshot.table_error):
            raise_to = [RaiseNextId(wanted.next_id)]
        along = {rule.id for rule in self._also_gone(gone)}
        return [
            *self._first(asking),
            *raise_to,
            *self._first(taking),
            *self._updates,
            *(Delete(str(rule.id).encode()) for rule in gone if rule.id not in along),
        ]

    def _add(self, sourced: SourcedDraft[D]) -> None:
        draft = sourced.draft
        ids = self._snapshot.by_identity.get(draft.identity, ())
        if len(ids) > 1 and draft.id in ids:
            ids = (draft.id,)
        if len(ids) > 1:
            listed = ", ".join(map(str, ids))
            self._refuse(
                sourced, f"several rules have this name (ids {listed}): give the id, or delete all but one"
            )
            return
        broken = self._broken.get(draft.identity, [])
        current = self._snapshot.rules[ids[0]] if ids else None
        try:
            if current is not None:
                self._against(current, draft)
            elif len(broken) == 1 and broken[0].id is not None:
                self._update(broken[0].id, draft, None, self._draft_as_rule(draft, broken[0].id, None))
            else:
                after = self._draft_as_rule(draft, draft.id or 1, None)
                self._creates.append(Create(draft, self._set))
                asked = draft.id if draft.id is not None and self._snapshot.is_free(draft.id) else None
                self._steps.append(Step("created", draft.name, asked, after=after))
        except RuleFailure as failure:
            self._refuse(sourced, str(failure))

    def _against(self, current: R, draft: D) -> None:
        rule = self._draft_as_rule(draft, current.id, current)
        self._matched.add(current.id)
        if self._same(rule, current):
            self._steps.append(Step("unchanged", draft.name, current.id, before=current, after=current))
        else:
            self._update(current.id, draft, current, rule)

    def _draft_as_rule(self, draft: D, rule_id: int, current: R | None) -> R:
        set_name = self._set if self._set is not None else draft.set
        if set_name is None:
            set_name = "" if current is None else current.set
        return self._as_rule(draft, rule_id, current, set_name)

    def _update(self, rule_id: int, draft: D, before: R | None, after: R) -> None:
        self._matched.add(rule_id)
        self._updates.append(Update(rule_id, draft, set=self._set))
        self._steps.append(Step("updated", draft.name, rule_id, before=before, after=after))

    def _refuse(self, sourced: SourcedDraft[D], reason: str) -> None:
        self._steps.append(Step("invalid", sourced.draft.name, None, f"{sourced.place}: {reason}"))
