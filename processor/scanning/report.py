"""What a scanner says of itself: the record of the scanner-status topic, keyed by its node. Pure.

A scanner writes it about every `interval_ms`, and a tombstone when it ends in good order: so a node that is
there but silent has died or can't reach Kafka, and one that was switched off leaves nothing behind. All
counts are since the process started (`started_at_ms`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Annotated, Final

import msgspec
from msgspec import Meta

from processor.rules.codec import Headers, newer_format

MAX_SIZE: Final = 900_000
"""Bytes of a record at most: topics take 1,048,588 by default."""

STALE_AFTER: Final = 3
"""Intervals without a report after which a scanner counts as silent."""

FORGOTTEN_AFTER_MS: Final = 7 * 86_400_000
"""A node that was silent for so long isn't shown any more."""


Count = Annotated[int, Meta(ge=0)]
Moment = Annotated[int, Meta(ge=0, le=253_402_300_799_999)]
"""ms since 1970, up to the last that RFC 3339 has."""


class SourceState(msgspec.Struct, frozen=True):
    """One source of logs: docker, cri or file. `trouble`: why it can't read; empty when it can."""

    name: str
    tails: Count = 0
    trouble: str = ""


class WorkloadState(msgspec.Struct, frozen=True):
    """A workload with logs on this node, and how many of them are read."""

    name: str
    tails: Count


class RuleCounts(msgspec.Struct, frozen=True):
    """What became of a rule's hits: `hits` of them became events, `suppressed` were held back by the rule's
    cooldown, `dropped` by a container's bucket.
    """

    id: int
    hits: Count = 0
    suppressed: Count = 0
    dropped: Count = 0


class CompileError(msgspec.Struct, frozen=True):
    """A rule that this scanner can't use. `at_ms`: since when, ms since 1970."""

    id: int
    error: str
    at_ms: Moment


class ScannerReport(msgspec.Struct, frozen=True):
    """One report.

    started_at_ms, reported_at_ms: ms since 1970, by the scanner's own clock. rules_offset: the next offset of
    the rule table that it works by. lines: read, hit or not. lost_bytes: of logs that went away unread.
    lag_ms: age of the oldest line that is read and not yet acknowledged by Kafka, None where there is none.
    workloads, rules: those with most to say; how many had no room is in `…_left_out`.
    """

    node: str
    version: str
    started_at_ms: Moment
    reported_at_ms: Moment
    interval_ms: Count
    rules_offset: Count = 0
    lines: Count = 0
    cut_lines: Count = 0
    lost_bytes: Count = 0
    lag_ms: Count | None = None
    sources: tuple[SourceState, ...] = ()
    workloads: tuple[WorkloadState, ...] = ()
    workloads_left_out: Count = 0
    rules: tuple[RuleCounts, ...] = ()
    rules_left_out: Count = 0
    errors: tuple[CompileError, ...] = ()

    def is_stale(self, now_ms: int) -> bool:
        """Whether the next reports are missing."""
        return now_ms - self.reported_at_ms > STALE_AFTER * self.interval_ms


def encode(report: ScannerReport, limit: int = MAX_SIZE) -> bytes:
    """The record's value, at most `limit` bytes: of long lists the end is left out, and counted.

    Rules without a single hit are left out anyway, rules with most hits and workloads with most tails come
    first. Errors are cut to the first hundred, of 500 characters each.
    """
    busy = [one for one in report.rules if one.hits or one.suppressed or one.dropped]
    busy.sort(key=lambda one: (-one.hits - one.suppressed - one.dropped, one.id))
    tailed = sorted(report.workloads, key=lambda one: (-one.tails, one.name))
    kept = msgspec.structs.replace(
        report,
        sources=tuple(msgspec.structs.replace(one, trouble=one.trouble[:500]) for one in report.sources[:20]),
        errors=tuple(msgspec.structs.replace(one, error=one.error[:500]) for one in report.errors[:100]),
    )
    rules, workloads = len(busy), len(tailed)
    while True:
        value = msgspec.json.encode(
            msgspec.structs.replace(
                kept,
                rules=tuple(busy[:rules]),
                rules_left_out=report.rules_left_out + len(busy) - rules,
                workloads=tuple(tailed[:workloads]),
                workloads_left_out=report.workloads_left_out + len(tailed) - workloads,
            )
        )
        if len(value) <= limit or not (rules or workloads):
            return value
        rules, workloads = rules * 3 // 4, workloads * 3 // 4


def decode(value: bytes, headers: Headers | None) -> ScannerReport | None:
    """The report in a record; None where it holds none that this version can read."""
    if newer_format(headers):
        return None
    try:
        return msgspec.json.decode(value, type=ScannerReport)
    except (msgspec.MsgspecError, RecursionError, ValueError):
        return None


class ReportTable:
    """The last report of each node; not thread-safe."""

    def __init__(self) -> None:
        self._reports: dict[str, ScannerReport] = {}

    def reset(self) -> None:
        """Empty again, before the topic is read from its start."""
        self._reports = {}

    def apply(
        self, key: bytes | None, value: bytes | None, headers: Headers | None, offset: int
    ) -> ScannerReport | None:
        """Take one record (None is a tombstone); never raises. One that can't be read takes the node's
        report away.
        """
        del offset
        node = (key or b"").decode("utf-8", "replace")
        report = None if value is None else decode(value, headers)
        if report is None:
            self._reports.pop(node, None)
        else:
            self._reports[node] = report
        return report

    def snapshot(self) -> Mapping[str, ScannerReport]:
        """Every node's last report, by node."""
        return dict(sorted(self._reports.items()))


def recent(reports: Iterable[ScannerReport], now_ms: int) -> Sequence[ScannerReport]:
    """Those that aren't forgotten yet."""
    return [one for one in reports if now_ms - one.reported_at_ms <= FORGOTTEN_AFTER_MS]
