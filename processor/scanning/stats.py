"""What the scanners' reports come to: per rule, per scanner, per workload. Pure.

Counts are since each scanner's start. A stale scanner's last counts still are in the sums: what it counted
did happen.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from processor.scanning.report import RuleCounts, ScannerReport
from processor.scanning.rule import ScanRule


class OnScanner(NamedTuple):
    """One rule on one scanner. tails: logs that are judged by it now. error: why it can't be used, or ""."""

    report: ScannerReport
    counts: RuleCounts
    tails: int
    error: str
    error_at_ms: int | None


class RuleStats(NamedTuple):
    """One rule on all scanners."""

    id: int
    scanners: Sequence[OnScanner]

    @property
    def hits(self) -> int:
        """Events made."""
        return sum(one.counts.hits for one in self.scanners)

    @property
    def suppressed(self) -> int:
        """Hits that the cooldown held back."""
        return sum(one.counts.suppressed for one in self.scanners)

    @property
    def dropped(self) -> int:
        """Hits that a container's bucket held back."""
        return sum(one.counts.dropped for one in self.scanners)

    @property
    def tails(self) -> int:
        """Logs that are judged by it now."""
        return sum(one.tails for one in self.scanners)


class Workload(NamedTuple):
    """A workload: the nodes that it has logs on and how many, and which of these nodes are silent."""

    name: str
    tails: Mapping[str, int]
    stale: frozenset[str]


class Scanned:
    """The reports of one moment and the rules they are about."""

    def __init__(self, reports: Sequence[ScannerReport], rules: Mapping[int, ScanRule], now_ms: int) -> None:
        self.reports = reports
        self._rules = rules
        self._now_ms = now_ms
        self._counts = [{one.id: one for one in report.rules} for report in reports]
        self._errors = [{one.id: one for one in report.errors} for report in reports]
        self._overridden: dict[int, set[str]] = {}
        for rule in rules.values():
            if isinstance(rule.overrides, int) and rule.workload is not None:
                self._overridden.setdefault(rule.overrides, set()).add(rule.workload)

    def is_stale(self, report: ScannerReport) -> bool:
        """Whether that scanner went silent."""
        return report.is_stale(self._now_ms)

    def of_rule(self, rule_id: int) -> RuleStats:
        """One rule's; zeros where no scanner knows it."""
        found = []
        for report, counts, errors in zip(self.reports, self._counts, self._errors, strict=True):
            error = errors.get(rule_id)
            found.append(
                OnScanner(
                    report,
                    counts.get(rule_id) or RuleCounts(rule_id),
                    self._tails(rule_id, report),
                    "" if error is None else error.error,
                    None if error is None else error.at_ms,
                )
            )
        return RuleStats(rule_id, found)

    def workloads(self) -> Sequence[Workload]:
        """Every workload that has logs somewhere, or rules of its own, by name."""
        tails: dict[str, dict[str, int]] = {
            rule.workload: {} for rule in self._rules.values() if rule.workload is not None
        }
        for report in self.reports:
            for one in report.workloads:
                tails.setdefault(one.name, {})[report.node] = one.tails
        stale = {report.node for report in self.reports if self.is_stale(report)}
        return [Workload(name, on, frozenset(stale & on.keys())) for name, on in sorted(tails.items())]

    def _tails(self, rule_id: int, report: ScannerReport) -> int:
        rule = self._rules.get(rule_id)
        if rule is None or not rule.enabled or self.is_stale(report):
            return 0
        if rule.workload is not None:
            return sum(one.tails for one in report.workloads if one.name == rule.workload)
        without = self._overridden.get(rule_id, ())
        return sum(one.tails for one in report.workloads if one.name not in without)


def left_out(reports: Iterable[ScannerReport]) -> int:
    """How many workloads had no room in their scanner's report."""
    return sum(report.workloads_left_out for report in reports)
