import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from processor.jobs import (
    BodyTemplate,
    EventJobs,
    JobError,
    JobHeaders,
    NewerFormat,
    RuleJobs,
    checked_traceparent,
    format_second,
    job_id,
    job_key,
    shard,
)

TRACE = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
JOB = JobHeaders(
    job_id=job_id("T", 3, 42, 7, "01J", 0),
    rule_id=7,
    rule_uid="01J",
    rules_offset=99,
    rules_topic_id="R",
    event_topic="event-log",
    event_partition=3,
    event_offset=42,
    matched_at_ms=1_795_428_000_123,
    attempt=1,
    not_before_ms=1_795_428_000_123,
    traceparent=TRACE,
)


def fired(traceparent: str | None = None) -> EventJobs:
    return EventJobs(
        topic="event-log",
        topic_id="T",
        partition=3,
        offset=42,
        rules_topic_id="R",
        rules_offset=99,
        matched_at_ms=JOB.matched_at_ms,
        traceparent=traceparent,
    )


def test_headers_survive_the_way_through_kafka() -> None:
    full = replace(JOB, attempt=3, deferrals=2, others=(("tocsin-later", b"x"),))
    assert JobHeaders.decode(full.encode()) == full


@given(
    st.builds(
        JobHeaders,
        job_id=st.just(JOB.job_id),
        rule_id=st.integers(1, 2**53 - 1),
        rule_uid=st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E), max_size=40),
        rules_offset=st.integers(0, 2**63 - 1),
        rules_topic_id=st.just("R"),
        event_topic=st.just("event-log"),
        event_partition=st.integers(0, 2**31 - 1),
        event_offset=st.integers(0, 2**63 - 1),
        matched_at_ms=st.integers(0, 2**53),
        attempt=st.integers(1, 1000),
        not_before_ms=st.integers(0, 2**53),
        deferrals=st.integers(0, 1000),
        first_attempt=st.integers(1, 1000),
        redelivered=st.integers(1, 1000),
        redelivered_at_ms=st.integers(0, 2**53),
        traceparent=st.sampled_from([None, TRACE]),
    )
)
def test_any_job_decodes_to_itself(job: JobHeaders) -> None:
    assert JobHeaders.decode(job.encode()) == job


def test_a_job_that_was_never_redelivered_says_nothing_of_it() -> None:
    assert not {name for name, _ in JOB.encode()} & {
        *("tocsin-first-attempt", "tocsin-redelivered", "tocsin-redelivered-at")
    }
    again = replace(JOB, attempt=4, first_attempt=4, redelivered=2, redelivered_at_ms=5)
    assert set(again.encode()) - set(JOB.encode()) == {
        ("tocsin-attempt", b"4"),
        ("tocsin-first-attempt", b"4"),
        ("tocsin-redelivered", b"2"),
        ("tocsin-redelivered-at", b"5"),
    }


def test_header_names_and_values_are_the_contract() -> None:
    assert dict(JOB.encode()) == {
        "tocsin-job-id": JOB.job_id.encode(),
        "tocsin-rule-id": b"7",
        "tocsin-rule-uid": b"01J",
        "tocsin-rules-offset": b"99",
        "tocsin-rules-topic-id": b"R",
        "tocsin-event-topic": b"event-log",
        "tocsin-event-partition": b"3",
        "tocsin-event-offset": b"42",
        "tocsin-matched-at": b"1795428000123",
        "tocsin-attempt": b"1",
        "tocsin-not-before": b"1795428000123",
        "traceparent": TRACE.encode(),
    }


def test_fast_builder_writes_the_same_record() -> None:
    rule = RuleJobs(7, "01J", "n", 0)
    event = fired(TRACE)
    key, value, headers = event.job(rule, b'{"a":1}')
    assert JobHeaders.decode(headers) == JOB
    assert dict(headers) == dict(JOB.encode())
    assert key == job_key(7, shard(JOB.job_id))
    assert value == BodyTemplate(7, "n").render(b'{"a":1}', format_second(JOB.matched_at_ms))


def test_jobs_of_a_rule_with_one_shard_have_one_key_and_are_the_same_otherwise() -> None:
    spread, together = RuleJobs(7, "01J", "n", 0), RuleJobs(7, "01J", "n", 0, one_shard=True)
    events = [
        EventJobs(
            topic="e",
            topic_id="T",
            partition=0,
            offset=n,
            rules_topic_id="R",
            rules_offset=0,
            matched_at_ms=0,
        )
        for n in range(100)
    ]

    assert {event.job(together, b"{}")[0] for event in events} == {b"7/0"}
    assert len({event.job(spread, b"{}")[0] for event in events}) == 16
    assert all(event.job(together, b"{}")[1:] == event.job(spread, b"{}")[1:] for event in events)


def test_jobs_of_one_event_do_not_share_their_header_lists() -> None:
    event = fired()
    first = event.job(RuleJobs(1, "", "a", 0), b"{}")[2]
    second = event.job(RuleJobs(2, "", "b", 0), b"{}")[2]
    first.append(("x", b""))
    assert ("x", b"") not in second
    assert JobHeaders.decode(second).rule_id == 2


REQUIRED = [name for name, _ in JOB.encode() if name != "traceparent"]


@pytest.mark.parametrize("name", REQUIRED)
def test_missing_header_is_named(name: str) -> None:
    headers = [header for header in JOB.encode() if header[0] != name]
    with pytest.raises(JobError, match=f"{name} is missing"):
        JobHeaders.decode(headers)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("tocsin-job-id", b"msg_short"),
        ("tocsin-job-id", JOB.job_id.encode() + b"\r\nX: y"),
        ("tocsin-rule-id", b"0"),
        ("tocsin-rule-id", b"07"),
        ("tocsin-rule-id", b""),
        ("tocsin-attempt", b"0"),
        ("tocsin-attempt", b"-1"),
        ("tocsin-attempt", "١".encode()),
        ("tocsin-not-before", b"1e3"),
        ("tocsin-not-before", b"9223372036854775808"),
        ("tocsin-matched-at", b" 5"),
        ("tocsin-rule-uid", b"a b"),
        ("tocsin-rule-uid", b"\xff"),
        ("tocsin-deferrals", b"x"),
        ("tocsin-format", b"x"),
        ("tocsin-format", b"0"),
    ],
)
def test_damaged_header_is_named(name: str, value: bytes) -> None:
    headers = [header for header in JOB.encode() if header[0] != name]
    with pytest.raises(JobError, match=name):
        JobHeaders.decode([*headers, (name, value)])


def test_no_headers_at_all_is_a_job_error() -> None:
    with pytest.raises(JobError):
        JobHeaders.decode(None)


def test_known_format_is_read() -> None:
    assert JobHeaders.decode([("tocsin-format", b"1"), *JOB.encode()]) == JOB


def test_newer_format_is_told_from_damage_even_when_all_else_is_missing() -> None:
    with pytest.raises(NewerFormat, match="format 2") as caught:
        JobHeaders.decode([("tocsin-format", b"2")])
    assert (caught.value.found, caught.value.known) == (2, 1)
    assert not isinstance(caught.value, JobError)


def test_last_of_a_repeated_header_counts() -> None:
    assert JobHeaders.decode([*JOB.encode(), ("tocsin-attempt", b"4")]).attempt == 4


def test_header_without_value_is_empty_text() -> None:
    headers = [header for header in JOB.encode() if header[0] != "tocsin-rule-uid"]
    assert JobHeaders.decode([*headers, ("tocsin-rule-uid", None)]).rule_uid == ""


@pytest.mark.parametrize(
    ("value", "kept"),
    [
        (TRACE.encode(), TRACE),
        (TRACE, TRACE),
        (None, None),
        (b"", None),
        (b"00-x", None),
        (("ff" + TRACE[2:]).encode(), None),
        (b"00-" + b"0" * 32 + b"-00f067aa0ba902b7-01", None),
        (TRACE.encode() + b"\n", None),
        (b"01" + TRACE[2:].encode() + b"-extra", "01" + TRACE[2:] + "-extra"),
    ],
)
def test_only_a_valid_traceparent_travels(value: bytes | str | None, kept: str | None) -> None:
    assert checked_traceparent(value) == kept
