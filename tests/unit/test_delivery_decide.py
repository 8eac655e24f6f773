import json
from datetime import UTC, datetime

import pytest
from msgspec.structs import replace

from processor.delivery.decide import Cancel, Decision, Hold, Send, decide, is_behind
from processor.delivery.outcome import Dead, Reason
from processor.jobs import JobHeaders, job_id
from processor.rules.table import RuleTable

MATCHED = 1_795_428_000_000  # 2026-11-23T10:00:00Z
DAY = 24 * 3_600_000
RULE: dict[str, object] = {
    "name": "n",
    "action_type": "webhook",
    "action_target": "https://hooks.example.com/x",
    "uid": "01J",
}
JOB = JobHeaders(
    job_id=job_id("T", 0, 1, 7, "01J", 0),
    rule_id=7,
    rule_uid="01J",
    rules_offset=10,
    rules_topic_id="R",
    event_topic="event-log",
    event_partition=0,
    event_offset=1,
    matched_at_ms=MATCHED,
    attempt=1,
    not_before_ms=MATCHED,
)


def decided(rule: dict[str, object] | bytes | None, job: JobHeaders = JOB, after_ms: int = 0) -> Decision:
    table = RuleTable()
    if isinstance(rule, dict):
        rule = json.dumps({"id": 7, **rule}).encode()
    table.apply(b"7", rule, None, 0)
    return decide(table.snapshot(), job, MATCHED + after_ms)


def test_unchanged_rule_sends() -> None:
    decision = decided(RULE)
    assert isinstance(decision, Send)
    assert decision.rule.name == "n"


def test_plain_producers_rule_has_no_uid_on_either_side() -> None:
    plain = {name: value for name, value in RULE.items() if name != "uid"}
    assert isinstance(decided(plain, replace(JOB, rule_uid="")), Send)


@pytest.mark.parametrize(
    ("rule", "reason"),
    [
        (None, Reason.DELETED),
        (RULE | {"uid": "01K"}, Reason.REPLACED),
        (RULE | {"uid": ""}, Reason.REPLACED),
        (RULE | {"uid": "01K", "enabled": False}, Reason.REPLACED),
        (RULE | {"enabled": False}, Reason.DISABLED),
        (RULE | {"enabled": False, "paused": True}, Reason.DISABLED),
        (RULE | {"muted_until": "2026-11-23T10:00:01Z"}, Reason.MUTED),
    ],
)
def test_job_of_a_rule_that_no_longer_wants_it_is_cancelled(
    rule: dict[str, object] | None, reason: Reason
) -> None:
    assert decided(rule) == Cancel(reason)


def test_mute_ends_on_time_and_spares_retries() -> None:
    muted = RULE | {"muted_until": "2026-11-23T10:00:01Z"}
    assert decided(muted, after_ms=999) == Cancel(Reason.MUTED)
    assert isinstance(decided(muted, after_ms=1000), Send)
    assert isinstance(decided(muted, replace(JOB, attempt=2)), Send)


def test_paused_rule_holds_for_thirty_days() -> None:
    paused = RULE | {"paused": True}
    assert decided(paused) == Hold("paused")
    assert decided(paused, after_ms=30 * DAY - 1) == Hold("paused")
    assert decided(paused, after_ms=30 * DAY) == Dead(Reason.EXPIRED)


def test_paused_and_muted_rule_holds_because_the_attempt_may_fall_behind_the_mute() -> None:
    assert decided(
        RULE | {"paused": True, "muted_until": datetime(2030, 1, 1, tzinfo=UTC).isoformat()}
    ) == Hold("paused")


@pytest.mark.parametrize("extra", [{}, {"paused": True}])
def test_expiry_counts_from_the_match_even_while_paused(extra: dict[str, object]) -> None:
    rule = RULE | {"delivery": {"expires_after": "2h"}} | extra
    assert decided(rule, after_ms=7_199_999) != Dead(Reason.EXPIRED)
    assert decided(rule, after_ms=7_200_000) == Dead(Reason.EXPIRED)


@pytest.mark.parametrize(
    "record", [b"{", json.dumps(RULE | {"id": 7, "a_field_of_the_next_version": 1}).encode(), b'{"id":7}']
)
def test_invalid_rule_holds_its_jobs_and_says_why(record: bytes) -> None:
    decision = decided(record)
    assert isinstance(decision, Hold)
    assert decision.why == "invalid"
    assert decision.detail
    assert decided(record, after_ms=30 * DAY) == Dead(Reason.EXPIRED)


def test_job_waits_for_a_table_as_new_as_the_matchers() -> None:
    assert is_behind(JOB, "R", 9)
    assert not is_behind(JOB, "R", 10)
    assert not is_behind(JOB, "another topic", 0)


def test_redelivered_job_ignores_expiry_and_is_held_from_its_redelivery_on() -> None:
    job = replace(JOB, redelivered=1, redelivered_at_ms=MATCHED + 40 * DAY)
    expiring = RULE | {"delivery": {"expires_after": "2h"}}
    assert isinstance(decided(expiring, job, after_ms=40 * DAY), Send)
    assert decided(expiring | {"paused": True}, job, after_ms=70 * DAY - 1) == Hold("paused")
    assert decided(expiring | {"paused": True}, job, after_ms=70 * DAY) == Dead(Reason.EXPIRED)
    assert isinstance(decided(b"{", job, after_ms=70 * DAY - 1), Hold)
