"""The tables of a running role that scanning is about: the scan rules, and what the scanners reported."""

from __future__ import annotations

from collections.abc import Mapping

from processor.rules.codec import InvalidRule
from processor.rules.live_table import LiveTable
from processor.scanning.report import ReportTable, ScannerReport
from processor.scanning.rule import ScanRule
from processor.scanning.table import ScanSnapshot, ScanTable
from processor.settings import Settings


class LiveScanRules(LiveTable[ScanRule | InvalidRule, ScanSnapshot]):
    """The scan rules, kept up to date from start() to stop(). Any thread may ask; asking never waits for
    Kafka. Each invalid rule is logged once per version, with its reason, as soon as the table is whole; one
    that overrides what isn't there, once the table is asked for.
    """

    def __init__(self, settings: Settings, role: str) -> None:
        """`role` names the client (`scanner` reads as `tocsin.scanner-scan-rules`). Opens no connection
        yet.
        """
        self._looked_at = -1
        super().__init__(settings, f"{role}-scan-rules", settings.topics.scan_rules, ScanTable())

    def snapshot(self) -> ScanSnapshot:
        """The table as it is now, whole or not (see state()); the same object until something changes."""
        snapshot = super().snapshot()
        if snapshot.version != self._looked_at and self.state()[2] is None:
            self._looked_at = snapshot.version
            self._say(
                {
                    key: (rule.offset, "invalid scan rule", rule.reason)
                    for key, rule in snapshot.invalid.items()
                }
            )
        return snapshot

    def complaint(self, read: ScanRule | InvalidRule) -> tuple[str, str] | None:
        """Invalid rules."""
        return ("invalid scan rule", read.reason) if isinstance(read, InvalidRule) else None


class LiveReports(LiveTable[ScannerReport, Mapping[str, ScannerReport]]):
    """What the scanners last reported, by node."""

    def __init__(self, settings: Settings, role: str) -> None:
        """`role` names the client. Opens no connection yet."""
        super().__init__(settings, f"{role}-scanners", settings.topics.scanner_status, ReportTable())
