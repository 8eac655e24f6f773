"""/api/v1/status: topics, the rule table, the groups' lags, what this process knows of the rest."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping
from typing import Any, Final, TypeVar

from aiohttp import web

from processor import __version__
from processor.admin.answers import answer
from processor.admin.known import Known
from processor.admin.scanning import scanner_states
from processor.kafka.cluster import Cluster
from processor.kafka.records import Position
from processor.rules.live_table import LiveTable
from processor.rules.numbered import Snapshot

ASK_TIMEOUT: Final = 5.0
"""Seconds for each question to the brokers."""

KEPT_FOR: Final = 2.0
"""Seconds an answer is given again: who reloads a page asks no broker more often."""

MOST_INVALID: Final = 100

Sender = Callable[[], Mapping[str, object]]
_Table = TypeVar("_Table", bound=Snapshot[Any])


class Status:
    """One handler. `sender`: what the sender in this process says of itself, None where there is none."""

    def __init__(
        self,
        known: Known,
        *,
        sender: Sender | None,
    ) -> None:
        self._known = known
        self._sender = sender
        self._cluster = Cluster(known.settings.kafka, known.settings.topics.name("admin-status"))
        self._lock = asyncio.Lock()
        self._kept: tuple[float, dict[str, Any]] | None = None

    async def get(self, _: web.Request) -> web.Response:
        """GET: all of it."""
        async with self._lock:
            if self._kept is None or time.monotonic() - self._kept[0] > KEPT_FOR:
                loop = asyncio.get_running_loop()
                found = await loop.run_in_executor(self._known.executor, self._of_kafka)
                self._kept = (time.monotonic(), found)
            of_kafka = self._kept[1]
        return answer(
            {
                "version": __version__,
                "table": _table(self._known.live),
                "scan_table": _table(self._known.scan_rules),
                "scanners": scanner_states(self._known.reports.snapshot()),
                **of_kafka,
                "deliveries": {
                    "records": len(self._known.index),
                    "complete_since": self._known.complete_since,
                    "waiting_for": self._known.following.reason,
                },
                "sender": None if self._sender is None else dict(self._sender()),
            }
        )

    def _of_kafka(self) -> dict[str, Any]:
        """Blocks; raises a KafkaFailure."""
        settings, topics = self._known.settings, self._known.settings.topics
        events = settings.matcher.event_topics
        names = [*events, *settings.output_topics]
        found = self._cluster.topics(names, timeout=ASK_TIMEOUT)
        partitions = {name: found[name].partitions for name in names if name in found}
        jobs = [topics.jobs, *(topics.retry(delay) for delay in settings.sender.tiers)]
        return {
            "topics": [{"name": name, "partitions": partitions.get(name)} for name in names],
            "groups": [
                self._group("matcher", events, partitions),
                self._group("sender", jobs, partitions),
            ],
        }

    def _group(self, role: str, topics: Any, partitions: Mapping[str, int]) -> dict[str, Any]:
        group = self._known.settings.topics.group(role)
        positions = [Position(topic, n) for topic in topics for n in range(partitions.get(topic, 0))]
        lag: dict[str, int | None] = dict.fromkeys(topics)
        if positions:
            commits = self._cluster.group_offsets(group, positions, timeout=ASK_TIMEOUT)
            ends = self._cluster.end_offsets(positions, timeout=ASK_TIMEOUT)
            for position, commit in commits.items():
                if commit is not None:
                    behind = max(0, ends[position] - commit.next_offset)
                    lag[position.topic] = (lag[position.topic] or 0) + behind
        members = self._cluster.group_members(group, timeout=ASK_TIMEOUT)
        return {"name": group, "members": members, "lag": lag}


def _table(live: LiveTable[Any, _Table]) -> dict[str, Any]:
    snapshot = live.snapshot()
    topic_id, next_offset, reason = live.state()
    invalid = list(snapshot.invalid.values())
    return {
        "topic_id": topic_id,
        "next_offset": next_offset,
        "waiting_for": reason,
        "valid": len(snapshot.rules),
        "invalid": len(invalid),
        "invalid_rules": [
            {"key": rule.key, "offset": rule.offset, "reason": rule.reason} for rule in invalid[:MOST_INVALID]
        ],
    }
