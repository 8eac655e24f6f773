"""The one way trigger rules are written; fenced.py says how."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Final

from processor.rules.changes import Batch, Change, Writer, build
from processor.rules.fenced import FencedStore, Report, no_report
from processor.rules.schema import TriggerRule
from processor.rules.table import RuleSnapshot, RuleTable
from processor.settings import Settings

TRANSACTIONAL_ID: Final = "rules-store"


class RuleStore(FencedStore[TriggerRule, RuleSnapshot, Change]):
    """Reads and writes the rule topic; any thread may use it, one write at a time."""

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
            topic=settings.topics.rules,
            transactional_id=TRANSACTIONAL_ID,
            table=RuleTable(),
            timeout=timeout,
            report=report,
        )

    def _build(self, changes: Sequence[Change], snapshot: RuleSnapshot, writer: Writer) -> Batch:
        return build(changes, snapshot, writer)
