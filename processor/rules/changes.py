"""What a writer wants changed in the rule table, and the records that make it so. Pure.

building.py has what all tables share. The store calls `build` while it holds the table still.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from processor.rules import building
from processor.rules.building import (
    MAX_BYTES,
    MAX_RECORDS,
    Building,
    Create,
    Delete,
    RaiseNextId,
    Record,
    Update,
    Writer,
    build_batch,
)
from processor.rules.codec import InvalidRule, to_record
from processor.rules.errors import StoreFailure
from processor.rules.protect import protected
from processor.rules.releases import RELEASE_KEY, with_released, write_releases
from processor.rules.schema import RuleDraft, TriggerRule
from processor.rules.table import RuleSnapshot

__all__ = [
    "MAX_BYTES",
    "MAX_RECORDS",
    "Applied",
    "Batch",
    "Change",
    "Create",
    "Delete",
    "RaiseNextId",
    "Record",
    "Rehearsal",
    "Release",
    "Update",
    "Writer",
    "build",
]


@dataclass(frozen=True, slots=True)
class Release:
    """What was put off up to now (ms since 1970) is due: jobs of these rules, jobs to these origins."""

    at_ms: int
    rules: tuple[int, ...] = ()
    destinations: tuple[str, ...] = ()


Change: TypeAlias = Create[RuleDraft] | Update[RuleDraft] | Delete | RaiseNextId | Release
Applied: TypeAlias = building.Applied[TriggerRule]
Batch: TypeAlias = building.Batch[TriggerRule]


def build(changes: Sequence[Change], snapshot: RuleSnapshot, writer: Writer) -> Batch:
    """The first transaction of `changes`: all of them where they fit.

    Raises a StoreFailure or SecretError when one of them can't be made; then nothing of the batch may be
    written.
    """
    return build_batch(Rehearsal(snapshot, writer), changes, snapshot)


class Rehearsal(Building[TriggerRule, RuleDraft, Change]):
    """A transaction being put together. Also finds out whether changes can be made one after the other,
    without making them: for who writes the changes of several people in one transaction, where a change
    that can't be made must not take the others along.
    """

    def __init__(self, snapshot: RuleSnapshot, writer: Writer) -> None:
        super().__init__(snapshot, writer)
        self._uids = {rule.uid for rule in snapshot.rules.values()}
        self._stood = self._releases = snapshot.releases

    def _make(
        self,
        draft: RuleDraft,
        current: TriggerRule | InvalidRule | None,
        *,
        rule_id: int,
        set_name: str,
        by: str,
    ) -> tuple[TriggerRule, bytes]:
        valid = current if isinstance(current, TriggerRule) else None
        rule = draft.to_rule(
            rule_id=rule_id,
            uid=self._uid(draft, current),
            set_name=set_name,
            updated_by=by,
            updated_at=self._writer.now(),
            **protected(draft, rule_id, valid, self._writer.keys),
        )
        self._uids.add(rule.uid)
        return rule, to_record(rule)

    def _uid(self, draft: RuleDraft, current: TriggerRule | InvalidRule | None) -> str:
        if current is None:
            return draft.uid if draft.uid and draft.uid not in self._uids else self._writer.new_uid()
        # A plain producer's rule has no uid and gets none: its waiting jobs would be cancelled as those of
        # another rule.
        if isinstance(current, TriggerRule) or current.uid:
            return current.uid
        return self._writer.new_uid()

    def _add_other(self, change: Change) -> None:
        if not isinstance(change, Release):
            super()._add_other(change)
            return
        if self._releases.newer:
            raise StoreFailure(f"the record _release can't be read: {self._releases.newer}")
        self._releases = with_released(self._releases, change.rules, change.destinations, change.at_ms)

    def _ordered(self, records: list[Record]) -> Iterable[Record]:
        if self._releases is not self._stood:
            return [*records, Record(RELEASE_KEY, write_releases(self._releases))]
        return records
