"""What a sender says of attempts and decisions: a log line each, and counts once they are committed."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterable

from processor.delivery.lanes import JobInHand
from processor.delivery.ledger import Entry
from processor.delivery.outcome import Kind, Outcome, Reason
from processor.observability.logging import Lines
from processor.observability.metrics import Metrics

log = logging.getLogger(__name__)

_GOOD = frozenset({Kind.DELIVERED, Kind.CANCELLED, Kind.DEFERRED})


class Reports:
    """For the loop's thread alone."""

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics
        self._lines = Lines(log)

    def say(self, job: JobInHand, outcome: Outcome, next_attempt_at_ms: int | None = None) -> None:
        """One wide line per attempt or decision, from the same value as the audit record."""
        level = logging.INFO if outcome.kind in _GOOD else logging.WARNING
        if not self._lines.wants(level):
            return
        fields: dict[str, object] = {
            "job_id": job.headers.job_id,
            "rule_id": job.headers.rule_id,
            "attempt": job.headers.attempt,
        }
        if job.origin:
            fields["origin"] = job.origin
        if outcome.reason is not None:
            fields["reason"] = outcome.reason.value
        if outcome.stage is not None:
            fields["stage"] = outcome.stage.value
        if outcome.status is not None:
            fields["status"] = outcome.status
        fields["duration_ms"] = outcome.duration_ms
        if next_attempt_at_ms is not None:
            fields["next_attempt_at_ms"] = next_attempt_at_ms
        if outcome.error:
            fields["error"] = outcome.error
        self._lines.add(level, outcome.kind.value, fields)

    def flush(self) -> None:
        """Let the log lines out that were said since the last time."""
        self._lines.flush()

    def written(self, entries: Iterable[Entry]) -> None:
        """These are committed: count them."""
        metrics = self._metrics
        unreadable = 0
        attempts: Counter[tuple[Kind, Reason | None]] = Counter()
        delivered: list[float] = []
        durations: list[float] = []
        for entry in entries:
            unreadable += entry.unreadable
            if (outcome := entry.outcome) is None:
                continue
            attempts[outcome.kind, outcome.reason] += 1
            if outcome.kind is Kind.DELIVERED:
                ended = outcome.started_at_ms + outcome.duration_ms
                delivered.append((ended - entry.matched_at_ms) / 1000)
            if outcome.duration_ms:
                durations.append(outcome.duration_ms / 1000)
        metrics.jobs_unreadable.inc(unreadable)
        for (kind, reason), count in attempts.items():
            metrics.attempts[kind.value, reason.value if reason else ""].inc(count)
        metrics.event_to_delivery.observe_many(delivered)
        metrics.delivery_duration.observe_many(durations)
