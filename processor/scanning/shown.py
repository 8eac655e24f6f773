"""Scanners' counts as the API and the command line show them: plain values, times in RFC 3339. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from processor.rules.fields import format_ms
from processor.scanning.report import ScannerReport
from processor.scanning.rule import ScanRule
from processor.scanning.stats import OnScanner, RuleStats, Scanned


def totals(rules: Mapping[int, ScanRule], stats: RuleStats) -> dict[str, Any]:
    """A rule's counts, of all scanners together."""
    rule = rules.get(stats.id)
    return {
        "id": stats.id,
        "name": "" if rule is None else rule.name,
        "workload": None if rule is None else rule.workload,
        "hits": stats.hits,
        "suppressed": stats.suppressed,
        "dropped": stats.dropped,
        "errors": [
            {"node": one.report.node, "error": one.error, "at": format_ms(one.error_at_ms or 0)}
            for one in stats.scanners
            if one.error
        ],
    }


def on_scanner(one: OnScanner, scanned: Scanned) -> dict[str, Any]:
    """A rule's counts on one scanner."""
    return {
        "node": one.report.node,
        "stale": scanned.is_stale(one.report),
        "started_at": format_ms(one.report.started_at_ms),
        "hits": one.counts.hits,
        "suppressed": one.counts.suppressed,
        "dropped": one.counts.dropped,
        "tails": one.tails,
    }


def scanner(report: ScannerReport, scanned: Scanned) -> dict[str, Any]:
    """What a scanner said of itself."""
    return {
        "node": report.node,
        "version": report.version,
        "stale": scanned.is_stale(report),
        "started_at": format_ms(report.started_at_ms),
        "reported_at": format_ms(report.reported_at_ms),
        "rules_offset": report.rules_offset,
        "lines": report.lines,
        "cut_lines": report.cut_lines,
        "lost_bytes": report.lost_bytes,
        "lag_ms": report.lag_ms,
        "sources": [msgspec.to_builtins(one) for one in report.sources],
        "workloads_left_out": report.workloads_left_out,
        "rules_left_out": report.rules_left_out,
    }
