"""The scan rule table: what records add up to, and what becomes of rules whose global rule comes and goes."""

from datetime import timedelta
from typing import Any

import pytest

from processor.rules.codec import InvalidRule
from processor.scanning.codec import read_record, to_record
from processor.scanning.rule import ScanRule
from tests.support.scan_rules import record, snapshot_of, table_of


def read(**more: Any) -> ScanRule | InvalidRule:
    return read_record(b"7", record(**more), None, 3)


def reason(**more: Any) -> str:
    found = read(**more)
    assert isinstance(found, InvalidRule)
    return found.reason


def test_record_of_a_plain_producer_is_a_rule_with_its_defaults() -> None:
    rule = read(kind="LogScanRule", cooldown="60s", workload=None, streams=None)
    assert isinstance(rule, ScanRule)
    assert (rule.id, rule.cooldown, rule.streams) == (7, timedelta(minutes=1), "both")
    assert rule.enabled
    assert rule.workload is None


def test_what_is_written_reads_as_the_same_rule() -> None:
    rule = read(
        workload="shop/api", overrides=3, labels={"team": "shop"}, updated_at="2026-11-23T10:00:00Z", set="s"
    )
    assert isinstance(rule, ScanRule)
    assert read_record(b"7", to_record(rule), None, 9) == rule


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"pattern": "("}, "pattern: "),
        ({"pattern": ""}, "pattern: is missing; for a rule that every line matches, say ^"),
        ({"overrides": 3}, "overrides: needs a workload: a global rule can't replace another one"),
        ({"overrides": True, "workload": "a"}, "overrides: expected the id (a number) or the name"),
        ({"overrides": " ", "workload": "a"}, "overrides: expected the id (a number) or the name"),
        ({"workload": " "}, "workload: is empty; leave it out for a global rule"),
        ({"workload": "x" * 4097}, "workload: is longer than 4096 characters"),
        ({"streams": "all"}, "streams: "),
        ({"cooldown": "soon"}, "cooldown: "),
        ({"kind": "TriggerRule"}, "kind must be LogScanRule, or be left out"),
        ({"filter_severity": []}, "filter_severity: unknown field"),
        ({"id": 8}, "id: is not the record's key"),
    ],
)
def test_invalid_record_says_which_field_and_why(more: dict[str, Any], said: str) -> None:
    assert reason(**more).startswith(said)


def test_rule_that_switches_off_needs_no_pattern() -> None:
    rule = read(pattern="", enabled=False, workload="shop/api", overrides="oom")
    assert isinstance(rule, ScanRule)


def test_invalid_record_stops_no_other() -> None:
    snapshot = snapshot_of({1: record("a"), 2: b"{", 3: record("b")})
    assert list(snapshot.rules) == [1, 3]
    assert list(snapshot.invalid) == [b"2"]
    assert snapshot.next_offset == 3


def test_override_by_name_is_read_as_the_id_of_the_global_rule_with_that_name_now() -> None:
    table = table_of([(b"1", record("oom")), (b"2", record("mine", workload="w", overrides="oom"))])
    assert table.snapshot().rules[2].overrides == 1
    table.apply(b"3", record("oom"), None, 2)
    table.apply(b"1", record("other"), None, 3)
    assert table.snapshot().rules[2].overrides == 3
    table.apply(b"3", record("third"), None, 4)
    assert table.snapshot().invalid[b"2"].reason == "overrides: there is no global rule 'oom'"


def test_override_by_a_name_that_two_have_is_invalid() -> None:
    snapshot = snapshot_of(
        {1: record("oom"), 2: record("oom"), 3: record("mine", workload="w", overrides="oom")}
    )
    assert "several global rules have the name 'oom'" in snapshot.invalid[b"3"].reason


def test_with_a_global_rule_all_that_override_it_are_gone_at_once() -> None:
    table = table_of(
        [
            (b"1", record("oom")),
            (b"2", record("a", workload="a", overrides=1)),
            (b"3", record("b", workload="b", overrides=1)),
            (b"4", record("own", workload="a")),
        ]
    )
    assert list(table.snapshot().rules) == [1, 2, 3, 4]
    table.apply(b"1", None, None, 4)
    snapshot = table.snapshot()
    assert list(snapshot.rules) == [4]
    assert {key: rule.reason for key, rule in snapshot.invalid.items()} == {
        b"2": "overrides: there is no rule 1",
        b"3": "overrides: there is no rule 1",
    }
    assert snapshot.invalid[b"2"].offset == 1
    assert 2 not in snapshot.offsets


def test_override_counts_only_once_its_global_rule_is_there() -> None:
    table = table_of([(b"2", record("a", workload="a", overrides=1))])
    assert not table.snapshot().rules
    table.apply(b"1", record("oom"), None, 1)
    assert list(table.snapshot().rules) == [1, 2]


def test_override_of_a_rule_that_is_no_global_one_is_invalid() -> None:
    snapshot = snapshot_of({1: record("x", workload="w"), 2: record("y", workload="w", overrides=1)})
    assert snapshot.invalid[b"2"].reason == "overrides: rule 1 is not a global one"


def test_global_rule_whose_record_is_broken_takes_no_override_away() -> None:
    snapshot = snapshot_of({1: b"broken", 2: record("y", workload="w", overrides=1)})
    assert list(snapshot.rules) == [2]
    assert [rule.id for rule in snapshot.overriding(1)] == [2]


def test_same_name_for_several_workloads_is_no_clash() -> None:
    snapshot = snapshot_of({1: record(), 2: record(workload="a"), 3: record(workload="b")})
    assert snapshot.by_identity == {(None, "oom"): (1,), ("a", "oom"): (2,), ("b", "oom"): (3,)}


def test_ids_are_taken_from_the_table_record() -> None:
    snapshot = snapshot_of({3: record()}, next_id=9)
    assert snapshot.next_id == 9
    assert not snapshot.is_free(8)
    assert snapshot.is_free(9)
