"""What applying files of scan rules would change. Pure; rules/planning.py has what all tables share.

`overrides` may name a global rule of the same files: global rules are made before those that override them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

from processor.rules import planning
from processor.rules.building import Create
from processor.rules.errors import FieldError, InvalidFields
from processor.rules.planning import Planning
from processor.scanning.rule import ScanDraft, ScanRule
from processor.scanning.table import ScanSnapshot

Wanted: TypeAlias = planning.Wanted[ScanDraft]
Plan: TypeAlias = planning.Plan[ScanRule, ScanDraft]


def make_plan(
    wanted: Wanted,
    snapshot: ScanSnapshot,
    *,
    set_name: str | None = None,
    prune: bool = False,
    partial: bool = False,
) -> Plan:
    """Compare `wanted` with the table; the rest is as in rules/plan.py. A rule that overrides a pruned one
    goes with it, and is an invalid step where the files have it.
    """
    return _Planning(wanted, snapshot, set_name).make(prune=prune, partial=partial)


class _Planning(Planning[ScanRule, ScanDraft]):
    def __init__(self, wanted: Wanted, snapshot: ScanSnapshot, set_name: str | None) -> None:
        super().__init__(wanted, snapshot, set_name)
        self._table = snapshot
        globals_ = [one.draft for one in wanted.drafts if one.draft.workload is None]
        self._coming: set[int | str] = {draft.name for draft in globals_}
        self._coming |= {draft.id for draft in globals_ if draft.id is not None}
        self._overridden: dict[tuple[str | None, str], int] = {}

    def _as_rule(self, draft: ScanDraft, rule_id: int, current: ScanRule | None, set_name: str) -> ScanRule:
        return draft.to_rule(
            rule_id=rule_id,
            set_name=set_name,
            updated_by="" if current is None else current.updated_by,
            updated_at=None if current is None else current.updated_at,
            overrides=self._found(draft),
        )

    def _found(self, draft: ScanDraft) -> int | str | None:
        if draft.overrides is None:
            return None
        found = self._table.global_id(draft.overrides)
        if isinstance(found, int):
            self._overridden[draft.workload, draft.name] = found
            return found
        if draft.overrides in self._coming:
            return draft.overrides
        raise InvalidFields([FieldError("overrides", found)])

    def _first(self, creates: Sequence[Create[ScanDraft]]) -> Sequence[Create[ScanDraft]]:
        return sorted(creates, key=lambda create: create.draft.overrides is not None)

    def _also_gone(self, gone: Sequence[ScanRule]) -> Sequence[ScanRule]:
        ids = {rule.id for rule in gone}
        return [rule for rule in self._table.rules.values() if rule.overrides in ids]

    def _on_pruned(self, gone: Sequence[ScanRule]) -> None:
        names = {rule.id: rule.name for rule in gone}
        for sourced in self._wanted.drafts:
            overridden = self._overridden.get((sourced.draft.workload, sourced.draft.name))
            if overridden in names:
                self._refuse(sourced, f"overrides: rule {overridden} ({names[overridden]}) would be pruned")
