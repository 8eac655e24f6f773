"""The table of scan rules: what the records of the scan rule topic add up to. Pure.

A rule that overrides a global rule counts only while that one is there: with a global rule all that override
it are gone at once, in whatever order a reader sees their records. So the store deletes the global rule's
record first and theirs after it, and writes theirs first where both are new. An override says its global
rule's id; a plain producer may write a name, which the table reads as the id of the global rule that has it
now.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from types import MappingProxyType
from typing import Any

from processor.rules.codec import Headers, InvalidRule
from processor.rules.numbered import Snapshot, Table
from processor.scanning.codec import read_record
from processor.scanning.rule import ScanRule


@dataclass(frozen=True)
class ScanSnapshot(Snapshot[ScanRule]):
    """The table at one moment; never changes. `overrides` of its rules is an id, of a rule that is there (as
    a global one or as an invalid record), or None.
    """

    def global_id(self, reference: int | str) -> int | str:
        """The id of the global rule that is meant by an id or a name; else, in words, why there is none."""
        return find_global(reference, self.rules, self.invalid, self._global_names)

    def overriding(self, rule_id: int) -> tuple[ScanRule, ...]:
        """The rules that override this one."""
        return tuple(self.rules[other] for other in self.overrides.get(rule_id, ()))

    @cached_property
    def overrides(self) -> Mapping[int, Sequence[int]]:
        """By the id of each rule that is overridden, those that do it."""
        found: dict[int, list[int]] = {}
        for rule_id, rule in self.rules.items():
            if isinstance(rule.overrides, int):
                found.setdefault(rule.overrides, []).append(rule_id)
        return found

    @cached_property
    def _global_names(self) -> Mapping[str, tuple[int, ...]]:
        return _globals(self.rules)


class ScanTable(Table[ScanRule, ScanSnapshot]):
    """Applies records; not thread-safe. `snapshot()` is cached until the next change."""

    def _read(
        self, key: bytes | None, value: bytes, headers: Headers | None, offset: int
    ) -> ScanRule | InvalidRule:
        return read_record(key, value, headers, offset)

    def _make_snapshot(self, rules: Mapping[int, ScanRule], common: Mapping[str, Any]) -> ScanSnapshot:
        standing: dict[int, ScanRule] = {}
        invalid, offsets = dict(common["invalid"]), dict(common["offsets"])
        names = _globals(rules)
        for rule_id, rule in rules.items():
            if rule.overrides is not None:
                found = find_global(rule.overrides, rules, common["invalid"], names)
                if isinstance(found, str):
                    key = b"%d" % rule_id
                    reason, offset = f"overrides: {found}", offsets.pop(rule_id)
                    invalid[key] = InvalidRule(
                        rule_id, key.decode(), reason, offset, key, rule.name, identity=rule.identity
                    )
                    continue
                if found != rule.overrides:
                    rule = rule.model_copy(update={"overrides": found})
            standing[rule_id] = rule
        return ScanSnapshot(
            rules=MappingProxyType(standing), **{**common, "invalid": invalid, "offsets": offsets}
        )


def find_global(
    reference: int | str,
    rules: Mapping[int, ScanRule],
    invalid: Mapping[bytes, InvalidRule],
    names: Mapping[str, tuple[int, ...]] | None = None,
) -> int | str:
    """The id of the global rule with this id or name, else why there is none. `names`: of all global rules,
    where the caller has them.

    A record that is invalid now stays what it was to those that override it: that one record is broken must
    not take rules of workloads away.
    """
    if isinstance(reference, int):
        rule = rules.get(reference)
        if rule is None:
            known = b"%d" % reference in invalid
            return reference if known else f"there is no rule {reference}"
        return reference if rule.workload is None else f"rule {reference} is not a global one"
    ids = (_globals(rules) if names is None else names).get(reference, ())
    if len(ids) > 1:
        return f"several global rules have the name {reference!r}: give the id"
    return ids[0] if ids else f"there is no global rule {reference!r}"


def _globals(rules: Mapping[int, ScanRule]) -> Mapping[str, tuple[int, ...]]:
    found: dict[str, tuple[int, ...]] = {}
    for rule_id, rule in rules.items():
        if rule.workload is None:
            found[rule.name] = (*found.get(rule.name, ()), rule_id)
    return found
