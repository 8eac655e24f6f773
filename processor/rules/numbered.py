"""A table of numbered records: what the records of such a topic add up to, from the first to any later one.

The topics of trigger rules and of scan rules are two of them: the key is an id in decimal, the record
`_table` holds the next id to give out. Pure: records go in, snapshots come out. A new version of a record
replaces the old one even when it is invalid, so the table is the same after every restart.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Hashable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final, Generic, NamedTuple, Protocol, TypeVar

import msgspec

from processor.rules.codec import TABLE_KEY, Headers, InvalidRule, newer_format, read_id
from processor.rules.errors import OutOfIds
from processor.rules.fields import MAX_ID

REMEMBERED: Final = 20_000
"""Changes that can be told one by one; who asks later gets the whole table."""


class Numbered(Protocol):
    """What a table is of."""

    @property
    def id(self) -> int: ...

    @property
    def name(self) -> str: ...

    @property
    def identity(self) -> Hashable:
        """What files and people know it by; unique among the valid ones of a table."""
        ...

    @property
    def set(self) -> str: ...


R = TypeVar("R", bound=Numbered)


@dataclass(frozen=True)
class Snapshot(Generic[R]):
    """The table at one moment; never changes.

    `rules` are the valid ones by id and `offsets` where their records stand (a rule's revision); `invalid`
    is by the record's raw key. `next_offset` is behind the last record in it, `version` grows with every
    change of the table, rebuilds included. `next_id` is what `_table` says (1 where there is none),
    `table_error` why it can't be relied on, `table_newer` whether that is because a newer version wrote it.
    """

    rules: Mapping[int, R]
    offsets: Mapping[int, int]
    invalid: Mapping[bytes, InvalidRule]
    next_id: int
    seen: frozenset[int]
    next_offset: int
    version: int
    table_error: str = ""
    table_newer: bool = False

    @cached_property
    def by_identity(self) -> Mapping[Hashable, tuple[int, ...]]:
        """Ids of the valid rules by identity; more than one where plain producers wrote the same twice."""
        found: dict[Hashable, tuple[int, ...]] = {}
        for rule_id, rule in self.rules.items():
            found[rule.identity] = (*found.get(rule.identity, ()), rule_id)
        return found

    @property
    def last_id(self) -> int:
        """The largest id seen in any record, deleted ones included; 0 before the first."""
        return max(self.seen, default=0)

    def is_free(self, rule_id: int) -> bool:
        """Whether a new rule may have this id: it has never been given out nor been seen."""
        return self.next_id <= rule_id <= MAX_ID and rule_id not in self.seen


S = TypeVar("S", bound=Snapshot[Any])


class Changes(NamedTuple, Generic[R]):
    """What has become of rules since some version of the table.

    rules: by id, None is one that is no longer there or not valid; if `whole`, all there are, and any other
    is gone. version, next_offset: of the table with these changes.
    """

    version: int
    next_offset: int
    whole: bool
    rules: Mapping[int, R | None]


class Ids:
    """Gives out ids for new rules: from `_table` on and above every id seen, never one twice.

    Where somebody took an id so large that nothing is left above it, the free ids from `_table` on are
    given out instead.
    """

    def __init__(self, snapshot: Snapshot[Any]) -> None:
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


class Table(ABC, Generic[R, S]):
    """Applies records; not thread-safe. `snapshot()` is cached until the next change."""

    def __init__(self) -> None:
        self._version = 0
        self._log: deque[tuple[int, int]] = deque()
        self._forgotten = 0
        self._cached: S | None = None
        self._clear()

    @abstractmethod
    def _read(self, key: bytes | None, value: bytes, headers: Headers | None, offset: int) -> R | InvalidRule:
        """The rule in a record, or why it is none."""

    @abstractmethod
    def _make_snapshot(self, rules: Mapping[int, R], common: Mapping[str, Any]) -> S:
        """`rules` are the valid ones in the order of their ids, `common` the other fields of Snapshot."""

    def _take_special(self, key: bytes | None, value: bytes | None, headers: Headers | None) -> bool:
        """Take a record that is about the table and not a rule; whether this was one."""
        if key != TABLE_KEY:
            return False
        self._take_next_id(value, headers)
        return True

    def reset(self) -> None:
        """Empty again, before the topic is read from its start."""
        self._clear()
        self._version += 1
        self._forgotten = self._version
        self._log.clear()

    def apply(
        self, key: bytes | None, value: bytes | None, headers: Headers | None, offset: int
    ) -> R | InvalidRule | None:
        """Take one record (None is a tombstone); never raises. Returns what it was, None for neither kind
        of rule.
        """
        self._cached = None
        self._version += 1
        self._next_offset = offset + 1
        if self._take_special(key, value, headers):
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
        read = self._read(key, value, headers, offset)
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

    def changes(self, since: int) -> Changes[R]:
        """What has changed since `version` was `since` (0 is before everything); takes as long as that is
        much.
        """
        if since < self._forgotten or since == 0:
            return Changes(self._version, self._next_offset, True, dict(self._rules))
        changed: dict[int, R | None] = {}
        for version, rule_id in reversed(self._log):
            if version <= since:
                break
            changed[rule_id] = self._rules.get(rule_id)
        return Changes(self._version, self._next_offset, False, changed)

    def snapshot(self) -> S:
        """The table as it is now."""
        if self._cached is None:
            self._cached = self._make_snapshot(
                dict(sorted(self._rules.items())),
                {
                    "offsets": dict(self._offsets),
                    "invalid": dict(self._invalid),
                    "next_id": self._next_id,
                    "seen": frozenset(self._seen),
                    "next_offset": self._next_offset,
                    "version": self._version,
                    "table_error": self._table_error,
                    "table_newer": self._table_newer,
                },
            )
        return self._cached

    def _remember(self, rule_id: int) -> None:
        self._log.append((self._version, rule_id))
        if len(self._log) > REMEMBERED:
            self._forgotten, _ = self._log.popleft()

    def _clear(self) -> None:
        self._rules: dict[int, R] = {}
        self._offsets: dict[int, int] = {}
        self._invalid: dict[bytes, InvalidRule] = {}
        self._seen: set[int] = set()
        self._next_id = 1
        self._next_offset = 0
        self._table_error = ""
        self._table_newer = False
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
