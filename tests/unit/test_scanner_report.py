"""What scanners report: that any report fits a record, and when one is stale or forgotten."""

import msgspec

from processor.rules.codec import InvalidRule
from processor.scanning.report import (
    FORGOTTEN_AFTER_MS,
    CompileError,
    ReportTable,
    RuleCounts,
    ScannerReport,
    SourceState,
    WorkloadState,
    decode,
    encode,
    recent,
)
from processor.scanning.reporting import Refused

REPORT = ScannerReport("node-1", "1.0", 1_000, 5_000, 10_000)


def with_(**more: object) -> ScannerReport:
    return msgspec.structs.replace(REPORT, **more)


def test_report_comes_back_as_it_was_written() -> None:
    report = with_(
        lag_ms=20,
        sources=(SourceState("docker", 1, "no socket"),),
        workloads=(WorkloadState("shop/api", 2),),
        rules=(RuleCounts(7, 3, 2, 1),),
        errors=(CompileError(8, "too large", 4_000),),
    )
    assert decode(encode(report), None) == report


def test_node_with_five_hundred_containers_is_reported_whole() -> None:
    workloads = tuple(WorkloadState(f"namespace-{n}/{'x' * 63}", 1) for n in range(500))
    rules = tuple(RuleCounts(n, 10**9, 10**9, 10**9) for n in range(1, 1_001))
    report = decode(encode(with_(workloads=workloads, rules=rules)), None)
    assert report is not None
    assert (len(report.workloads), report.workloads_left_out) == (500, 0)
    assert (len(report.rules), report.rules_left_out) == (1_000, 0)


def test_what_does_not_fit_is_left_out_from_the_quiet_end_and_counted() -> None:
    workloads = tuple(WorkloadState(f"{n:04}{'x' * 4_000}", n) for n in range(1_000))
    rules = tuple(RuleCounts(n, n) for n in range(1, 3_001))
    value = encode(with_(workloads=workloads, rules=rules))
    assert len(value) <= 900_000
    report = decode(value, None)
    assert report is not None
    assert report.workloads[0].tails == 999
    assert report.rules[0] == RuleCounts(3_000, 3_000)
    assert len(report.workloads) + report.workloads_left_out == 1_000
    assert len(report.rules) + report.rules_left_out == 3_000
    assert report.workloads_left_out


def test_rules_without_a_hit_are_not_named() -> None:
    report = decode(encode(with_(rules=(RuleCounts(1), RuleCounts(2, suppressed=1)))), None)
    assert report is not None
    assert report.rules == (RuleCounts(2, suppressed=1),)
    assert report.rules_left_out == 0


def test_long_errors_and_troubles_are_cut() -> None:
    long = with_(
        errors=tuple(CompileError(n, "e" * 9_000, 0) for n in range(300)),
        sources=(SourceState("cri", 0, "t" * 9_000),),
    )
    report = decode(encode(long), None)
    assert report is not None
    assert len(report.errors) == 100
    assert len(report.errors[0].error) == len(report.sources[0].trouble) == 500


def test_stale_is_who_missed_three_intervals() -> None:
    assert not REPORT.is_stale(5_000 + 30_000)
    assert REPORT.is_stale(5_000 + 30_001)


def test_after_a_week_it_is_forgotten() -> None:
    assert recent([REPORT], 5_000 + FORGOTTEN_AFTER_MS) == [REPORT]
    assert recent([REPORT], 5_001 + FORGOTTEN_AFTER_MS) == []


def test_table_holds_the_last_report_of_each_node_and_forgets_on_a_tombstone() -> None:
    table = ReportTable()
    later = with_(reported_at_ms=6_000)
    for offset, (key, value) in enumerate(
        [
            (b"b", encode(with_(node="b"))),
            (b"node-1", encode(REPORT)),
            (b"node-1", encode(later)),
        ]
    ):
        table.apply(key, value, None, offset)
    assert list(table.snapshot()) == ["b", "node-1"]
    assert table.snapshot()["node-1"] == later
    table.apply(b"b", None, None, 3)
    assert list(table.snapshot()) == ["node-1"]


def test_report_that_cannot_be_read_takes_the_older_one_away() -> None:
    table = ReportTable()
    table.apply(b"node-1", encode(REPORT), None, 0)
    table.apply(b"node-1", b"{}", None, 1)
    assert not table.snapshot()
    assert decode(encode(REPORT), [("tocsin-format", b"2")]) is None


def test_fields_of_a_later_version_are_passed_over() -> None:
    value = msgspec.json.encode({**msgspec.to_builtins(REPORT), "mood": "good"})
    assert decode(value, None) == REPORT


def test_rules_that_cannot_be_used_are_told_with_since_when() -> None:
    refused = Refused()
    first, nobodys = InvalidRule(7, "7", "bad", offset=3), InvalidRule(None, "x", "no id", offset=4)

    assert refused.errors([first, nobodys], 1_000) == (CompileError(7, "bad", 1_000),)
    second = InvalidRule(8, "8", "worse", offset=5)
    assert refused.errors([second, first], 2_000) == (
        CompileError(7, "bad", 1_000),
        CompileError(8, "worse", 2_000),
    )
    again = InvalidRule(7, "7", "still bad", offset=6)
    assert refused.errors([again], 3_000) == (CompileError(7, "still bad", 3_000),)
    assert refused.errors([], 4_000) == ()
