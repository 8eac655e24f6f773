import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from processor.delivery.audit import MAX_SNIPPET, audit_record, dead_headers, snippet
from processor.delivery.outcome import Kind, Outcome, Reason, Stage
from processor.jobs import JobHeaders, job_id

JOB = JobHeaders(
    job_id=job_id("T", 3, 42, 7, "01J", 0),
    rule_id=7,
    rule_uid="01J",
    rules_offset=99,
    rules_topic_id="R",
    event_topic="event-log",
    event_partition=3,
    event_offset=42,
    matched_at_ms=1,
    attempt=2,
    not_before_ms=2,
)


def test_audit_record_has_exactly_the_contracts_fields() -> None:
    outcome = Outcome(Kind.FAILED, 1000, 25, stage=Stage.STATUS, status=503, error="HTTP 503", snippet="bäd")
    record = audit_record(JOB, outcome, rule_name="n", origin="https://h", next_attempt_at_ms=61_000)
    assert json.loads(record) == {
        "job_id": JOB.job_id,
        "rule_id": 7,
        "rule_uid": "01J",
        "rule_name": "n",
        "attempt": 2,
        "outcome": "failed",
        "reason": None,
        "stage": "status",
        "status": 503,
        "started_at_ms": 1000,
        "duration_ms": 25,
        "origin": "https://h",
        "next_attempt_at_ms": 61_000,
        "error": "HTTP 503",
        "snippet": "bäd",
    }


def test_decision_without_an_attempt_has_nulls() -> None:
    record = json.loads(
        audit_record(JOB, Outcome(Kind.CANCELLED, 5, reason=Reason.DELETED), rule_name="", origin="")
    )
    assert (record["outcome"], record["reason"]) == ("cancelled", "deleted")
    assert (record["stage"], record["status"], record["next_attempt_at_ms"]) == (None, None, None)


def test_lone_surrogate_does_not_cost_a_record() -> None:
    outcome = Outcome(Kind.FAILED, 1, error="\ud800")
    json.loads(audit_record(JOB, outcome, rule_name="\ud800", origin=""))


@given(st.binary(max_size=5000))
def test_snippet_is_printable_and_bounded(body: bytes) -> None:
    text = snippet(body)
    assert len(text.encode()) <= MAX_SNIPPET
    assert text == "" or text.isprintable()


@pytest.mark.parametrize(
    ("body", "text"),
    [(b"ok\r\n", "ok"), (b"a\x00b\x1b[31m", "a b [31m"), (b"", ""), ("ä".encode() * 2000, "ä" * 512)],
)
def test_snippet_keeps_what_can_be_read(body: bytes, text: str) -> None:
    assert snippet(body) == text


def test_dead_headers_say_why_in_ascii() -> None:
    outcome = Outcome(
        Kind.DEAD, 5, reason=Reason.GONE, stage=Stage.STATUS, status=410, error="weg: ä\r\n" + "x" * 999
    )
    headers = dict(dead_headers(outcome, 1_795_428_000_000))
    assert headers["tocsin-outcome"] == b"dead"
    assert headers["tocsin-reason"] == b"gone"
    assert headers["tocsin-stage"] == b"status"
    assert headers["tocsin-status"] == b"410"
    assert headers["tocsin-died-at"] == b"1795428000000"
    assert headers["tocsin-error"].startswith(b"weg: \\xe4")
    assert len(headers["tocsin-error"]) == 300


def test_error_outside_ascii_takes_no_more_room_in_a_header() -> None:
    headers = dict(dead_headers(Outcome(Kind.DEAD, 5, error="\U0001f525" * 999), 6))
    assert len(headers["tocsin-error"]) == 300


def test_dead_job_can_be_read_again_as_a_job() -> None:
    record = JOB.encode() + dead_headers(Outcome(Kind.DEAD, 5, reason=Reason.EXPIRED), 6)
    job = JobHeaders.decode(record)
    assert (job.job_id, job.attempt) == (JOB.job_id, 2)
    assert dict(job.others)["tocsin-reason"] == b"expired"
