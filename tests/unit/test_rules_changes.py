"""What a write does to the table: ids, uids, names, revisions, and how much fits one transaction."""

import json
from collections.abc import Sequence
from typing import Any

import pytest

from processor.rules import (
    Change,
    Create,
    Delete,
    NameTaken,
    NoSuchRule,
    OutOfIds,
    RaiseNextId,
    RevisionConflict,
    RuleDraft,
    RuleSnapshot,
    RuleTable,
    SecretError,
    StoreFailure,
    Update,
    Writer,
)
from processor.rules.changes import Batch, build
from processor.rules.fields import MAX_ID
from tests.support.rules import NOW, draft, record, ring, snapshot_of, table_of, writer


def written(changes: Sequence[Change], snapshot: RuleSnapshot, by: Writer | None = None) -> dict[str, Any]:
    """The records of one write by key, decoded; deletions are None."""
    batch = build(changes, snapshot, by or writer())
    assert batch.taken == len(changes)
    return decoded(batch)


def decoded(batch: Batch) -> dict[str, Any]:
    return {key.decode(): value and json.loads(value) for key, value in batch.records}


def write_all(changes: Sequence[Change], table: RuleTable, by: Writer) -> list[Batch]:
    """Write transaction after transaction until all is taken, as the store does."""
    batches: list[Batch] = []
    offset = table.snapshot().next_offset
    while True:
        left = changes[sum(batch.taken for batch in batches) :]
        batch = build(left, table.snapshot(), by)
        for key, value in batch.records:
            table.apply(key, value, None, offset)
            offset += 1
        batches.append(batch)
        if batch.taken == len(left):
            return batches


def test_a_new_rule_gets_the_next_id_a_uid_and_who_wrote_it_when() -> None:
    records = written([Create(draft("a"))], snapshot_of(next_id=5))

    assert records["_table"] == {"next_id": 6}
    rule = records["5"]
    assert (rule["id"], rule["uid"], rule["name"]) == (5, "U1", "a")
    assert (rule["updated_by"], rule["updated_at"]) == ("tests", "2026-11-23T10:00:00Z")


def test_the_id_is_written_down_in_the_same_transaction_and_first() -> None:
    batch = build([Create(draft("a"))], snapshot_of(), writer())

    assert [key for key, _ in batch.records] == [b"_table", b"1"]


def test_an_id_and_a_uid_asked_for_are_honoured_where_they_are_free() -> None:
    records = written([Create(draft("a", id=7, uid="MINE"))], snapshot_of())

    assert records["7"]["uid"] == "MINE"
    assert records["_table"] == {"next_id": 8}


@pytest.mark.parametrize(
    "records",
    [
        [(b"7", record("other"))],
        [(b"7", b"broken")],
        [(b"7", record("other")), (b"7", None)],
        [(b"_table", b'{"next_id":8}')],
    ],
    ids=["taken", "taken by an invalid rule", "deleted", "given out before"],
)
def test_an_id_that_was_ever_used_is_not_given_again(records: list[tuple[bytes, bytes | None]]) -> None:
    rules = written([Create(draft("a", id=7))], table_of(records).snapshot())

    assert "7" not in rules
    assert rules["8"]["id"] == 8


def test_a_uid_in_use_is_not_given_again() -> None:
    snapshot = snapshot_of({1: record("other", uid="MINE")})

    records = written(
        [Create(draft("a", uid="MINE")), Create(draft("b", uid="NEW")), Create(draft("c", uid="NEW"))],
        snapshot,
    )

    assert [records[key]["uid"] for key in ("2", "3", "4")] == ["U1", "NEW", "U2"]


def test_ids_seen_only_in_passing_are_written_down_by_the_next_write() -> None:
    table = table_of([(b"_table", b'{"next_id":2}'), (b"1", record()), (b"500", record("b")), (b"500", None)])

    assert written([Delete(b"1")], table.snapshot()) == {"_table": {"next_id": 501}, "1": None}


def test_an_update_keeps_id_uid_and_set_and_writes_no_next_id() -> None:
    snapshot = snapshot_of({3: record("a", uid="OLD", set="shop")}, 4)

    records = written([Update(3, draft("renamed", id=9, uid="NEW"))], snapshot)

    assert list(records) == ["3"]
    assert (records["3"]["uid"], records["3"]["set"], records["3"]["name"]) == ("OLD", "shop", "renamed")


def test_a_plain_producers_rule_keeps_its_empty_uid() -> None:
    records = written([Update(3, draft("a", uid="NEW"))], snapshot_of({3: record("a")}, 4))

    assert records["3"]["uid"] == ""


def test_an_invalid_record_can_be_replaced_and_keeps_the_uid_it_says() -> None:
    table = table_of(
        [(b"3", record("a", uid="OLD", foo=1)), (b"4", b"broken"), (b"_table", b'{"next_id":5}')]
    )

    records = written([Update(3, draft("a")), Update(4, draft("b"))], table.snapshot())

    assert (records["3"]["uid"], records["4"]["uid"]) == ("OLD", "U1")


@pytest.mark.parametrize(
    ("draft_set", "change_set", "expected"),
    [
        (None, None, "old"),
        ("mine", None, "mine"),
        ("", None, ""),
        ("mine", "theirs", "theirs"),
        (None, "theirs", "theirs"),
    ],
)
def test_the_set_is_the_writers_else_the_drafts_else_the_rules(
    draft_set: str | None, change_set: str | None, expected: str
) -> None:
    snapshot = snapshot_of({3: record("a", set="old")}, 4)
    said = draft("a", set=draft_set)

    assert written([Update(3, said, set=change_set)], snapshot)["3"]["set"] == expected
    created = written([Create(draft("b", set=draft_set), set=change_set)], snapshot)["4"]["set"]
    assert created == ("" if expected == "old" else expected)


def test_a_revision_that_is_expected_must_be_the_one_there() -> None:
    table = table_of([(b"1", record()), (b"1", record(description="newer"))])

    assert written([Update(1, draft(), expect=1)], table.snapshot())["1"]["name"] == "a"
    for change in (Update(1, draft(), expect=0), Delete(b"1", expect=0)):
        with pytest.raises(RevisionConflict, match="revision 1, not 0"):
            build([change], table.snapshot(), writer())


def test_names_stay_unique() -> None:
    snapshot = snapshot_of({1: record("a"), 2: record("b")})

    for change in (Create(draft("a")), Update(2, draft("a"))):
        with pytest.raises(NameTaken, match="rule 1 has the name 'a' already"):
            build([change], snapshot, writer())
    with pytest.raises(NameTaken):
        build([Create(draft("c")), Create(draft("c"))], snapshot, writer())


def test_a_name_given_up_in_the_same_write_may_be_taken() -> None:
    snapshot = snapshot_of({1: record("a"), 2: record("b")}, 3)

    assert written([Delete(b"1"), Update(2, draft("a")), Create(draft("b"))], snapshot)["3"]["name"] == "b"


def test_a_rule_whose_name_a_plain_producer_gave_twice_can_still_be_updated() -> None:
    snapshot = snapshot_of({1: record("a"), 2: record("a")}, 3)

    assert written([Update(2, draft("a", enabled=False))], snapshot)["2"]["enabled"] is False


@pytest.mark.parametrize("key", [b"9", b"01", b"_table", b"x", b""])
def test_what_is_not_there_can_not_be_deleted(key: bytes) -> None:
    with pytest.raises(NoSuchRule):
        build([Delete(key)], snapshot_of({1: record()}, 2), writer())
    with pytest.raises(NoSuchRule):
        build([Update(9, draft())], snapshot_of(), writer())


def test_a_record_whose_key_is_no_id_can_be_deleted() -> None:
    table = table_of([(b"x\xff", record())])
    batch = build([Delete(b"x\xff")], table.snapshot(), writer())

    assert batch.records == ((b"x\xff", None),)
    assert (batch.applied[0].id, batch.applied[0].name, batch.applied[0].action) == (None, "a", "deleted")


def test_a_rule_is_changed_only_once_in_a_write() -> None:
    with pytest.raises(RevisionConflict, match="changed twice"):
        build([Update(1, draft("a")), Delete(b"1")], snapshot_of({1: record("a")}, 2), writer())


def test_a_carried_over_next_id_is_taken_and_never_lowered() -> None:
    assert written([RaiseNextId(50), Create(draft("a"))], snapshot_of(next_id=5))["_table"] == {"next_id": 51}
    assert written([RaiseNextId(2)], snapshot_of(next_id=5)) == {}


def test_without_a_next_id_to_trust_nothing_is_created_until_one_is_carried_over() -> None:
    snapshot = table_of([(b"1", record("a")), (b"_table", b"broken")]).snapshot()

    with pytest.raises(StoreFailure, match="kind: RuleTable"):
        build([Create(draft("b"))], snapshot, writer())
    assert set(written([Update(1, draft("a"))], snapshot)) == {"1"}
    records = written([RaiseNextId(7), Create(draft("b"))], snapshot)
    assert (records["_table"], records["7"]["name"]) == ({"next_id": 8}, "b")


def test_a_table_of_a_newer_version_is_not_written_to() -> None:
    table = RuleTable()
    table.apply(b"_table", b"{}", [("tocsin-format", b"2")], 0)

    with pytest.raises(StoreFailure, match="newer version"):
        build([RaiseNextId(7)], table.snapshot(), writer())


def test_beside_rules_of_a_newer_version_none_is_created() -> None:
    table = table_of([(b"1", record("a"))])
    table.apply(b"2", record("b"), [("tocsin-format", b"2")], 1)

    with pytest.raises(StoreFailure, match="rule 2: written by a newer version"):
        build([Create(draft("b"))], table.snapshot(), writer())
    assert set(written([Update(1, draft("a"))], table.snapshot())) >= {"1"}


def test_with_no_id_left_it_says_so() -> None:
    with pytest.raises(OutOfIds):
        build([Create(draft("a"))], snapshot_of(next_id=MAX_ID + 1), writer())


def test_secrets_are_sealed_for_the_id_that_is_given() -> None:
    keys = writer().keys
    records = written([Create(draft("a", action_secret="plain"))], snapshot_of(next_id=5))

    assert keys.open(records["5"]["action_secret"]["secret"], 5) == "plain"
    with pytest.raises(SecretError, match=r"action_secret: .*new-key"):
        build([Create(draft("a", action_secret="plain"))], snapshot_of(), writer(ring()))


def test_what_does_not_fit_one_transaction_is_written_in_several() -> None:
    table = table_of([])
    changes = [Create(draft(f"r{n}")) for n in range(10)]

    batches = write_all(changes, table, writer(limits=(3, 1_000_000)))

    assert [batch.taken for batch in batches] == [3, 3, 3, 1]
    assert [decoded(batch)["_table"]["next_id"] for batch in batches] == [4, 7, 10, 11]
    assert [rule.name for rule in table.snapshot().rules.values()] == [f"r{n}" for n in range(10)]


def test_a_transaction_is_bounded_in_bytes_too() -> None:
    changes = [Create(draft(f"r{n}", description="x" * 1000)) for n in range(10)]

    assert [b.taken for b in write_all(changes, table_of([]), writer(limits=(1000, 3500)))] == [3, 3, 3, 1]


def test_ids_asked_for_in_rising_order_are_honoured_across_transactions() -> None:
    table = table_of([(b"500", record("plain"))])
    asked: list[Change] = [Create(draft(f"r{n}", id=n)) for n in range(1, 9)]

    write_all([*asked, RaiseNextId(20), Create(draft("new"))], table, writer(limits=(3, 1_000_000)))

    snapshot = table.snapshot()
    assert {rule_id: rule.name for rule_id, rule in snapshot.rules.items()} == {
        **{n: f"r{n}" for n in range(1, 9)},
        500: "plain",
        501: "new",
    }
    assert snapshot.next_id == 502


def test_nothing_to_do_is_no_transaction() -> None:
    assert build([], snapshot_of({1: record()}, 2), writer()) == Batch(0, (), ())


def test_a_rule_that_was_written_reads_back_as_it_was_meant() -> None:
    said: RuleDraft = draft(
        "a",
        filter_severity="error,",
        muted_until="2026-11-23T10:00:00Z",
        paused=True,
        delivery={"timeout": "1500ms", "headers": {"A": {"ref": "file:a/b"}, "B": "b"}},
    )
    table = table_of([])

    write_all([Create(said)], table, writer())

    rule = table.snapshot().rules[1]
    for name in ("filter_severity", "muted_until", "paused", "delivery"):
        assert getattr(rule, name) == getattr(said, name)
    assert rule.updated_at == NOW
