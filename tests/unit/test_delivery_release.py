import pytest
from msgspec.structs import replace

from processor.delivery.release import Heard, released
from processor.jobs import JobHeaders, job_id
from processor.rules import Releases

AT = 1_795_428_000_000
ORIGIN = "https://hooks.example.com"
JOB = JobHeaders(
    job_id=job_id("T", 0, 1, 7, "", 0),
    rule_id=7,
    rule_uid="",
    rules_offset=0,
    rules_topic_id="R",
    event_topic="event-log",
    event_partition=0,
    event_offset=1,
    matched_at_ms=AT - 9_000_000,
    attempt=2,
    not_before_ms=AT + 600_000,
    deferrals=1,
)
RULE, DESTINATION = Releases(rules={7: AT}), Releases(destinations={ORIGIN: AT})


@pytest.mark.parametrize("releases", [RULE, DESTINATION])
def test_what_was_put_off_before_the_release_is_due(releases: Releases) -> None:
    assert released(releases, JOB, ORIGIN, AT - 1)
    assert released(releases, JOB, ORIGIN, AT)
    assert not released(releases, JOB, ORIGIN, AT + 1)


@pytest.mark.parametrize("releases", [RULE, DESTINATION])
def test_a_scheduled_retry_is_not_released(releases: Releases) -> None:
    assert not released(releases, replace(JOB, deferrals=0), ORIGIN, AT - 1)


def test_the_later_of_two_releases_counts() -> None:
    both = Releases(rules={7: AT}, destinations={ORIGIN: AT + 10})
    assert released(both, JOB, ORIGIN, AT + 10)
    assert released(both, JOB, "", AT)
    assert not released(both, JOB, "", AT + 10)


def test_other_rules_and_destinations_release_nothing() -> None:
    other = Releases(rules={8: AT}, destinations={"http://hooks.example.com": AT, "": AT})
    assert not released(other, JOB, ORIGIN, AT - 1)
    assert not released(Releases(), JOB, ORIGIN, 0)


def test_release_by_a_clock_that_is_ahead_counts_from_when_it_was_heard() -> None:
    heard = Heard()
    ahead = {JOB.rule_id: AT + 3_600_000}
    heard.hear(Releases(ahead, {ORIGIN: AT + 60_000}), AT)

    assert released(heard.now, JOB, ORIGIN, AT)
    assert not released(heard.now, JOB, ORIGIN, AT + 1)

    # Another one doesn't make the first count anew.
    heard.hear(Releases({**ahead, 99: AT}, {ORIGIN: AT + 60_000}), AT + 50)
    assert not released(heard.now, JOB, ORIGIN, AT + 1)

    # The same rule released once more does.
    heard.hear(Releases({JOB.rule_id: AT + 3_600_100}, {}), AT + 100)
    assert released(heard.now, JOB, "", AT + 100)
    assert not released(heard.now, JOB, "", AT + 101)


def test_release_of_the_past_counts_from_its_own_time() -> None:
    heard = Heard()
    heard.hear(Releases({JOB.rule_id: AT}, {}), AT + 5_000)
    assert released(heard.now, JOB, "", AT)
    assert not released(heard.now, JOB, "", AT + 1)
