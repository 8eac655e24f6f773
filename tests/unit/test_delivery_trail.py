import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from processor.delivery.audit import audit_record
from processor.delivery.outcome import Kind, Outcome, Reason, Stage
from processor.delivery.trail import (
    AuditRecord,
    Newest,
    Place,
    TrailError,
    Wanted,
    attempts_made,
    read_audit,
)
from tests.support.deliveries import JOB, audited


def written(outcome: Outcome, **more: Any) -> bytes:
    return audit_record(JOB, outcome, rule_name="n", origin="https://h", **more)


def test_what_the_sender_writes_is_read_back() -> None:
    outcome = Outcome(
        Kind.FAILED, 5, 7, stage=Stage.STATUS, status=503, error="HTTP 503", snippet="sorry", reason=None
    )
    value = written(outcome, next_attempt_at_ms=99)
    record = read_audit(value, [])
    assert json.loads(value) == {name: getattr(record, name) for name in AuditRecord.__struct_fields__}
    assert (record.outcome, record.status, record.next_attempt_at_ms) == ("failed", 503, 99)


def test_fields_of_later_versions_are_left_out() -> None:
    value = json.dumps({**json.loads(written(Outcome(Kind.DELIVERED, 5))), "later": 1}).encode()
    assert read_audit(value, []).outcome == "delivered"


@pytest.mark.parametrize("value", [None, b"", b"{}", b"[]", b"{", b'{"job_id":7}', b"[" * 100_000])
def test_other_records_are_refused_with_the_reason(value: bytes | None) -> None:
    with pytest.raises(TrailError) as refused:
        read_audit(value, [])
    assert str(refused.value)


def test_a_newer_format_is_refused() -> None:
    with pytest.raises(TrailError, match="newer version"):
        read_audit(written(Outcome(Kind.DELIVERED, 5)), [("tocsin-format", b"2")])


def test_only_attempts_use_up_a_number() -> None:
    assert attempts_made([]) == 0
    assert attempts_made([audited(4, "deferred"), audited(5, "cancelled", reason="deleted")]) == 0
    assert attempts_made([audited(1, "failed"), audited(2, "dead", reason="expired")]) == 1
    assert attempts_made([audited(3, "dead", reason="exhausted"), audited(2, "failed")]) == 3
    assert attempts_made([audited(3, "failed"), audited(4, "delivered")]) == 4


@pytest.mark.parametrize("reason", [r for r in Reason if r is not Reason.EXPIRED])
def test_who_died_in_an_attempt_has_made_it(reason: Reason) -> None:
    assert attempts_made([audited(2, "dead", reason=reason)]) == 2


@pytest.mark.parametrize(
    ("wanted", "taken"),
    [
        (Wanted(), True),
        (Wanted(rule="7"), True),
        (Wanted(rule="n"), True),
        (Wanted(rule="8"), False),
        (Wanted(job_id=JOB.job_id), True),
        (Wanted(job_id="msg_"), False),
        (Wanted(outcomes=frozenset({"failed", "dead"})), True),
        (Wanted(outcomes=frozenset({"delivered"})), False),
        (Wanted(rule="7", outcomes=frozenset({"delivered"})), False),
    ],
)
def test_all_that_is_asked_for_must_be_met(wanted: Wanted, taken: bool) -> None:
    assert wanted.takes(audited(1, "failed")) is taken


@given(st.lists(st.integers(0, 10_000), unique=True, max_size=2_500), st.integers(0, 50))
def test_the_newest_are_kept_in_the_order_of_time(times: list[int], limit: int) -> None:
    newest = Newest(limit)
    for at in times:
        newest.add(Place(at, 0, 0), audited(1, "failed"))

    kept = [place.at_ms for place, _ in newest.records()]

    assert kept == (sorted(times)[-limit:] if limit else sorted(times))
    assert newest.left_out == len(times) - len(kept)
