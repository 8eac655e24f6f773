"""The record `_release`: read, merged, written, and no rule."""

import json

import pytest

from processor.rules import Change, Create, RaiseNextId, Release, Releases, RuleTable
from processor.rules.changes import build
from processor.rules.errors import StoreFailure
from processor.rules.releases import KEPT_MS, read_releases, with_released, write_releases
from tests.support.rules import draft, record, table_of, writer

AT = 1_795_428_000_000
VALUE = b'{"rules":{"7":%d},"destinations":{"https://h.example":%d}}' % (AT, AT + 1)
READ = Releases({7: AT}, {"https://h.example": AT + 1})


def test_the_table_keeps_the_newest_and_it_is_no_rule() -> None:
    table = table_of([(b"1", record()), (b"_table", b'{"next_id":5}'), (b"_release", VALUE)])
    snapshot = table.snapshot()

    assert snapshot.releases == READ
    assert list(snapshot.rules) == [1]
    assert (dict(snapshot.invalid), snapshot.next_id, snapshot.table_error) == ({}, 5, "")
    assert snapshot.next_offset == 3

    assert table.apply(b"_release", b'{"rules":{"8":1}}', None, 3) is None
    assert table.snapshot().releases == Releases({8: 1}, {})
    table.apply(b"_release", None, None, 4)
    assert table.snapshot().releases == Releases()


def test_a_reset_table_has_released_nothing() -> None:
    table = table_of([(b"_release", VALUE)])
    table.reset()
    assert table.snapshot().releases == Releases()


@pytest.mark.parametrize(
    "value",
    [b"", b"{", b"[]", b'{"rules":[7]}', b'{"rules":{"7":"soon"}}', b'{"destinations":{"https://h":1.5}}'],
)
def test_a_damaged_record_releases_nothing_and_disturbs_nothing(value: bytes) -> None:
    snapshot = table_of([(b"1", record()), (b"_release", VALUE), (b"_release", value)]).snapshot()

    assert snapshot.releases == Releases()
    assert list(snapshot.rules) == [1]
    assert not snapshot.invalid


def test_keys_that_are_no_rule_ids_are_passed_over() -> None:
    assert read_releases(b'{"rules":{"7":1,"007":2,"x":3}}', None) == Releases({7: 1}, {})


def test_what_is_written_is_read_back() -> None:
    assert read_releases(write_releases(READ), None) == READ


def test_a_release_is_added_to_what_stands_and_old_ones_are_dropped() -> None:
    before = Releases({1: AT - KEPT_MS, 2: AT - KEPT_MS + 1, 3: AT + 5}, {"https://a": AT - KEPT_MS})

    after = with_released(before, [3, 4], ["https://b"], AT)

    assert after == Releases({2: AT - KEPT_MS + 1, 3: AT + 5, 4: AT}, {"https://b": AT})


def test_releasing_writes_one_record_beside_the_others() -> None:
    snapshot = table_of([(b"7", record("a")), (b"_table", b'{"next_id":8}'), (b"_release", VALUE)]).snapshot()
    changes: list[Change] = [
        Release(AT + 9, rules=(7,)),
        Create(draft("b")),
        Release(AT + 10, destinations=("https://x",)),
    ]

    batch = build(changes, snapshot, writer())

    records = {record.key: json.loads(record.value or b"") for record in batch.records}
    assert list(records) == [b"_table", b"8", b"_release"]
    assert records[b"_release"] == {
        "rules": {"7": AT + 9},
        "destinations": {"https://h.example": AT + 1, "https://x": AT + 10},
    }
    assert [applied.key for applied in batch.applied] == [b"8"]
    assert batch.taken == 3


def test_other_changes_leave_it_alone() -> None:
    snapshot = table_of([(b"_release", VALUE)]).snapshot()
    batch = build([Create(draft("b")), RaiseNextId(9)], snapshot, writer())
    assert b"_release" not in {record.key for record in batch.records}


def test_a_record_of_a_newer_version_releases_nothing_here_and_is_not_replaced() -> None:
    table = RuleTable()
    table.apply(b"_release", VALUE, [("tocsin-format", b"2")], 0)
    snapshot = table.snapshot()

    assert not snapshot.releases.rules
    with pytest.raises(StoreFailure, match="_release can't be read: written by a newer version"):
        build([Release(AT, rules=(7,))], snapshot, writer())
    assert build([Create(draft("b"))], snapshot, writer()).records
