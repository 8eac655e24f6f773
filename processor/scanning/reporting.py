"""What a scanner says of itself, put together. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

from processor.kafka.records import OutRecord
from processor.rules.codec import InvalidRule
from processor.scanning.ledger import Totals
from processor.scanning.lines import Source
from processor.scanning.report import (
    CompileError,
    RuleCounts,
    ScannerReport,
    SourceState,
    WorkloadState,
    encode,
)

Named = Sequence[tuple[str, Source]]
"""Sources and their names in the settings."""


def source_states(sources: Named) -> tuple[SourceState, ...]:
    """How each source is."""
    return tuple(SourceState(name, len(source.tails), source.trouble) for name, source in sources)


def workload_states(sources: Named) -> tuple[WorkloadState, ...]:
    """The workloads there are."""
    counts = Counter(tail.workload for _, source in sources for tail in source.tails)
    return tuple(WorkloadState(name, tails) for name, tails in sorted(counts.items()))


def rule_counts(totals: Totals, before: Mapping[str, Mapping[int, int]]) -> tuple[RuleCounts, ...]:
    """What became of each rule's hits since the totals were `before` (copied())."""
    rules = sorted({*totals.hits, *totals.suppressed, *totals.dropped})
    return tuple(
        RuleCounts(
            rule,
            totals.hits.get(rule, 0) - before["hits"].get(rule, 0),
            totals.suppressed.get(rule, 0) - before["suppressed"].get(rule, 0),
            totals.dropped.get(rule, 0) - before["dropped"].get(rule, 0),
        )
        for rule in rules
    )


class Refused:
    """The rules that this scanner can't use, and since when: an older version refuses a newer one's."""

    def __init__(self) -> None:
        self._since: dict[tuple[int, int], int] = {}

    def errors(self, invalid: Iterable[InvalidRule], now_ms: int) -> tuple[CompileError, ...]:
        """Those of the table as it is now, ms since 1970. Records whose key is no id are nobody's rule."""
        here = {(one.id, one.offset): one.reason for one in invalid if one.id is not None}
        self._since = {which: self._since.get(which, now_ms) for which in here}
        return tuple(
            CompileError(which[0], reason, self._since[which]) for which, reason in sorted(here.items())
        )


def copied(totals: Totals) -> Mapping[str, Mapping[int, int]]:
    """The totals as they are now."""
    return {
        "hits": dict(totals.hits),
        "suppressed": dict(totals.suppressed),
        "dropped": dict(totals.dropped),
    }


def report_record(topic: str, report: ScannerReport) -> OutRecord:
    """The record that carries a report."""
    return OutRecord(topic, report.node.encode(), encode(report), ())


def farewell(topic: str, node: str) -> OutRecord:
    """The record that takes the node's report away."""
    return OutRecord(topic, node.encode(), None, ())
