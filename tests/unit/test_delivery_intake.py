"""What a record of a job topic is: a job, a newer format, or a dead record that costs nothing but itself."""

import pytest

from processor.delivery.intake import dead_as_it_is, read_job
from processor.jobs import JobError, NewerFormat
from tests.support.lanes import NOW, FakeRecord, headers, lane, texts

LARGEST = 10_000


def test_job_is_read_with_its_place_and_time() -> None:
    jobs = lane()
    found = read_job(jobs, FakeRecord(b"{}", headers(5).encode(), b"7/1", record_offset=5), LARGEST)
    assert found.lane is jobs
    assert (found.offset, found.key, found.body, found.headers) == (5, b"7/1", b"{}", headers(5))
    assert found.appended_ms == NOW


def test_record_without_a_body_is_no_job() -> None:
    with pytest.raises(JobError, match="no body"):
        read_job(lane(), FakeRecord(None, headers().encode()), LARGEST)


def test_newer_format_is_told_from_a_damaged_record() -> None:
    with pytest.raises(NewerFormat):
        read_job(lane(), FakeRecord(b"{}", [("tocsin-format", b"2")]), LARGEST)
    with pytest.raises(JobError):
        read_job(lane(), FakeRecord(b"{}", [("tocsin-format", b"x")]), LARGEST)


def test_job_that_no_retry_topic_would_take_is_no_job() -> None:
    record = FakeRecord(b"x" * (LARGEST - 1_500), headers().encode())
    with pytest.raises(JobError, match=r"needs \d+ bytes, but the job topics take no more than 10000"):
        read_job(lane(), record, LARGEST)
    assert read_job(lane(), record, LARGEST + 1_500).body == record.record_value


def test_record_that_is_no_job_is_kept_whole_with_what_is_wrong() -> None:
    record = FakeRecord(b"\xff", [("tocsin-job-id", b"x"), ("own", None), ("tocsin-error", b"old")], b"k")
    entry = dead_as_it_is(lane(), record, "no job: ü", NOW, dead_topic="dead", largest=LARGEST)
    assert entry.unreadable
    assert entry.outcome is None
    (dead,) = entry.records
    assert (dead.topic, dead.key, dead.value, dead.partition) == ("dead", b"k", b"\xff", -1)
    assert texts(dead.headers) == {
        "tocsin-job-id": "x",
        "own": "",
        "tocsin-outcome": "dead",
        "tocsin-reason": "",
        "tocsin-stage": "render",
        "tocsin-status": "",
        "tocsin-error": r"no job: \xfc",
        "tocsin-died-at": str(NOW),
    }


def test_value_that_would_not_fit_stays_behind() -> None:
    record = FakeRecord(b"x" * LARGEST, [("own", b"1")], b"k")
    (dead,) = dead_as_it_is(lane(), record, "too large", NOW, dead_topic="dead", largest=LARGEST).records
    assert (dead.key, dead.value) == (b"k", None)
    assert texts(dead.headers)["own"] == "1"


def test_key_and_headers_that_would_not_fit_stay_behind_too() -> None:
    record = FakeRecord(b"{}", [("own", b"1" * LARGEST)], b"k" * LARGEST)
    (dead,) = dead_as_it_is(lane(), record, "too large", NOW, dead_topic="dead", largest=LARGEST).records
    assert (dead.key, dead.value) == (None, None)
    assert texts(dead.headers)["tocsin-error"] == "too large"
    assert "own" not in texts(dead.headers)
