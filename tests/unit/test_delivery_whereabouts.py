import pytest
from msgspec.structs import replace

from processor.delivery.dead import DeadLetter
from processor.delivery.decide import Cancel, Decision, Hold
from processor.delivery.lookup import Death, Trail, Waiting
from processor.delivery.outcome import Reason
from processor.delivery.trail import AuditRecord, Place
from processor.delivery.whereabouts import Whereabouts, ended, waits
from processor.jobs import JobHeaders
from processor.kafka.records import Position
from tests.support.deliveries import JOB, MATCHED, audited, dead_record_headers

LATER = MATCHED + 60_000


def trail_of(*records: AuditRecord) -> Trail:
    return [(Place(MATCHED + at, 0, at), record) for at, record in enumerate(records)]


def waiting(
    job: JobHeaders | None, trail: Trail = (), decision: Decision | None = None, **more: int
) -> Whereabouts:
    record = Waiting(JOB.job_id, Position("t", 1), 5, 0, MATCHED, job, "" if job else "format 9")
    return waits(record, trail, decision, now_ms=more.get("now_ms", MATCHED), senders=more.get("senders", 1))


def test_a_new_job_waits_for_its_turn() -> None:
    assert waiting(JOB) == Whereabouts("waiting", "new", "", 1, MATCHED)


def test_a_retry_says_what_failed() -> None:
    job = replace(JOB, attempt=3, not_before_ms=LATER)
    trail = trail_of(audited(1, "failed", error="HTTP 500"), audited(2, "failed", error="connection refused"))
    assert waiting(job, trail) == Whereabouts("waiting", "retry", "connection refused", 3, LATER)
    assert waiting(job) == Whereabouts("waiting", "retry", "", 3, LATER)


def test_a_redelivered_job_waits_for_the_first_attempt_of_its_new_schedule_then_for_retries() -> None:
    job = replace(JOB, attempt=7, first_attempt=7, redelivered=1)
    assert waiting(job).why == "redelivered"
    assert waiting(replace(job, attempt=8)).why == "retry"


@pytest.mark.parametrize("hold", [Hold("paused"), Hold("invalid", "name: is missing")])
def test_a_job_that_is_due_waits_for_its_rule(hold: Hold) -> None:
    said = f"its rule is {hold.why}" + (f" ({hold.detail})" if hold.detail else "")
    assert waiting(JOB, decision=hold) == Whereabouts("waiting", hold.why, said, 1, MATCHED)


def test_a_scheduled_retry_of_a_paused_rule_still_waits_for_its_time() -> None:
    job = replace(JOB, attempt=2, not_before_ms=LATER)
    trail = trail_of(audited(1, "failed", error="HTTP 500"))
    assert waiting(job, trail, Hold("paused")) == Whereabouts(
        "waiting", "retry", "HTTP 500; its rule is paused", 2, LATER
    )


def test_a_job_that_was_put_off_says_why_from_the_trail() -> None:
    job = replace(JOB, attempt=2, deferrals=4, not_before_ms=LATER)
    trail = trail_of(
        audited(1, "deferred", error="invalid: then"),
        audited(1, "failed"),
        audited(2, "deferred", error="circuit open"),
    )
    assert waiting(job, trail) == Whereabouts("waiting", "deferred", "put off: circuit open", 2, LATER)
    assert waiting(job) == Whereabouts("waiting", "deferred", "put off", 2, LATER)
    assert waiting(job, trail, Hold("paused")) == Whereabouts(
        "waiting", "paused", "its rule is paused", 2, LATER
    )


def test_what_stands_in_the_way_is_said_too() -> None:
    assert waiting(JOB, senders=0).detail == "no sender is running"
    assert (
        waiting(JOB, decision=Cancel(Reason.DELETED)).detail == "its rule is deleted, so it will be cancelled"
    )
    assert waiting(None, senders=0) == Whereabouts("waiting", "unreadable", "format 9; no sender is running")


def dead(*, put_back: bool = False) -> Death:
    letter = DeadLetter(6, MATCHED, 0, 3, 7, "exhausted", 0)
    return Death(letter, dead_record_headers(JOB, 6, error="HTTP 500"), put_back)


@pytest.mark.parametrize(
    ("record", "expected"),
    [
        (audited(2, "delivered"), Whereabouts("delivered")),
        (
            audited(2, "cancelled", reason="deleted"),
            Whereabouts("cancelled", "deleted", "its rule was deleted"),
        ),
    ],
)
def test_what_ended_a_job_is_told_from_the_trail(record: AuditRecord, expected: Whereabouts) -> None:
    assert ended(trail_of(audited(1, "failed"), record), None) == expected


def test_a_dead_job_is_told_from_its_dead_record() -> None:
    assert ended([], dead()) == Whereabouts("dead", "exhausted", "HTTP 500")
    trail = trail_of(audited(6, "dead", reason="exhausted", error="HTTP 500"))
    assert ended(trail, dead()) == Whereabouts("dead", "exhausted", "HTTP 500")


def test_a_dead_job_whose_record_is_gone_is_still_told_from_the_trail() -> None:
    trail = trail_of(audited(6, "dead", reason="exhausted", error="HTTP 500"))
    assert ended(trail, None) == Whereabouts(
        "dead", "exhausted", "HTTP 500; its dead record is gone, so it can't be put back"
    )


def test_what_can_no_longer_be_told_is_said() -> None:
    assert ended([], None) is None
    for trail, death in [
        (trail_of(), dead(put_back=True)),
        (trail_of(audited(6, "dead", reason="exhausted")), dead(put_back=True)),
        (trail_of(audited(1, "failed")), None),
        (trail_of(audited(1, "deferred")), None),
    ]:
        known = ended(trail, death)
        assert known is not None
        assert (known.state, bool(known.detail)) == ("unknown", True)
