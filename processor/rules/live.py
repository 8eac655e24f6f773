"""The rule table of a running role: a thread reads the rule topic, everybody else asks for snapshots."""

from __future__ import annotations

from processor.observability.metrics import Metrics
from processor.rules.codec import InvalidRule
from processor.rules.live_table import LiveTable
from processor.rules.schema import TriggerRule
from processor.rules.table import Changes, RuleSnapshot, RuleTable
from processor.settings import Settings


class LiveRules(LiveTable[TriggerRule | InvalidRule, RuleSnapshot]):
    """The table, kept up to date from start() to stop(). Any thread may ask; asking never waits for Kafka.

    Each invalid or unsealed rule is logged once per version, with its reason, as soon as the table is whole.
    """

    def __init__(self, settings: Settings, role: str, metrics: Metrics | None = None) -> None:
        """`role` names the clients (`matcher` reads as `tocsin.matcher-rules`). Opens no connection yet."""
        self._table = RuleTable()
        super().__init__(settings, f"{role}-rules", settings.topics.rules, self._table)
        if metrics is not None:
            metrics.rules["valid"].set_function(lambda: len(self.snapshot().rules))
            metrics.rules["invalid"].set_function(lambda: len(self.snapshot().invalid))
            metrics.rules["unsealed"].set_function(lambda: len(self.snapshot().unsealed))
            metrics.rules_offset.set_function(lambda: max(0, self._reader.state()[1]))

    def changes(self, since: int) -> Changes:
        """What has changed since version `since` of the table (0 is before everything), whole or not."""
        with self._lock:
            return self._table.changes(since)

    @property
    def version(self) -> int:
        """Of the table as it is now."""
        return self._table.version

    def complaint(self, read: TriggerRule | InvalidRule) -> tuple[str, str] | None:
        """Invalid rules, and those with a secret as plain text."""
        if isinstance(read, InvalidRule):
            return "invalid rule", read.reason
        fields = read.unsealed()
        return ("rule with an unsealed secret", ", ".join(fields)) if fields else None
