"""The table: what records add up to, and which ids are free."""

import json
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from processor.rules import InvalidRule, OutOfIds, RuleTable, TriggerRule
from processor.rules.fields import MAX_ID
from processor.rules.table import Ids
from tests.support.rules import record, snapshot_of, table_of


def test_rules_are_there_by_id_with_their_revisions() -> None:
    snapshot = table_of([(b"2", record("b")), (b"1", record("a")), (b"2", record("c"))]).snapshot()

    assert [(rule_id, rule.name) for rule_id, rule in snapshot.rules.items()] == [(1, "a"), (2, "c")]
    assert snapshot.offsets == {1: 1, 2: 2}
    assert snapshot.next_offset == 3


def test_a_tombstone_deletes() -> None:
    snapshot = table_of([(b"1", record()), (b"x", b"{}"), (b"1", None), (b"x", None)]).snapshot()

    assert not snapshot.rules
    assert not snapshot.invalid
    assert not snapshot.offsets


def test_an_invalid_new_version_does_not_leave_the_old_one_in_force() -> None:
    table = table_of([(b"1", record()), (b"1", b"broken")])

    assert not table.snapshot().rules
    assert table.snapshot().invalid[b"1"].reason.startswith("not JSON")

    table.apply(b"1", record("mended"), None, 2)
    assert table.snapshot().rules[1].name == "mended"
    assert not table.snapshot().invalid


def test_an_invalid_rule_leaves_the_others_alone() -> None:
    snapshot = table_of(
        [(b"1", record("a")), (b"007", record("b")), (b"2", b"{}"), (b"3", record("c"))]
    ).snapshot()

    assert [rule.name for rule in snapshot.rules.values()] == ["a", "c"]
    assert set(snapshot.invalid) == {b"007", b"2"}


def test_the_same_name_twice_is_not_judged_by_readers() -> None:
    snapshot = table_of([(b"1", record("a")), (b"2", record("a"))]).snapshot()

    assert snapshot.by_name == {"a": (1, 2)}


def test_a_record_is_answered_with_what_it_was() -> None:
    table = RuleTable()

    assert isinstance(table.apply(b"1", record(), None, 0), TriggerRule)
    assert isinstance(table.apply(b"1", b"", None, 1), InvalidRule)
    assert table.apply(b"1", None, None, 2) is None
    assert table.apply(b"_table", b'{"next_id":4}', None, 3) is None


def test_a_snapshot_is_the_same_until_something_changes_and_never_changes_itself() -> None:
    table = table_of([(b"1", record())])
    before = table.snapshot()
    assert table.snapshot() is before

    table.apply(b"2", record("b"), None, 1)

    assert list(before.rules) == [1]
    assert list(table.snapshot().rules) == [1, 2]
    assert table.snapshot().version > before.version


def test_a_reset_table_is_empty_and_another_version() -> None:
    table = table_of([(b"1", record()), (b"_table", b'{"next_id":9}')])
    before = table.snapshot()

    table.reset()

    after = table.snapshot()
    assert (dict(after.rules), after.next_id, after.next_offset, after.seen) == ({}, 1, 0, frozenset())
    assert after.version > before.version


def test_unsealed_secrets_are_flagged() -> None:
    snapshot = snapshot_of(
        {1: record(), 2: record(action_secret="plain", delivery={"headers": {"A": {"secret": "x"}}})}
    )

    assert snapshot.unsealed == {2: ("action_secret", "delivery.headers.A")}


def test_next_id_never_goes_back() -> None:
    table = table_of([(b"_table", b'{"next_id":9}'), (b"_table", b'{"next_id":4}'), (b"_table", None)])

    assert table.snapshot().next_id == 9


@pytest.mark.parametrize(
    "value",
    [
        b"",
        b"{}",
        b"[]",
        b'{"next_id":0}',
        b'{"next_id":1.5}',
        b'{"next_id":true}',
        b'{"next_id":9007199254740993}',
    ],
)
def test_a_next_id_that_is_none_is_an_error_of_the_table(value: bytes) -> None:
    snapshot = table_of([(b"1", record()), (b"_table", value)]).snapshot()

    assert snapshot.table_error.startswith("holds no next_id")
    assert not snapshot.table_newer
    assert list(snapshot.rules) == [1]


def test_a_table_record_of_a_newer_format_is_told_apart() -> None:
    table = RuleTable()
    table.apply(b"_table", b'{"next_id":9}', [("tocsin-format", b"2")], 0)

    assert table.snapshot().table_newer
    assert "newer version" in table.snapshot().table_error


# ids


@pytest.mark.parametrize(
    ("next_id", "seen", "expected"),
    [
        (None, [], 1),
        (None, [5, 2], 6),
        (4, [], 4),
        (4, [9], 10),
        (20, [9], 20),
        (MAX_ID, [], MAX_ID),
        (3, [MAX_ID], 3),
        (3, [3, 4, MAX_ID], 5),
    ],
)
def test_an_id_is_above_every_one_seen_and_given(next_id: int | None, seen: list[int], expected: int) -> None:
    snapshot = snapshot_of({rule_id: record() for rule_id in seen}, next_id)

    assert Ids(snapshot).give() == expected


def test_ids_of_deleted_and_invalid_rules_and_bad_keys() -> None:
    table = table_of(
        [(b"5", record()), (b"5", None), (b"7", b"broken"), (b"0099", record()), (b"9" * 20, record())]
    )

    assert Ids(table.snapshot()).give() == 8


def test_when_all_are_given_out_it_says_so() -> None:
    with pytest.raises(OutOfIds):
        Ids(snapshot_of(next_id=MAX_ID + 1)).give()


@given(
    next_id=st.integers(1, 20) | st.integers(MAX_ID - 5, MAX_ID + 1),
    seen=st.sets(st.integers(1, 20) | st.integers(MAX_ID - 5, MAX_ID)),
    count=st.integers(1, 10),
)
def test_no_id_is_given_twice_or_was_seen_or_lies_below_next_id(
    next_id: int, seen: set[int], count: int
) -> None:
    ids = Ids(snapshot_of({rule_id: record() for rule_id in seen}, next_id))
    given_out: list[int] = []
    with suppress(OutOfIds):
        given_out.extend(ids.give() for _ in range(count))

    assert len(set(given_out)) == len(given_out)
    assert not set(given_out) & seen
    assert all(next_id <= rule_id <= MAX_ID for rule_id in given_out)
    # The table that is written next gives none of them again, whatever is deleted meanwhile.
    after = Ids(snapshot_of({MAX_ID: record()} if MAX_ID in seen else {}, ids.after_all()))
    with suppress(OutOfIds):
        assert after.give() not in given_out


def test_an_id_is_free_only_if_it_was_never_used() -> None:
    table = table_of(
        [(b"_table", json.dumps({"next_id": 5}).encode()), (b"8", record()), (b"9", record()), (b"9", None)]
    )
    snapshot = table.snapshot()

    assert [rule_id for rule_id in range(1, 12) if snapshot.is_free(rule_id)] == [5, 6, 7, 10, 11]
    assert not snapshot.is_free(MAX_ID + 1)
