"""The live rule table as a service of a process: started before the roles that ask it, and watched."""

from __future__ import annotations

from processor.lifecycle import Deadline
from processor.observability.health import Health
from processor.observability.metrics import Metrics
from processor.rules.live import LiveRules
from processor.settings import Settings

MAX_AGE = 60.0
"""Seconds the reader may go without a turn."""


class RulesService:
    """Starts and stops the table; `live` is what the roles ask."""

    def __init__(self, settings: Settings, role: str, metrics: Metrics, health: Health) -> None:
        """`role` names the clients. Opens no connection yet."""
        self.live = LiveRules(settings, role, metrics)
        self._heartbeat = health.heartbeat("rules.reader", MAX_AGE)

    @property
    def name(self) -> str:
        """For logs."""
        return "rules"

    @property
    def failed(self) -> BaseException | None:
        """Why the reader ended by itself. Asked often: so its sign of life is passed on here, too."""
        self._heartbeat.beat(self.live.beat)
        return self.live.failed

    def start(self) -> None:
        """Start reading; returns at once."""
        self.live.start()

    def stop(self, deadline: Deadline) -> None:
        """Stop reading. The roles that drain meanwhile keep the table as it was."""
        self.live.stop(deadline.remaining())

    def status(self) -> dict[str, object]:
        """For /status: where the table is, and which rules are invalid and why."""
        snapshot = self.live.snapshot()
        topic_id, next_offset, reason = self.live.state()
        return {
            "rules": {
                "topic_id": topic_id,
                "next_offset": next_offset,
                "waiting_for": reason,
                "valid": len(snapshot.rules),
                "invalid": [
                    {
                        "key": key.decode("utf-8", "backslashreplace"),
                        "offset": rule.offset,
                        "reason": rule.reason,
                    }
                    for key, rule in snapshot.invalid.items()
                ],
            }
        }
