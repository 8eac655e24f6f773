"""What is kept of an outcome: the audit record, the dead record's headers, the snippet of an answer.

Nothing here ever sees a full URL: a webhook's path is often its credential, so only the origin is kept.
"""

import json
from typing import Final

import msgspec

from processor.delivery.outcome import Kind, Outcome, Reason, Stage
from processor.jobs import JobHeaders

MAX_SNIPPET: Final = 1024
"""Bytes of the snippet in UTF-8."""

MAX_ERROR: Final = 300
"""Bytes of an error in a header of the dead topic: room for it was left when the job was written."""


def snippet(body: bytes) -> str:
    """The start of an answer's body as printable text; control characters become spaces, at most 1 KiB."""
    text = body[: MAX_SNIPPET * 2].decode("utf-8", "replace")
    if text.isprintable():
        shown = text.strip()
    else:
        shown = "".join(char if char.isprintable() else " " for char in text).strip()
    return shown.encode()[:MAX_SNIPPET].decode("utf-8", "ignore")


def audit_record(
    job: JobHeaders,
    outcome: Outcome,
    *,
    rule_name: str,
    origin: str,
    next_attempt_at_ms: int | None = None,
) -> bytes:
    """The JSON record of the audit topic (its key is the job id).

    rule_name, origin: empty where the rule is gone; next_attempt_at_ms: None where there will be none.
    """
    record = _Record(
        job.job_id,
        job.rule_id,
        job.rule_uid,
        rule_name,
        job.attempt,
        outcome.kind,
        outcome.reason,
        outcome.stage,
        outcome.status,
        outcome.started_at_ms,
        outcome.duration_ms,
        origin,
        next_attempt_at_ms,
        outcome.error,
        outcome.snippet,
    )
    try:
        return _encode(record)
    except UnicodeEncodeError:  # a lone surrogate somewhere, which is no UTF-8
        text = json.dumps(msgspec.structs.asdict(record), ensure_ascii=False, separators=(",", ":"))
        return text.encode("utf-8", "replace")


class _Record(msgspec.Struct, frozen=True, gc=False):
    """The record's fields in their order."""

    job_id: str
    rule_id: int
    rule_uid: str
    rule_name: str
    attempt: int
    outcome: Kind
    reason: Reason | None
    stage: Stage | None
    status: int | None
    started_at_ms: int
    duration_ms: int
    origin: str
    next_attempt_at_ms: int | None
    error: str
    snippet: str


_encode: Final = msgspec.json.Encoder().encode


def dead_headers(outcome: Outcome, died_at_ms: int) -> list[tuple[str, bytes]]:
    """What a record of the dead topic says besides its job headers: why it is there."""
    error = outcome.error[:MAX_ERROR].encode("ascii", "backslashreplace")[:MAX_ERROR]
    return [
        ("tocsin-outcome", outcome.kind.encode()),
        ("tocsin-reason", (outcome.reason or "").encode()),
        ("tocsin-stage", (outcome.stage or "").encode()),
        ("tocsin-status", b"" if outcome.status is None else b"%d" % outcome.status),
        ("tocsin-error", error),
        ("tocsin-died-at", b"%d" % died_at_ms),
    ]
