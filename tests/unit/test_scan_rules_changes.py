"""Writing scan rules: names, what overrides what, and that no reader ever sees half of a write."""

import json

import pytest

from processor.rules.building import Create, Delete, RaiseNextId, Update
from processor.rules.errors import (
    ChangedTwice,
    InvalidFields,
    NameTaken,
    NoSuchRule,
    RevisionConflict,
    StoreFailure,
)
from processor.scanning.changes import ScanChange, build
from processor.scanning.table import ScanTable
from tests.support.scan_rules import applied, draft, record, snapshot_of, table_of, writer


def table() -> ScanTable:
    """Two global rules; rule 3 overrides the first for one workload, 4 for another; 5 stands by itself."""
    return table_of(
        [
            (b"1", record("oom")),
            (b"2", record("panic")),
            (b"3", record("oom", workload="shop/api", overrides=1)),
            (b"4", record("quiet", workload="shop/db", overrides=1, enabled=False)),
            (b"5", record("own", workload="shop/api")),
            (b"_table", b'{"next_id": 6}'),
        ]
    )


def test_new_rule_gets_an_id_and_who_wrote_it() -> None:
    there = table()
    batch = applied(there, Create(draft("new", cooldown="1m"), by="ann"))
    assert [(one.action, one.id, one.name) for one in batch.applied] == [("created", 6, "new")]
    rule = there.snapshot().rules[6]
    assert (rule.updated_by, str(rule.updated_at)) == ("ann", "2026-11-23 10:00:00+00:00")
    assert there.snapshot().next_id == 7


def test_id_is_honoured_where_it_is_free() -> None:
    there = table()
    batch = applied(there, Create(draft("a", id=9)), Create(draft("b", id=2)))
    assert [one.id for one in batch.applied] == [9, 10]


def test_names_are_unique_per_workload_and_among_the_global_ones() -> None:
    snapshot = table().snapshot()
    with pytest.raises(NameTaken, match="rule 1 has the name 'oom' already"):
        build([Create(draft("oom"))], snapshot, writer())
    with pytest.raises(NameTaken, match="rule 3 has the name 'oom' for shop/api already"):
        build([Create(draft("oom", workload="shop/api"))], snapshot, writer())
    with pytest.raises(NameTaken):
        build([Create(draft("x", workload="w")), Create(draft("x", workload="w"))], snapshot, writer())
    applied(table(), Create(draft("oom", workload="another")))


def test_overrides_is_stored_as_the_id_so_that_the_global_rule_may_be_renamed() -> None:
    there = table()
    applied(there, Create(draft("mine", workload="w", overrides="panic")))
    assert there.snapshot().rules[6].overrides == 2
    applied(there, Update(2, draft("renamed")))
    assert there.snapshot().rules[6].overrides == 2


def test_global_rule_and_its_override_can_be_made_in_one_write() -> None:
    there = ScanTable()
    applied(there, Create(draft("disk")), Create(draft("mine", workload="w", overrides="disk")))
    assert there.snapshot().rules[2].overrides == 1


@pytest.mark.parametrize(
    ("overrides", "said"),
    [
        (99, "overrides: there is no rule 99"),
        ("nothing", "overrides: there is no global rule 'nothing'"),
        (5, "overrides: rule 5 is not a global one"),
        ("own", "overrides: there is no global rule 'own'"),
    ],
)
def test_what_is_overridden_must_be_a_global_rule_that_is_there(overrides: int | str, said: str) -> None:
    with pytest.raises(InvalidFields, match=said):
        build([Create(draft("x", workload="w", overrides=overrides))], table().snapshot(), writer())


def test_rule_cannot_override_itself() -> None:
    snapshot = table().snapshot()
    with pytest.raises(InvalidFields, match="a rule can't override itself"):
        build([Update(2, draft("panic", workload="w", overrides=2))], snapshot, writer())


def test_overridden_rule_stays_global() -> None:
    with pytest.raises(InvalidFields, match=r"workload: .* is overridden by 3, 4"):
        build([Update(1, draft("oom", workload="w"))], table().snapshot(), writer())


def test_deleting_a_global_rule_deletes_what_overrides_it_in_the_same_write() -> None:
    there = table()
    batch = applied(there, Delete(b"1"))
    assert batch.taken == 1
    assert [(one.id, one.along) for one in batch.applied] == [(1, False), (3, True), (4, True)]
    assert [key for key, value in batch.records if value is None] == [b"1", b"3", b"4"]
    assert list(there.snapshot().rules) == [2, 5]
    assert not there.snapshot().invalid


def test_invalid_record_takes_what_overrides_it_along_too() -> None:
    there = table()
    there.apply(b"1", b"broken", None, 6)
    applied(there, Delete(b"1"))
    assert list(there.snapshot().rules) == [2, 5]


def test_no_part_of_a_deletion_shows_an_override_without_its_global_rule_nor_the_reverse() -> None:
    there = table()
    batch = build([Delete(b"1")], there.snapshot(), writer())
    seen = []
    for offset, (key, value) in enumerate(batch.records, 6):
        there.apply(key, value, None, offset)
        seen.append(sorted(there.snapshot().rules))
    # `_table` stands as it is, so there are three tombstones, and the first makes all of the difference.
    assert seen == [[2, 5]] * 3


def test_no_part_of_a_creation_shows_a_global_rule_without_its_override() -> None:
    there = ScanTable()
    changes = [Create(draft("disk")), Create(draft("mine", workload="w", overrides="disk"))]
    for offset, (key, value) in enumerate(build(changes, there.snapshot(), writer()).records):
        there.apply(key, value, None, offset)
        assert sorted(there.snapshot().rules) in ([], [1, 2])
    assert sorted(there.snapshot().rules) == [1, 2]


def test_override_that_is_changed_in_the_same_write_is_not_deleted_silently() -> None:
    changes: list[ScanChange] = [
        Update(3, draft("oom", workload="shop/api", overrides=1)),
        Delete(b"1"),
    ]
    with pytest.raises(ChangedTwice):
        build(changes, table().snapshot(), writer())


def test_override_that_went_along_in_the_same_write_is_left_to_the_next_one() -> None:
    changes: list[ScanChange] = [Delete(b"1"), Update(3, draft("oom", workload="shop/api", overrides=1))]
    with pytest.raises(ChangedTwice):
        build(changes, table().snapshot(), writer())


def test_override_that_is_let_go_in_the_same_write_stays() -> None:
    there = table()
    applied(there, Update(3, draft("oom", workload="shop/api")), Delete(b"1"))
    assert list(there.snapshot().rules) == [2, 3, 5]


def test_changes_of_what_is_not_there_or_has_changed_are_refused() -> None:
    snapshot = table().snapshot()
    with pytest.raises(NoSuchRule):
        build([Delete(b"99")], snapshot, writer())
    with pytest.raises(RevisionConflict):
        build([Delete(b"1", expect=7)], snapshot, writer())


def test_override_whose_global_rule_a_plain_producer_deleted_can_be_deleted_and_mended() -> None:
    there = table()
    there.apply(b"1", None, None, 6)
    assert set(there.snapshot().invalid) == {b"3", b"4"}
    applied(there, Delete(b"3"), Update(4, draft("quiet", workload="shop/db", overrides="panic")))
    assert there.snapshot().rules[4].overrides == 2
    assert not there.snapshot().invalid


def test_record_that_is_written_has_the_fields_of_the_contract() -> None:
    there = snapshot_of()
    batch = build([Create(draft("oom", cooldown="90s", workload="w", set="s"), set="shop")], there, writer())
    value = batch.records[-1].value
    assert value is not None
    assert json.loads(value) == {
        "id": 1,
        "name": "oom",
        "enabled": True,
        "description": "",
        "labels": {},
        "pattern": "Out of memory",
        "severity": "error",
        "message_template": "",
        "cooldown": "90s",
        "streams": "both",
        "workload": "w",
        "set": "shop",
        "updated_by": "tests",
        "updated_at": "2026-11-23T10:00:00Z",
    }


def test_table_record_that_cannot_be_read_keeps_new_rules_away_and_says_what_mends_it() -> None:
    broken = table_of([(b"_table", b"{}")])
    with pytest.raises(StoreFailure, match="kind: LogScanRuleTable"):
        build([Create(draft("a"))], broken.snapshot(), writer())
    applied(broken, RaiseNextId(5), Create(draft("a")))
    assert list(broken.snapshot().rules) == [5]
