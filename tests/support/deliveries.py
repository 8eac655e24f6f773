"""Jobs, audit records and dead records made by hand."""

import json
from typing import Any

from msgspec.structs import replace

from processor.delivery.audit import dead_headers
from processor.delivery.outcome import Kind, Outcome, Reason
from processor.delivery.trail import AuditRecord
from processor.jobs import JobHeaders, job_id

MATCHED = 1_795_428_000_000  # 2026-11-23T10:00:00Z

JOB = JobHeaders(
    job_id=job_id("T", 0, 1, 7, "", 0),
    rule_id=7,
    rule_uid="",
    rules_offset=0,
    rules_topic_id="R",
    event_topic="event-log",
    event_partition=0,
    event_offset=1,
    matched_at_ms=MATCHED,
    attempt=1,
    not_before_ms=MATCHED,
)


def audited(attempt: int, outcome: str, *, reason: str | None = None, **more: Any) -> AuditRecord:
    """An audit record of JOB."""
    fields: dict[str, Any] = {
        "job_id": JOB.job_id,
        "rule_id": JOB.rule_id,
        "rule_uid": JOB.rule_uid,
        "rule_name": "n",
        "attempt": attempt,
        "outcome": str(outcome),
        "reason": None if reason is None else str(reason),
        "stage": None,
        "status": None,
        "started_at_ms": MATCHED,
        "duration_ms": 3,
        "origin": "https://h.example",
        "next_attempt_at_ms": None,
        "error": "",
        "snippet": "",
    }
    return AuditRecord(**(fields | more))


def audit_value(job: JobHeaders, attempt: int, outcome: str, **more: Any) -> bytes:
    """The value of an audit record of a job."""
    record = audited(attempt, outcome, **{"job_id": job.job_id, "rule_id": job.rule_id, **more})
    return json.dumps({name: getattr(record, name) for name in AuditRecord.__struct_fields__}).encode()


def dead_record_headers(
    job: JobHeaders,
    attempt: int,
    reason: Reason = Reason.EXHAUSTED,
    died_at_ms: int = MATCHED,
    error: str = "",
) -> list[tuple[str, bytes]]:
    """The headers of a job's dead record: `attempt` is the number it died with."""
    outcome = Outcome(Kind.DEAD, died_at_ms, reason=reason, error=error)
    return [*replace(job, attempt=attempt).encode(), *dead_headers(outcome, died_at_ms)]
