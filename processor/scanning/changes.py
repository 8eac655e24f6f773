"""What a writer wants changed in the table of scan rules, and the records that make it so. Pure.

rules/building.py has what all tables share. Here: names are unique among the rules of a workload and among
the global ones; `overrides` becomes the id of a global rule that is there, so that the global rule may be
renamed; a global rule takes those that override it along when it is deleted, and stays global while there
are any.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Sequence
from typing import TypeAlias

from processor.rules import building
from processor.rules.building import (
    Building,
    Create,
    Delete,
    RaiseNextId,
    Record,
    Update,
    Writer,
    build_batch,
)
from processor.rules.codec import InvalidRule, read_id
from processor.rules.errors import FieldError, InvalidFields
from processor.scanning.codec import to_record
from processor.scanning.rule import TABLE_KIND, ScanDraft, ScanRule
from processor.scanning.table import ScanSnapshot, find_global

ScanChange: TypeAlias = Create[ScanDraft] | Update[ScanDraft] | Delete | RaiseNextId
ScanApplied: TypeAlias = building.Applied[ScanRule]
ScanBatch: TypeAlias = building.Batch[ScanRule]


def build(changes: Sequence[ScanChange], snapshot: ScanSnapshot, writer: Writer) -> ScanBatch:
    """The first transaction of `changes`: all of them where they fit.

    Raises a StoreFailure or InvalidFields when one of them can't be made; then nothing of the batch may be
    written.
    """
    return build_batch(ScanBuilding(snapshot, writer), changes, snapshot)


class ScanBuilding(Building[ScanRule, ScanDraft, ScanChange]):
    """A transaction being put together; also tells whether changes can be made, without making them."""

    table_kind = TABLE_KIND

    def __init__(self, snapshot: ScanSnapshot, writer: Writer) -> None:
        super().__init__(snapshot, writer)
        self._rules = dict(snapshot.rules)
        self._invalid = dict(snapshot.invalid)
        self._overrides = {rule_id: set(others) for rule_id, others in snapshot.overrides.items()}

    def _make(
        self,
        draft: ScanDraft,
        current: ScanRule | InvalidRule | None,
        *,
        rule_id: int,
        set_name: str,
        by: str,
    ) -> tuple[ScanRule, bytes]:
        del current  # a scan rule keeps nothing of the version before
        if draft.workload is not None and (others := self._overriding(rule_id)):
            listed = ", ".join(str(rule.id) for rule in others)
            raise InvalidFields(
                [
                    FieldError(
                        "workload", f"is for a global rule alone, and this one is overridden by {listed}"
                    )
                ]
            )
        rule = draft.to_rule(
            rule_id=rule_id,
            set_name=set_name,
            updated_by=by,
            updated_at=self._writer.now(),
            overrides=self._found(draft, rule_id),
        )
        self._forget(rule_id)
        self._rules[rule_id] = rule
        if isinstance(rule.overrides, int):
            self._overrides.setdefault(rule.overrides, set()).add(rule_id)
        self._invalid.pop(b"%d" % rule_id, None)
        return rule, to_record(rule)

    def _found(self, draft: ScanDraft, rule_id: int) -> int | None:
        if draft.overrides is None:
            return None
        reference: int | str = draft.overrides
        names = {}
        if isinstance(reference, str):
            names = {reference: tuple(sorted(self._names.get((None, reference), ())))}
        found = find_global(reference, self._rules, self._invalid, names)
        if found == rule_id:
            found = "a rule can't override itself"
        if isinstance(found, str):
            raise InvalidFields([FieldError("overrides", found)])
        return found

    def _along(self, rule: ScanRule | InvalidRule) -> Sequence[ScanRule]:
        return () if rule.id is None else self._overriding(rule.id)

    def _gone(self, rule: ScanRule | InvalidRule) -> None:
        if rule.id is not None:
            self._forget(rule.id)
            self._invalid.pop(b"%d" % rule.id, None)

    def _overriding(self, rule_id: int) -> Sequence[ScanRule]:
        return [self._rules[other] for other in sorted(self._overrides.get(rule_id, ()))]

    def _forget(self, rule_id: int) -> None:
        rule = self._rules.pop(rule_id, None)
        if rule is not None and isinstance(rule.overrides, int):
            self._overrides[rule.overrides].discard(rule_id)

    def _ordered(self, records: list[Record]) -> Iterable[Record]:
        """So that a reader who has seen only a part never counts an override without its global rule, nor a
        global rule without an override that came or goes with it: table.py says how.
        """
        return sorted(records, key=self._place)

    def _place(self, record: Record) -> int:
        rule_id = read_id(record.key) or 0
        if record.value is not None:
            return 0 if self._rules[rule_id].overrides is not None else 1
        stood = self._snapshot.rules.get(rule_id)
        return 2 if stood is None or stood.overrides is None else 3

    def _called(self, identity: Hashable) -> str:
        if not isinstance(identity, tuple):
            return repr(identity)
        workload, name = identity
        return repr(name) if workload is None else f"{name!r} for {workload}"
