"""The rule table: what the records of the rule topic add up to. numbered.py has what all tables share."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from types import MappingProxyType
from typing import Any, TypeAlias

from processor.rules import numbered
from processor.rules.codec import Headers, InvalidRule, read_record
from processor.rules.numbered import REMEMBERED, Ids, Snapshot, Table
from processor.rules.releases import NOTHING_RELEASED, RELEASE_KEY, Releases, read_releases
from processor.rules.schema import TriggerRule

__all__ = ["REMEMBERED", "Changes", "Ids", "RuleSnapshot", "RuleTable"]

Changes: TypeAlias = numbered.Changes[TriggerRule]


@dataclass(frozen=True)
class RuleSnapshot(Snapshot[TriggerRule]):
    """The table at one moment; never changes. `releases` is what need not wait any longer."""

    releases: Releases = NOTHING_RELEASED

    @cached_property
    def unsealed(self) -> Mapping[int, tuple[str, ...]]:
        """Rules that hold a secret as plain text, and in which fields."""
        return {rule_id: fields for rule_id, rule in self.rules.items() if (fields := rule.unsealed())}

    @cached_property
    def by_name(self) -> Mapping[str, tuple[int, ...]]:
        """Ids of the valid rules by name; more than one where plain producers wrote the same name twice."""
        return {str(name): ids for name, ids in self.by_identity.items()}


class RuleTable(Table[TriggerRule, RuleSnapshot]):
    """Applies records; not thread-safe. `snapshot()` is cached until the next change."""

    def _read(
        self, key: bytes | None, value: bytes, headers: Headers | None, offset: int
    ) -> TriggerRule | InvalidRule:
        return read_record(key, value, headers, offset)

    def _take_special(self, key: bytes | None, value: bytes | None, headers: Headers | None) -> bool:
        if key == RELEASE_KEY:
            self._releases = read_releases(value, headers)
            return True
        return super()._take_special(key, value, headers)

    def _make_snapshot(self, rules: Mapping[int, TriggerRule], common: Mapping[str, Any]) -> RuleSnapshot:
        return RuleSnapshot(rules=MappingProxyType(dict(rules)), releases=self._releases, **common)

    def _clear(self) -> None:
        super()._clear()
        self._releases = NOTHING_RELEASED
