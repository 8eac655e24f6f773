"""One job with all that is known of it: what was tried, where it is now, and why. Blocks; reads only."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import msgspec

from processor.delivery.decide import decide
from processor.delivery.lookup import Death, Lookup, Trail, Waiting
from processor.delivery.outcome import Kind
from processor.delivery.whereabouts import Whereabouts, ended, waits
from processor.rules.table import RuleSnapshot

_LOOKS: Final = 2  # a job may be delivered between reading the trail and looking where it waits


@dataclass(frozen=True, slots=True)
class FoundJob:
    """Everything that was found of a job."""

    job_id: str
    trail: Trail
    waiting: Waiting | None
    death: Death | None
    known: Whereabouts

    @property
    def rule_id(self) -> int | None:
        """Of the rule that it fires, None where nothing tells."""
        if self.waiting is not None and self.waiting.job is not None:
            return self.waiting.job.rule_id
        if self.trail:
            return self.trail[-1][1].rule_id
        return self.death.letter.rule_id if self.death is not None else None

    def attempts(self) -> list[dict[str, Any]]:
        """The audit trail as plain values, oldest first."""
        return [msgspec.to_builtins(record) for _, record in self.trail]

    def fields(self, snapshot: RuleSnapshot) -> dict[str, object]:
        """All else as plain values."""
        waiting, known, rule_id = self.waiting, self.known, self.rule_id
        job = waiting.job if waiting is not None else None
        rule = snapshot.rules.get(rule_id) if rule_id is not None else None
        name = self.trail[-1][1].rule_name if self.trail else ""
        place = waiting.position if waiting is not None else None
        return {
            "job_id": self.job_id,
            "rule_id": rule_id,
            "rule_name": rule.name if rule is not None else name,
            "state": known.state,
            "why": known.why,
            "detail": known.detail,
            "next_attempt": known.next_attempt,
            "due_ms": known.due_ms,
            "topic": place.topic if place is not None else None,
            "partition": place.partition if place is not None else None,
            "offset": waiting.offset if waiting is not None else None,
            "deferrals": job.deferrals if job is not None else None,
            "redelivered": job.redelivered if job is not None else None,
        }


def find_job(
    lookup: Lookup, job_id: str, snapshot: RuleSnapshot, now_ms: Callable[[], int]
) -> FoundJob | None:
    """The job, None when nothing at all is known of it. Raises what Lookup raises."""
    found = _look(lookup, job_id, snapshot, now_ms)
    for _ in range(_LOOKS - 1):
        if found is None or found.known.state != "unknown":
            break
        found = _look(lookup, job_id, snapshot, now_ms)
    return found


def _look(lookup: Lookup, job_id: str, snapshot: RuleSnapshot, now_ms: Callable[[], int]) -> FoundJob | None:
    trail = lookup.trail(job_id)
    last = trail[-1][1] if trail else None
    rule_id = last.rule_id if last is not None else None
    waiting = lookup.place_of(job_id, rule_id)
    if waiting is not None:
        now = now_ms()
        decision = decide(snapshot, waiting.job, now) if waiting.job is not None else None
        why = waits(waiting, trail, decision, now_ms=now, senders=lookup.senders())
        return FoundJob(job_id, trail, waiting, None, why)
    death = None
    if last is None or last.outcome not in {Kind.DELIVERED, Kind.CANCELLED}:
        died_at = trail[-1][0].at_ms if last is not None and last.outcome == Kind.DEAD else None
        death = lookup.death(job_id, rule_id, died_at)
    known = ended(trail, death)
    return None if known is None else FoundJob(job_id, trail, None, death, known)
