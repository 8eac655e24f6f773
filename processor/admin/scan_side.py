"""What the admin process keeps for log scanning: two live tables, a writer, and the handlers on them.

An installation may have no topics for it, as after an upgrade without `topics apply`: then the process runs
as ever, and these handlers answer 503 with the remedy.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Final

from processor.admin import operations_scanning as operations
from processor.admin.scanning import Scanners, ScanRoutes, ScanTrying
from processor.admin.server import Handler
from processor.admin.writing import RuleWriter
from processor.lifecycle import Deadline
from processor.observability.health import Health
from processor.rules.building import Writer
from processor.scanning.changes import ScanBuilding
from processor.scanning.live import LiveReports, LiveScanRules
from processor.scanning.store import ScanRuleStore
from processor.settings import Settings

READER_MAX_AGE: Final = 60.0
"""Seconds a table's reader may go without a turn."""


class ScanSide:
    """Reads and writes from start() to stop()."""

    def __init__(
        self, settings: Settings, role: str, writer: Writer, health: Health, timeout: timedelta
    ) -> None:
        """`role` names the clients, `timeout` is a write's. Opens no connection yet."""
        self.rules = LiveScanRules(settings, role)
        self.reports = LiveReports(settings, role)
        self._beats = health.heartbeat("scan-rules.reader", READER_MAX_AGE)
        self._node = settings.scanner.node_name
        self._writer = RuleWriter(
            ScanRuleStore(settings, writer, timeout=timeout),
            self.rules,
            lambda snapshot: ScanBuilding(snapshot, writer),
            "scan rule",
        )

    @property
    def failed(self) -> BaseException | None:
        """Why it ended by itself, if it did. Asked often: so its sign of life is passed on here, too."""
        self._beats.beat(min(self.rules.beat, self.reports.beat))
        return self._writer.failed or self.rules.failed or self.reports.failed

    def start(self) -> None:
        """Start reading and writing; returns at once."""
        self.rules.start()
        self.reports.start()
        self._writer.start()

    def stop(self, deadline: Deadline) -> None:
        """Write what waits, then end."""
        self._writer.stop(deadline.remaining())
        self.rules.stop(deadline.remaining())
        self.reports.stop(deadline.remaining())
        self._beats.rest()

    def handlers(self) -> Mapping[str, Handler]:
        """By the operation's id."""
        rules = ScanRoutes(self.rules, self._writer)
        trying = ScanTrying(self.rules, self._node)
        scanners = Scanners(self.rules, self.reports)
        return {
            operations.LIST_SCAN_RULES.id: rules.list,
            operations.CREATE_SCAN_RULE.id: rules.create,
            operations.GET_SCAN_RULE.id: rules.get,
            operations.REPLACE_SCAN_RULE.id: rules.replace,
            operations.PATCH_SCAN_RULE.id: rules.patch,
            operations.DELETE_SCAN_RULE.id: rules.delete,
            operations.TRY_SCAN_DRAFT.id: trying.try_draft,
            operations.TEST_SCAN_RULE.id: trying.test_rule,
            operations.SCAN_STATS.id: scanners.stats,
            operations.SCAN_RULE_STATS.id: scanners.rule_stats,
            operations.LIST_WORKLOADS.id: scanners.workloads,
            operations.EFFECTIVE_RULES.id: scanners.effective_rules,
        }
