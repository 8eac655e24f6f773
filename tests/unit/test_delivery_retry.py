from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from processor.delivery.outcome import Dead, Reason
from processor.delivery.retry import Retry, RetryPolicy, after_failure, parse_retry_after

NOW = 1_795_428_000_000  # 2026-11-23T10:00:00Z
POLICY = RetryPolicy(schedule_ms=(5_000, 60_000, 600_000, 3_600_000, 21_600_000))


def next_wait(
    attempt: int, policy: RetryPolicy = POLICY, random: float = 0.0, **more: object
) -> int | Reason:
    step = after_failure(
        policy,
        attempt=attempt,
        matched_at_ms=NOW,
        now_ms=NOW,
        random=random,
        **more,  # type: ignore[arg-type]
    )
    return step.not_before_ms - NOW if isinstance(step, Retry) else step.reason


def test_waits_follow_the_schedule_and_end() -> None:
    waits = [next_wait(attempt) for attempt in range(1, 7)]
    assert waits == [5_000, 60_000, 600_000, 3_600_000, 21_600_000, Reason.EXHAUSTED]


@pytest.mark.parametrize(
    ("attempts", "waits"),
    [
        (1, [Reason.EXHAUSTED]),
        (2, [5_000, Reason.EXHAUSTED]),
        (8, [5_000, 60_000, 600_000, 3_600_000, 21_600_000, 21_600_000, 21_600_000, Reason.EXHAUSTED]),
    ],
)
def test_rule_may_have_its_own_number_of_attempts(attempts: int, waits: list[int | Reason]) -> None:
    policy = RetryPolicy(POLICY.schedule_ms, max_attempts=attempts)
    assert [next_wait(attempt, policy) for attempt in range(1, attempts + 1)] == waits


@pytest.mark.parametrize("first", [2, 7, 20])
@pytest.mark.parametrize("attempts", [None, 2, 8])
def test_redelivered_job_has_the_whole_schedule_again(first: int, attempts: int | None) -> None:
    policy = RetryPolicy(POLICY.schedule_ms, max_attempts=attempts)
    fresh = [next_wait(number, policy) for number in range(1, policy.attempts + 1)]
    later = [
        next_wait(number, policy, first_attempt=first) for number in range(first, first + policy.attempts)
    ]
    assert later == fresh


def test_an_attempt_below_the_schedules_first_counts_as_its_first() -> None:
    assert next_wait(1, first_attempt=3) == 5_000


@pytest.mark.parametrize(("attempt", "most"), [(1, 5_500), (2, 65_000), (3, 605_000), (5, 21_605_000)])
def test_jitter_is_a_tenth_and_at_most_five_seconds(attempt: int, most: int) -> None:
    least, just_below = next_wait(attempt, random=0.0), next_wait(attempt, random=0.999_999)
    assert least == POLICY.schedule_ms[attempt - 1]
    assert isinstance(just_below, int)
    assert most - 10 < just_below < most


@given(st.integers(1, 5), st.floats(0, 1, exclude_max=True), st.text(max_size=12))
def test_no_wait_is_shorter_than_scheduled_nor_longer_than_the_caps(
    attempt: int, random: float, asked: str
) -> None:
    wait = next_wait(attempt, random=random, status=503, retry_after=asked)
    assert isinstance(wait, int)
    scheduled = POLICY.schedule_ms[attempt - 1]
    assert scheduled <= wait <= max(scheduled, POLICY.retry_after_max_ms) + 5_000


@pytest.mark.parametrize(
    ("retry_after", "wait"),
    [
        ("120", 120_000),
        ("1", 5_000),
        ("0", 5_000),
        ("99999999", 3_600_000),
        ("9" * 5_000, 3_600_000),
        ("Mon, 23 Nov 2026 10:02:00 GMT", 120_000),
        ("Mon, 23 Nov 2026 09:00:00 GMT", 5_000),
        ("Mon, 23 Nov 2099 09:00:00 GMT", 3_600_000),
        ("-5", 5_000),
        ("soon", 5_000),
        ("", 5_000),
    ],
)
def test_retry_after_lengthens_the_wait_up_to_its_maximum(retry_after: str, wait: int) -> None:
    assert next_wait(1, status=429, retry_after=retry_after) == wait


def test_gone_is_final_whatever_is_left() -> None:
    assert next_wait(1, status=410, retry_after="5") == Reason.GONE


@pytest.mark.parametrize("status", [301, 307, 400, 429, 500, 503, 599])
def test_retry_after_counts_on_any_answer_that_was_no(status: int) -> None:
    assert next_wait(1, status=status, retry_after="120") == 120_000


@pytest.mark.parametrize("status", [None, 101, 600, 999])
def test_retry_after_counts_on_nothing_else(status: int | None) -> None:
    assert next_wait(1, status=status, retry_after="120") == 5_000


@pytest.mark.parametrize("status", [400, 401, 403, 404, 409, 422, 499])
def test_a_4xx_is_final_where_the_rule_says_so(status: int) -> None:
    policy = RetryPolicy(POLICY.schedule_ms, retry_4xx=False)
    assert next_wait(1, policy, status=status, retry_after="5") == Reason.REFUSED


@pytest.mark.parametrize("status", [None, 301, 399, 408, 425, 429, 500, 503])
def test_what_may_work_later_is_tried_again_whatever_the_rule_says_of_4xx(status: int | None) -> None:
    policy = RetryPolicy(POLICY.schedule_ms, retry_4xx=False)
    assert next_wait(1, policy, status=status) == 5_000


def test_gone_is_gone_also_where_4xx_are_final() -> None:
    policy = RetryPolicy(POLICY.schedule_ms, retry_4xx=False)
    assert next_wait(1, policy, status=410) == Reason.GONE


@pytest.mark.parametrize("status", [None, 301, 400, 404, 408, 425, 429, 500, 503, 599])
def test_every_other_failure_is_tried_again(status: int | None) -> None:
    assert next_wait(1, status=status) == 5_000


def test_job_that_expires_before_its_next_attempt_is_due_at_its_end() -> None:
    policy = RetryPolicy(POLICY.schedule_ms, expires_after_ms=30_000)
    assert next_wait(1, policy) == 5_000
    assert next_wait(2, policy) == 30_000


def test_job_that_has_expired_already_is_due_at_once() -> None:
    policy = RetryPolicy(POLICY.schedule_ms, expires_after_ms=30_000)
    step = after_failure(policy, attempt=2, matched_at_ms=NOW - 60_000, now_ms=NOW, random=0.5)
    assert step == Retry(NOW)


def test_last_attempt_is_exhausted_even_if_the_job_has_not_expired() -> None:
    policy = RetryPolicy((5_000,), expires_after_ms=30_000)
    assert after_failure(policy, attempt=2, matched_at_ms=NOW, now_ms=NOW, random=0.0) == Dead(
        Reason.EXHAUSTED
    )


@pytest.mark.parametrize(
    "text",
    ["Mon, 23 Nov 2026 10:02:00 GMT", "Monday, 23-Nov-26 10:02:00 GMT", "Mon Nov 23 10:02:00 2026", " 120 "],
)
def test_all_forms_of_retry_after_are_read(text: str) -> None:
    assert parse_retry_after(text, NOW) == 120_000
    assert datetime.fromtimestamp(NOW / 1000, UTC).isoformat() == "2026-11-23T10:00:00+00:00"


@pytest.mark.parametrize("text", ["", "1.5", "+5", "٥", "tomorrow", "Mon, 99 Nov 2026 10:02:00 GMT", "1e9"])
def test_anything_else_says_nothing(text: str) -> None:
    assert parse_retry_after(text, NOW) is None
