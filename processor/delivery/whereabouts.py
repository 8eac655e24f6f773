"""What is known of a job, in words: where it is, and why it waits if it does. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from processor.delivery.decide import Cancel, Decision, Hold
from processor.delivery.lookup import Death, Trail, Waiting
from processor.delivery.outcome import Kind
from processor.delivery.trail import AuditRecord
from processor.jobs import JobHeaders

State = Literal["waiting", "delivered", "dead", "cancelled", "unknown"]


@dataclass(frozen=True, slots=True)
class Whereabouts:
    """A job's state, and what explains it.

    why: of a waiting job what it waits for: `new`, `retry`, `redelivered`, `paused`, `invalid`, `deferred`
    (put off for another reason), `unreadable`; of a dead or cancelled one the reason; else empty. detail: a
    sentence for people, maybe empty. next_attempt, due_ms: of a waiting job the number and time (ms since
    1970) of the attempt to come.
    """

    state: State
    why: str = ""
    detail: str = ""
    next_attempt: int | None = None
    due_ms: int | None = None


def waits(
    waiting: Waiting, trail: Trail, decision: Decision | None, *, now_ms: int, senders: int
) -> Whereabouts:
    """Why a job waits. decision: what a sender would do with it now; None if it can't be read."""
    job = waiting.job
    notes = [] if senders else ["no sender is running"]
    if job is None:
        return Whereabouts("waiting", "unreadable", _sentence([waiting.problem, *notes]))
    due = job.not_before_ms <= now_ms
    held = decision.why if isinstance(decision, Hold) and (due or job.deferrals) else None
    if isinstance(decision, Hold):
        notes.insert(0, f"its rule is {decision.why}" + (f" ({decision.detail})" if decision.detail else ""))
    elif isinstance(decision, Cancel):
        notes.insert(0, f"its rule is {decision.reason}, so it will be cancelled")
    why, said = (held, "") if held else _own_reason(job, [record for _, record in trail])
    return Whereabouts("waiting", why, _sentence([said, *notes]), job.attempt, job.not_before_ms)


def ended(trail: Trail, death: Death | None) -> Whereabouts | None:
    """What became of a job that waits nowhere; None when nothing is known of it at all."""
    last = trail[-1][1] if trail else None
    if death is not None and not death.put_back:
        said = {name: (value or b"").decode("utf-8", "replace") for name, value in death.headers}
        return Whereabouts("dead", death.letter.reason, said.get("tocsin-error", ""))
    if last is None:
        if death is None:
            return None
        return Whereabouts("unknown", "", "it was put back, and what came of it is no longer known")
    if last.outcome == Kind.DELIVERED:
        return Whereabouts("delivered")
    if last.outcome == Kind.CANCELLED:
        return Whereabouts("cancelled", last.reason or "", f"its rule was {last.reason}")
    if last.outcome == Kind.DEAD and death is None:
        gone = "its dead record is gone, so it can't be put back"
        return Whereabouts("dead", last.reason or "", _sentence([last.error, gone]))
    return Whereabouts("unknown", "", "no topic holds it any more, or it is just being moved: look again")


def _own_reason(job: JobHeaders, trail: Sequence[AuditRecord]) -> tuple[str, str]:
    """What its record says it waits for, and in words, from what was written down at the time."""
    if job.deferrals:
        last = next(
            (r for r in reversed(trail) if r.outcome == Kind.DEFERRED and r.attempt == job.attempt), None
        )
        return "deferred", f"put off: {last.error}" if last is not None and last.error else "put off"
    if job.attempt > job.first_attempt:
        failed = next((r for r in reversed(trail) if r.attempted and r.attempt == job.attempt - 1), None)
        return "retry", failed.error if failed is not None else ""
    if job.redelivered:
        return "redelivered", "put back from the dead topic"
    return "new", ""


def _sentence(parts: Sequence[str]) -> str:
    return "; ".join(part for part in parts if part)
