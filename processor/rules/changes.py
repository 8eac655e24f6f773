"""What a writer wants changed, and the records that make it so.

Pure: `build` looks at one snapshot of the table and either gives the records of one transaction or refuses,
and then nothing is written. The store calls it while it holds the table still.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final, Literal, NamedTuple

import msgspec

from processor.rules.codec import TABLE_KEY, InvalidRule, read_id, show_key, to_record
from processor.rules.errors import NameTaken, NoSuchRule, RevisionConflict, StoreFailure
from processor.rules.identity import new_uid
from processor.rules.protect import protected
from processor.rules.releases import RELEASE_KEY, with_released, write_releases
from processor.rules.schema import RuleDraft, TriggerRule
from processor.rules.sealing import KeyRing
from processor.rules.table import Ids, RuleSnapshot
from processor.settings import Settings

MAX_RECORDS: Final = 5_000
MAX_BYTES: Final = 8 << 20
"""A transaction holds at most this much: it must get through in a second or two on a slow line."""


@dataclass(frozen=True, slots=True)
class Create:
    """A new rule. The draft's id and uid are honoured where they are free."""

    draft: RuleDraft
    set: str | None = None
    """Overrides the draft's set."""
    by: str | None = None
    """Who wants it, where that isn't the writer itself (`Writer.by`)."""


@dataclass(frozen=True, slots=True)
class Update:
    """A new version of the rule with this id; placeholders keep its secrets.

    `expect` is the offset of the version the caller has seen (None: whatever stands there). An invalid
    record can be replaced too.
    """

    id: int
    draft: RuleDraft
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


@dataclass(frozen=True, slots=True)
class Release:
    """What was put off up to now (ms since 1970) is due: jobs of these rules, jobs to these origins."""

    at_ms: int
    rules: tuple[int, ...] = ()
    destinations: tuple[str, ...] = ()


Change = Create | Update | Delete | RaiseNextId | Release
Action = Literal["created", "updated", "deleted"]


@dataclass(frozen=True, slots=True)
class Applied:
    """One change as it was written; `offset` is its record's (None if it could not be seen in time).

    `rule` is what was written, None where a rule was deleted.
    """

    action: Action
    id: int | None
    name: str
    key: bytes
    offset: int | None = None
    rule: TriggerRule | None = field(default=None, repr=False, compare=False)


class Record(NamedTuple):
    """Key and value of a record; no value deletes the key."""

    key: bytes
    value: bytes | None


@dataclass(frozen=True, slots=True)
class Batch:
    """One transaction: `taken` of the changes, as `records`; `applied` has one entry per rule written or
    deleted.
    """

    taken: int
    records: tuple[Record, ...]
    applied: tuple[Applied, ...]


@dataclass(frozen=True, slots=True)
class Writer:
    """Who writes, when and with what: everything `build` needs besides the table."""

    keys: KeyRing
    by: str
    now: Callable[[], datetime]
    new_uid: Callable[[], str]
    limits: tuple[int, int] = (MAX_RECORDS, MAX_BYTES)

    @classmethod
    def of(cls, settings: Settings, by: str) -> Writer:
        """A writer with the keys of the settings, the clock and chance."""
        return cls(KeyRing.of(settings), by, lambda: datetime.now(UTC).replace(microsecond=0), new_uid)


def build(changes: Sequence[Change], snapshot: RuleSnapshot, writer: Writer) -> Batch:
    """The first transaction of `changes`: all of them where they fit.

    Raises a StoreFailure or SecretError when one of them can't be made; then nothing of the batch may be
    written.
    """
    if snapshot.table_newer:
        raise StoreFailure(f"the record _table can't be read: {snapshot.table_error}")
    building = _Building(snapshot, writer)
    taken = 0
    for change in changes:
        if building.full:
            break
        building.add(change)
        taken += 1
    return building.finish(taken, last=taken == len(changes))


class Rehearsal:
    """Whether changes can be made one after the other, found out without making them.

    For who writes the changes of several people in one transaction: a change that can't be made must not
    take the others along.
    """

    def __init__(self, snapshot: RuleSnapshot, writer: Writer) -> None:
        self._building = _Building(snapshot, writer)

    def add(self, change: Change) -> None:
        """Take this change on after those before. Raises what build() would, and then leaves it out."""
        self._building.add(change)


class _Building:
    """A transaction being put together: the table as it will be after each change.

    A change that raises leaves nothing behind but, at most, an id that is never given out.
    """

    def __init__(self, snapshot: RuleSnapshot, writer: Writer) -> None:
        self._snapshot = snapshot
        self._writer = writer
        self._ids = Ids(snapshot)
        self._names = {name: set(ids) for name, ids in snapshot.by_name.items()}
        self._uids = {rule.uid for rule in snapshot.rules.values()}
        self._touched: set[bytes] = set()
        self._newer = next((rule for rule in snapshot.invalid.values() if rule.newer), None)
        self._trusted = not snapshot.table_error
        self._releases = snapshot.releases
        self._records: list[Record] = []
        self._applied: list[Applied] = []
        self._bytes = 0

    @property
    def full(self) -> bool:
        most_records, most_bytes = self._writer.limits
        return len(self._records) >= most_records or self._bytes >= most_bytes

    def add(self, change: Change) -> None:
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
            case Release():
                self._release(change)

    def finish(self, taken: int, *, last: bool) -> Batch:
        # Ids asked for by a file come in rising order, so a batch that isn't the last must not raise
        # next_id past the ones still to come, even if rules with larger ids stand in the table.
        next_id = self._ids.after_all() if last else self._ids.after_given()
        records = self._records
        if self._releases is not self._snapshot.releases:
            records = [*records, Record(RELEASE_KEY, write_releases(self._releases))]
        if self._trusted and (next_id != self._snapshot.next_id or self._snapshot.table_error):
            records = [Record(TABLE_KEY, msgspec.json.encode({"next_id": next_id})), *records]
        return Batch(taken, tuple(records), tuple(self._applied))

    def _create(self, change: Create) -> None:
        if not self._trusted:
            raise StoreFailure(
                f"the record _table {self._snapshot.table_error}, so no safe id is known for a new rule:"
                " apply a file with `kind: RuleTable` and the next_id to go on with"
            )
        if self._newer is not None:
            # It may have any name: a rule made beside it could be the same one twice.
            raise StoreFailure(f"rule {self._newer.key}: {self._newer.reason} before rules are created here")
        draft = change.draft
        self._claim_name(draft.name, None)
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
        uid = draft.uid if draft.uid and draft.uid not in self._uids else self._writer.new_uid()
        self._uids.add(uid)
        set_name = change.set if change.set is not None else draft.set or ""
        self._put("created", draft, None, rule_id=rule_id, uid=uid, set_name=set_name, by=change.by)

    def _update(self, change: Update) -> None:
        rule_id, draft = change.id, change.draft
        current, offset = self._standing(str(rule_id).encode())
        self._expect(change.expect, offset, f"rule {rule_id}")
        valid = current if isinstance(current, TriggerRule) else None
        self._claim_name(draft.name, valid)
        if change.set is not None:
            set_name = change.set
        elif draft.set is not None:
            set_name = draft.set
        else:
            set_name = valid.set if valid is not None else ""
        # A plain producer's rule has no uid and gets none: its waiting jobs would be cancelled as those of
        # another rule.
        uid = current.uid if valid is not None or current.uid else self._writer.new_uid()
        self._put("updated", draft, valid, rule_id=rule_id, uid=uid, set_name=set_name, by=change.by)
        if valid is not None and valid.name != draft.name:
            self._names[valid.name].discard(rule_id)

    def _delete(self, change: Delete) -> None:
        current, offset = self._standing(change.key)
        self._expect(change.expect, offset, f"rule {current.id}")
        if isinstance(current, TriggerRule):
            self._names[current.name].discard(current.id)
        self._add(Record(change.key, None), Applied("deleted", current.id, current.name, change.key))

    def _release(self, change: Release) -> None:
        releases = self._releases
        if releases.newer:
            raise StoreFailure(f"the record _release can't be read: {releases.newer}")
        self._releases = with_released(releases, change.rules, change.destinations, change.at_ms)

    def _put(
        self,
        action: Literal["created", "updated"],
        draft: RuleDraft,
        current: TriggerRule | None,
        *,
        rule_id: int,
        uid: str,
        set_name: str,
        by: str | None,
    ) -> None:
        rule = draft.to_rule(
            rule_id=rule_id,
            uid=uid,
            set_name=set_name,
            updated_by=self._writer.by if by is None else by,
            updated_at=self._writer.now(),
            **protected(draft, rule_id, current, self._writer.keys),
        )
        self._names.setdefault(rule.name, set()).add(rule_id)
        key = str(rule_id).encode()
        self._add(Record(key, to_record(rule)), Applied(action, rule_id, rule.name, key, rule=rule))

    def _add(self, record: Record, applied: Applied) -> None:
        if record.key in self._touched:
            raise RevisionConflict(f"rule {applied.id} is changed twice in one write")
        self._touched.add(record.key)
        self._records.append(record)
        self._applied.append(applied)
        self._bytes += len(record.key) + len(record.value or b"")

    def _standing(self, key: bytes) -> tuple[TriggerRule | InvalidRule, int]:
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

    def _claim_name(self, name: str, own: TriggerRule | None) -> None:
        if own is not None and own.name == name:
            return  # also where plain producers gave two rules this name: its update must stay possible
        if others := self._names.get(name):
            raise NameTaken(f"rule {min(others)} has the name {name!r} already")
