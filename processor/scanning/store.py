"""The one way scan rules are written; rules/fenced.py says how."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Final

from processor.rules.building import Writer
from processor.rules.fenced import FencedStore, Report, no_report
from processor.scanning.changes import ScanBatch, ScanChange, build
from processor.scanning.rule import ScanRule
from processor.scanning.table import ScanSnapshot, ScanTable
from processor.settings import Settings

TRANSACTIONAL_ID: Final = "scan-rules-store"


class ScanRuleStore(FencedStore[ScanRule, ScanSnapshot, ScanChange]):
    """Reads and writes the scan rule topic; any thread may use it, one write at a time."""

    def __init__(
        self,
        settings: Settings,
        writer: Writer,
        *,
        timeout: timedelta = timedelta(seconds=10),
        report: Report = no_report,
    ) -> None:
        """`report` is told how far a long read or write is, in the thread that makes it."""
        super().__init__(
            settings,
            writer,
            topic=settings.topics.scan_rules,
            transactional_id=TRANSACTIONAL_ID,
            table=ScanTable(),
            timeout=timeout,
            report=report,
        )

    def _build(self, changes: Sequence[ScanChange], snapshot: ScanSnapshot, writer: Writer) -> ScanBatch:
        return build(changes, snapshot, writer)
