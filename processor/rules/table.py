"""The rule table: what the records of the rule topic add up to, from the first to any later one.

Pure: records go in, snapshots come out. A new version of a rule replaces the old one even when it is
invalid, so the table is the same after every restart.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from types import MappingProxyType
from typing import Final, NamedTuple

import msgspec

from processor.rules.codec import (
    TABLE_KEY,
    Headers,
    InvalidRule,
    newer_format,
    read_id,
    read_record,
)
from processor.rules.errors import OutOfIds
from processor.rules.fields import MAX_ID
from processor.rules.releases import NOTHING_RELEASED, RELEASE_KEY, Releases, read_releases
from processor.rules.schema import TriggerRule

REMEMBERED: Final = 20_000
"""Changes that can be told one by one; who asks later gets the whole table."""


@dataclass(frozen=True)
class RuleSnapshot:
    """The table at one moment; never changes.

    `rules` are the valid ones by id and `offsets` where their records stand (a rule's revision); `invalid`
    is by the record's raw key. `next_offset` is behind the last record in it, `version` grows with every
    change of the table, rebuilds included. `next_id` is what `_table` says (1 where there is none),
    `table_error` why it can't be relied on, `table_newer` whether that is because a newer version wrote it.
    `releases` is what need not wait any longer.
    """

    rules: Mapping[int, TriggerRule]
    offsets: Mapping[int, int]
    invalid: Mapping[bytes, InvalidRule]
    next_id: int
    seen: frozenset[int]
    next_offset: int
    version: int
    table_error: str = ""
    table_newer: bool = False
    releases: Releases = NOTHING_RELEASED

    @cached_property
    def unsealed(self) -> Mapping[int, tuple[str, ...]]:
        """Rules that hold a secret as plain text, and in which fields."""
        return {rule_id: fields for rule_id, rule in self.rules.items() if (fields := rule.unsealed())}

    @cached_property
    def by_name(self) -> Mapping[str, tuple[int, ...]]:
        """Ids of the valid rules by name; more than one where plain producers wrote the same name twice."""
        names: dict[str, tuple[int, ...]] = {}
        for rule_id, rule in self.rules.items():
            names[rule.name] = (*names.get(rule.name, ()), rule_id)
        return names

    @property
    def last_id(self) -> int:
        """The largest id seen in any record, deleted ones included; 0 before the first."""
        return max(self.seen, default=0)

    def is_free(self, rule_id: int) -> bool:
        """Whether a new rule may have this id: it has never been given out nor been seen."""
        return self.next_id <= rule_id <= MAX_ID and rule_id not in self.seen


class Changes(NamedTuple):
    """What has become of rules since some version of the table.

    rules: by id, None is one that is no longer there or not valid; if `whole`, all there are, and any other
    is gone. version, next_offset: of the table with these changes.
    """

    version: int
    next_offset: int
    whole: bool
    rules: Mapping[int, TriggerRule | None]


class Ids:
    """Gives out ids for new rules: from `_table` on and above every id seen, never one twice.

    Where somebody took an id so large that nothing is left above it, the free ids from `_table` on are
    given out instead.
    """

    def __init__(self, snapshot: RuleSnapshot) -> None:
        self.next_id = snapshot.next_id
        self._seen = snapshot.seen
        self._given: set[int] = set()
        self._last = snapshot.last_id

    def raise_to(self, next_id: int) -> None:
        """Give out nothing below `next_id` (a file's `next_id`, carried over from another table)."""
        self.next_id = max(self.next_id, next_id)

    def take(self, rule_id: int) -> None:
        """Give out just this one, which must be free."""
        self._given.add(rule_id)
        self._last = max(self._last, rule_id)

    def give(self) -> int:
        """A new id; raises OutOfIds."""
        rule_id = max(self.next_id, self._last + 1)
        if rule_id > MAX_ID:
            rule_id = self.next_id
            while rule_id in self._seen or rule_id in self._given:
                rule_id += 1
        if rule_id > MAX_ID:
            raise OutOfIds("no id is left for a new rule: next_id has reached 2^53")
        self.take(rule_id)
        self.next_id = rule_id + 1
        return rule_id

    def after_all(self) -> int:
        """The next_id to write so that nothing seen or given is ever given again."""
        return max(self.next_id, self._last + 1) if self._last < MAX_ID else self.next_id

    def after_given(self) -> int:
        """The next_id to write while more ids of the same write are to follow above those given."""
        return max(self.next_id, max(self._given, default=0) + 1) if self._given else self.next_id


class RuleTable:
    """Applies records; not thread-safe. `snapshot()` is cached until the next change."""

    def __init__(self) -> None:
        self._version = 0
        self._log: deque[tuple[int, int]] = deque()
        self._forgotten = 0
        self._cached: RuleSnapshot | None = None
        self._clear()

    def reset(self) -> None:
        """Empty again, before the topic is read from its start."""
        self._clear()
        self._version += 1
        self._forgotten = self._version
        self._log.clear()

    def apply(
        self, key: bytes | None, value: bytes | None, headers: Headers | None, offset: int
    ) -> TriggerRule | InvalidRule | None:
        """Take one record (None is a tombstone); never raises. Returns what it was, None for neither kind
        of rule.
        """
        self._cached = None
        self._version += 1
        self._next_offset = offset + 1
        if key == TABLE_KEY:
            self._take_next_id(value, headers)
            return None
        if key == RELEASE_KEY:
            self._releases = read_releases(value, headers)
            return None
        raw, rule_id = key or b"", read_id(key)
        if rule_id is not None:
            self._remember(rule_id)
            self._seen.add(rule_id)
            self._rules.pop(rule_id, None)
            self._offsets.pop(rule_id, None)
        self._invalid.pop(raw, None)
        if value is None:
            return None
        read = read_record(key, value, headers, offset)
        if isinstance(read, InvalidRule):
            self._invalid[raw] = read
        else:
            self._rules[read.id] = read
            self._offsets[read.id] = offset
        return read

    @property
    def version(self) -> int:
        """Grows with every change of the table, rebuilds included."""
        return self._version

    def changes(self, since: int) -> Changes:
        """What has changed since `version` was `since` (0 is before everything); takes as long as that is
        much.
        """
        if since < self._forgotten or since == 0:
            return Changes(self._version, self._next_offset, True, dict(self._rules))
        changed: dict[int, TriggerRule | None] = {}
        for version, rule_id in reversed(self._log):
            if version <= since:
                break
            changed[rule_id] = self._rules.get(rule_id)
        return Changes(self._version, self._next_offset, False, changed)

    def snapshot(self) -> RuleSnapshot:
        """The table as it is now."""
        if self._cached is None:
            self._cached = RuleSnapshot(
                rules=MappingProxyType(dict(sorted(self._rules.items()))),
                offsets=MappingProxyType(dict(self._offsets)),
                invalid=MappingProxyType(dict(self._invalid)),
                next_id=self._next_id,
                seen=frozenset(self._seen),
                next_offset=self._next_offset,
                version=self._version,
                table_error=self._table_error,
                table_newer=self._table_newer,
                releases=self._releases,
            )
        return self._cached

    def _remember(self, rule_id: int) -> None:
        self._log.append((self._version, rule_id))
        if len(self._log) > REMEMBERED:
            self._forgotten, _ = self._log.popleft()

    def _clear(self) -> None:
        self._rules: dict[int, TriggerRule] = {}
        self._offsets: dict[int, int] = {}
        self._invalid: dict[bytes, InvalidRule] = {}
        self._seen: set[int] = set()
        self._next_id = 1
        self._next_offset = 0
        self._table_error = ""
        self._table_newer = False
        self._releases = NOTHING_RELEASED
        self._cached = None

    def _take_next_id(self, value: bytes | None, headers: Headers | None) -> None:
        if value is None:
            return
        self._table_error = newer_format(headers)
        self._table_newer = bool(self._table_error)
        if self._table_newer:
            return
        try:
            record = msgspec.json.decode(value)
        except (msgspec.MsgspecError, RecursionError, ValueError):
            record = None
        next_id = record.get("next_id") if isinstance(record, dict) else None
        if type(next_id) is not int or not 1 <= next_id <= MAX_ID + 1:
            self._table_error = f"holds no next_id from 1 to {MAX_ID + 1}"
            return
        # It never goes back, whoever wrote it: what was given out stays given out.
        self._next_id = max(self._next_id, next_id)
