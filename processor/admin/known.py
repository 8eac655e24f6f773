"""What the handlers share: the settings and what this process holds of the topics."""

from __future__ import annotations

from concurrent.futures import Executor
from dataclasses import dataclass
from datetime import UTC, datetime

from processor.admin.following import Following
from processor.admin.index import DeliveryIndex
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


def format_ms(at_ms: int) -> str:
    """A time in ms since 1970 as RFC 3339 in UTC."""
    return datetime.fromtimestamp(at_ms / 1000, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
