"""What scanners' reports come to: sums, logs that a rule is looked for in, workloads."""

import msgspec

from processor.scanning.report import CompileError, RuleCounts, ScannerReport, WorkloadState
from processor.scanning.stats import Scanned, Workload, left_out
from tests.support.scan_rules import record, snapshot_of

NOW = 1_000_000
SNAPSHOT = snapshot_of(
    {
        1: record("oom"),
        2: record("mine", workload="a", overrides=1),
        3: record("off", enabled=False),
        4: record("later", workload="c"),
    }
)
FIRST = ScannerReport(
    *("n1", "1", 0, NOW, 10_000),
    workloads=(WorkloadState("a", 2), WorkloadState("b", 3)),
    workloads_left_out=7,
    rules=(RuleCounts(1, 5, 4, 3), RuleCounts(9, 1)),
    errors=(CompileError(2, "too large", 5),),
)
SECOND = msgspec.structs.replace(FIRST, node="n2", errors=(), workloads_left_out=1)
SILENT = msgspec.structs.replace(FIRST, node="n3", reported_at_ms=NOW - 30_001, workloads_left_out=0)


def scanned(*reports: ScannerReport) -> Scanned:
    return Scanned(reports, SNAPSHOT.rules, NOW)


def test_counts_are_added_up_over_scanners_the_silent_ones_too() -> None:
    stats = scanned(FIRST, SECOND, SILENT).of_rule(1)
    assert (stats.hits, stats.suppressed, stats.dropped) == (15, 12, 9)
    assert [one.error for one in scanned(FIRST, SECOND).of_rule(2).scanners] == ["too large", ""]


def test_rule_that_nobody_has_counted_has_zeros() -> None:
    stats = scanned(FIRST).of_rule(4)
    assert (stats.hits, stats.tails) == (0, 0)
    assert scanned().of_rule(1).scanners == []


def test_a_global_rule_is_looked_for_where_it_is_not_overridden() -> None:
    everywhere = scanned(FIRST, SECOND)
    assert everywhere.of_rule(1).tails == 6
    assert everywhere.of_rule(2).tails == 4
    assert everywhere.of_rule(3).tails == 0, "it is disabled"
    assert scanned(FIRST, SILENT).of_rule(1).tails == 3, "a silent scanner looks for nothing"


def test_workloads_are_those_with_logs_and_those_with_rules() -> None:
    assert scanned(FIRST, SILENT).workloads() == [
        Workload("a", {"n1": 2, "n3": 2}, frozenset({"n3"})),
        Workload("b", {"n1": 3, "n3": 3}, frozenset({"n3"})),
        Workload("c", {}, frozenset()),
    ]
    assert left_out([FIRST, SECOND, SILENT]) == 8
