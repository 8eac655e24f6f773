"""What the handlers share: the settings and what this process holds of the topics."""

from __future__ import annotations

from concurrent.futures import Executor
from dataclasses import dataclass

from processor.admin.following import Following
from processor.admin.index import DeliveryIndex
from processor.rules.fields import format_ms
from processor.rules.live import LiveRules
from processor.scanning.live import LiveReports, LiveScanRules
from processor.settings import Settings


@dataclass(frozen=True, slots=True)
class Known:
    """`executor` runs what blocks."""

    settings: Settings
    live: LiveRules
    index: DeliveryIndex
    following: Following
    executor: Executor
    scan_rules: LiveScanRules
    reports: LiveReports

    @property
    def complete_since(self) -> str | None:
        """From when on the index has every record (RFC 3339); None: all that the topic holds."""
        since_ms = self.index.complete_since_ms
        return format_ms(since_ms) if since_ms else None
