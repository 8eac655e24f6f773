"""What a writer wants changed in a table of numbered records, and the records that make it so.

Pure: a `Building` looks at one snapshot of the table and either takes a change on or refuses it. What is
particular to a kind of rules is in its subclass: changes.py for trigger rules, scanning/changes.py for scan
rules.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import ClassVar, Final, Generic, Literal, NamedTuple, Protocol, TypeVar

import msgspec

from processor.rules.codec import TABLE_KEY, InvalidRule, read_id, show_key
from processor.rules.errors import ChangedTwice, NameTaken, NoSuchRule, RevisionConflict, StoreFailure
from processor.rules.identity import new_uid
from processor.rules.numbered import Ids, R, Snapshot
from processor.rules.sealing import KeyRing
from processor.settings import Settings

MAX_RECORDS: Final = 5_000
MAX_BYTES: Final = 8 << 20
"""A transaction holds at most this much: it must get through in a second or two on a slow line."""


class Draft(Protocol):
    """A rule as somebody writes it: its id is a wish, and no set means the one it has."""

    @property
    def id(self) -> int | None: ...

    @property
    def name(self) -> str: ...

    @property
    def identity(self) -> Hashable: ...

    @property
    def set(self) -> str | None: ...


D = TypeVar("D", bound=Draft)
D_co = TypeVar("D_co", bound=Draft, covariant=True)
R_co = TypeVar("R_co", covariant=True)


@dataclass(frozen=True)
class Create(Generic[D_co]):
    """A new rule. The draft's id (and uid) is honoured where it is free."""

    draft: D_co
    set: str | None = None
    """Overrides the draft's set."""
    by: str | None = None
    """Who wants it, where that isn't the writer itself (`Writer.by`)."""


@dataclass(frozen=True)
class Update(Generic[D_co]):
    """A new version of the rule with this id; placeholders keep its secrets.

    `expect` is the offset of the version the caller has seen (None: whatever stands there). An invalid
    record can be replaced too.
    """

    id: int
    draft: D_co
    expect: int | None = None
    set: str | None = None
    by: str | None = None


@dataclass(frozen=True, slots=True)
class Delete:
    """Away with the record under this key: `str(id).encode()`, or the raw key of an invalid one."""

    key: bytes
    expect: int | None = None


@dataclass(frozen=True, slots=True)
class RaiseNextId:
    """Never give out an id below this one (carried over from another table)."""

    next_id: int


Action = Literal["created", "updated", "deleted"]


@dataclass(frozen=True)
class Applied(Generic[R_co]):
    """One change as it was written; `offset` is its record's (None if it could not be seen in time).

    `rule` is what was written, None where a rule was deleted. `along`: it went along with another one that
    was deleted, and nobody asked for this one by itself.
    """

    action: Action
    id: int | None
    name: str
    key: bytes
    offset: int | None = None
    rule: R_co | None = field(default=None, repr=False, compare=False)
    along: bool = False


class Record(NamedTuple):
    """Key and value of a record; no value deletes the key."""

    key: bytes
    value: bytes | None


@dataclass(frozen=True)
class Batch(Generic[R_co]):
    """One transaction: `taken` of the changes, as `records`; `applied` has one entry per rule written or
    deleted.
    """

    taken: int
    records: tuple[Record, ...]
    applied: tuple[Applied[R_co], ...]


@dataclass(frozen=True, slots=True)
class Writer:
    """Who writes, when and with what: everything a Building needs besides the table."""

    keys: KeyRing
    by: str
    now: Callable[[], datetime]
    new_uid: Callable[[], str]
    limits: tuple[int, int] = (MAX_RECORDS, MAX_BYTES)

    @classmethod
    def of(cls, settings: Settings, by: str) -> Writer:
        """A writer with the keys of the settings, the clock and chance."""
        return cls(KeyRing.of(settings), by, lambda: datetime.now(UTC).replace(microsecond=0), new_uid)


C = TypeVar("C")


class Building(ABC, Generic[R, D, C]):
    """A transaction being put together: the table as it will be after each change.

    C: the changes it takes. A change that raises leaves nothing behind but, at most, an id that is never
    given out.
    """

    table_kind: ClassVar[str] = "RuleTable"
    """What files call the document with the next id."""

    def __init__(self, snapshot: Snapshot[R], writer: Writer) -> None:
        self._snapshot = snapshot
        self._writer = writer
        self._ids = Ids(snapshot)
        self._names = {identity: set(ids) for identity, ids in snapshot.by_identity.items()}
        self._touched: set[bytes] = set()
        self._newer = next((rule for rule in snapshot.invalid.values() if rule.newer), None)
        self._trusted = not snapshot.table_error
        self._records: list[Record] = []
        self._applied: list[Applied[R]] = []
        self._bytes = 0

    @abstractmethod
    def _make(
        self,
        draft: D,
        current: R | InvalidRule | None,
        *,
        rule_id: int,
        set_name: str,
        by: str,
    ) -> tuple[R, bytes]:
        """What the draft makes of the rule as it stands (None: it is new), and its record. May refuse."""

    def _along(self, rule: R | InvalidRule) -> Sequence[R]:
        """What can't be without the rule that is deleted, and goes along with it."""
        del rule
        return ()

    def _gone(self, rule: R | InvalidRule) -> None:
        """The rule is deleted."""

    def _add_other(self, change: C) -> None:
        """Take on a change that only this kind of table knows."""
        raise TypeError(f"not a change of this table: {change}")

    def _ordered(self, records: list[Record]) -> Iterable[Record]:
        """The records in the order in which readers are to see them."""
        return records

    @property
    def full(self) -> bool:
        """Whether the rest should go into another transaction."""
        most_records, most_bytes = self._writer.limits
        return len(self._records) >= most_records or self._bytes >= most_bytes

    def add(self, change: C) -> None:
        """Take this change on after those before. Raises a RuleFailure, and then leaves it out."""
        match change:
            case Create():
                self._create(change)
            case Update():
                self._update(change)
            case Delete():
                self._delete(change)
            case RaiseNextId(next_id):
                self._ids.raise_to(next_id)
                self._trusted = True
            case _:
                self._add_other(change)

    def finish(self, taken: int, *, last: bool) -> Batch[R]:
        """The transaction. last: no further one is needed."""
        # Ids asked for by a file come in rising order, so a batch that isn't the last must not raise
        # next_id past the ones still to come, even if rules with larger ids stand in the table.
        next_id = self._ids.after_all() if last else self._ids.after_given()
        records = [*self._ordered(self._records)]
        if self._trusted and (next_id != self._snapshot.next_id or self._snapshot.table_error):
            records = [Record(TABLE_KEY, msgspec.json.encode({"next_id": next_id})), *records]
        return Batch(taken, tuple(records), tuple(self._applied))

    def _create(self, change: Create[D]) -> None:
        if not self._trusted:
            raise StoreFailure(
                f"the record _table {self._snapshot.table_error}, so no safe id is known for a new rule:"
                f" apply a file with `kind: {self.table_kind}` and the next_id to go on with"
            )
        if self._newer is not None:
            # It may have any name: a rule made beside it could be the same one twice.
            raise StoreFailure(f"rule {self._newer.key}: {self._newer.reason} before rules are created here")
        draft = change.draft
        self._claim_name(draft.identity, None)
        wanted = draft.id
        if (
            wanted is not None
            and self._snapshot.is_free(wanted)
            and str(wanted).encode() not in self._touched
        ):
            rule_id = wanted
            self._ids.take(rule_id)
        else:
            rule_id = self._ids.give()
        set_name = change.set if change.set is not None else draft.set or ""
        self._put("created", draft, None, rule_id=rule_id, set_name=set_name, by=change.by)

    def _update(self, change: Update[D]) -> None:
        rule_id, draft = change.id, change.draft
        key = str(rule_id).encode()
        self._touch_once(key, rule_id)
        current, offset = self._standing(key)
        self._expect(change.expect, offset, f"rule {rule_id}")
        valid = None if isinstance(current, InvalidRule) else current
        self._claim_name(draft.identity, valid)
        if change.set is not None:
            set_name = change.set
        elif draft.set is not None:
            set_name = draft.set
        else:
            set_name = valid.set if valid is not None else ""
        self._put("updated", draft, current, rule_id=rule_id, set_name=set_name, by=change.by)
        if valid is not None and valid.identity != draft.identity:
            self._names[valid.identity].discard(rule_id)

    def _delete(self, change: Delete) -> None:
        current, offset = self._standing(change.key)
        self._touch_once(change.key, current.id)
        self._expect(change.expect, offset, f"rule {current.id}")
        along = self._along(current)
        for other in along:
            self._touch_once(b"%d" % other.id, other.id)
        self._remove(change.key, current)
        for other in along:
            self._remove(b"%d" % other.id, other, along=True)

    def _remove(self, key: bytes, rule: R | InvalidRule, *, along: bool = False) -> None:
        self._add(Record(key, None), Applied("deleted", rule.id, rule.name, key, along=along))
        if not isinstance(rule, InvalidRule):
            self._names[rule.identity].discard(rule.id)
        self._gone(rule)

    def _put(
        self,
        action: Literal["created", "updated"],
        draft: D,
        current: R | InvalidRule | None,
        *,
        rule_id: int,
        set_name: str,
        by: str | None,
    ) -> None:
        rule, value = self._make(
            draft,
            current,
            rule_id=rule_id,
            set_name=set_name,
            by=self._writer.by if by is None else by,
        )
        self._names.setdefault(rule.identity, set()).add(rule_id)
        key = str(rule_id).encode()
        self._add(Record(key, value), Applied(action, rule_id, rule.name, key, rule=rule))

    def _add(self, record: Record, applied: Applied[R]) -> None:
        self._touch_once(record.key, applied.id)
        self._touched.add(record.key)
        self._records.append(record)
        self._applied.append(applied)
        self._bytes += len(record.key) + len(record.value or b"")

    def _touch_once(self, key: bytes, rule_id: int | None) -> None:
        if key in self._touched:
            raise ChangedTwice(f"rule {rule_id} is changed twice in one write")

    def _standing(self, key: bytes) -> tuple[R | InvalidRule, int]:
        invalid = self._snapshot.invalid.get(key)
        if invalid is not None:
            return invalid, invalid.offset
        rule = self._snapshot.rules.get(read_id(key) or 0)
        if rule is None:
            raise NoSuchRule(f"there is no rule {show_key(key)}")
        return rule, self._snapshot.offsets[rule.id]

    def _expect(self, expected: int | None, offset: int, what: str) -> None:
        if expected is not None and expected != offset:
            raise RevisionConflict(
                f"{what} has changed since it was read (revision {offset}, not {expected})"
            )

    def _claim_name(self, identity: Hashable, own: R | None) -> None:
        if own is not None and own.identity == identity:
            return  # also where plain producers gave two rules this name: its update must stay possible
        if others := self._names.get(identity):
            raise NameTaken(f"rule {min(others)} has the name {self._called(identity)} already")

    def _called(self, identity: Hashable) -> str:
        """An identity in words."""
        return repr(identity)


def build_batch(building: Building[R, D, C], changes: Sequence[C], snapshot: Snapshot[R]) -> Batch[R]:
    """The first transaction of `changes`: all of them where they fit.

    Raises a RuleFailure when one of them can't be made; then nothing of the batch may be written.
    """
    if snapshot.table_newer:
        raise StoreFailure(f"the record _table can't be read: {snapshot.table_error}")
    taken = 0
    for change in changes:
        if building.full:
            break
        building.add(change)
        taken += 1
    return building.finish(taken, last=taken == len(changes))
