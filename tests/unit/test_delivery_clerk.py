"""What becomes of a job, as records: with rules as values, a fixed time and fixed chance."""

import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any

import pytest
from prometheus_client import generate_latest

from processor.delivery.clerk import Clerk, Policy
from processor.delivery.lanes import JobInHand
from processor.delivery.ledger import Entry
from processor.delivery.outcome import Kind, Outcome, Reason, Stage
from processor.delivery.sending import Attempt
from processor.delivery.tiers import Wait
from processor.kafka.records import OutRecord
from processor.observability.metrics import Metrics
from processor.rules.references import References
from processor.rules.resolve import Resolver
from processor.rules.sealing import KeyRing
from processor.rules.table import RuleSnapshot, RuleTable
from tests.support.lanes import NOW, FakeRecord, lane, take, texts

SECOND = 1_000
URL = "https://hooks.example.com/path-that-is-a-credential"
POLICY = Policy(
    retry_topics={1_000: "retry.1s", 5_000: "retry.5s", 60_000: "retry.1m"},
    dead_topic="dead",
    audit_topic="audit",
    schedule_ms=(1_000, 60_000),
    retry_after_max_ms=3_600_000,
    largest=1_000_000,
)
FAILED = Outcome(Kind.FAILED, NOW, 12, stage=Stage.STATUS, status=500, error="HTTP 500", snippet="no")


class Rules:
    """The live table as a value."""

    def __init__(self, rule: Mapping[str, Any] | bytes | None = None, reason: str | None = None) -> None:
        self.table = RuleTable()
        self.reason = reason
        self.next_offset = 1
        if isinstance(rule, Mapping):
            fields = {"name": "n", "action_type": "webhook", "action_target": URL, **rule}
            rule = json.dumps(fields).encode()
        self.table.apply(b"7", rule, None, 0)

    def snapshot(self) -> RuleSnapshot:
        return self.table.snapshot()

    def state(self) -> tuple[str | None, int, str | None]:
        return "R", self.next_offset, self.reason


class NoJitter(Random):
    """Chance that always says the least."""

    def random(self) -> float:
        return 0.0


def clerk(rules: Rules | None = None, environ: Mapping[str, str] | None = None, **changes: Any) -> Clerk:
    policy = Policy(**{**{name: getattr(POLICY, name) for name in Policy.__slots__}, **changes})
    resolver = Resolver(KeyRing.parse([]), References(environ or {}))
    return Clerk(policy, rules or Rules({}), resolver, Metrics("1"), NoJitter())


def audited(entry: Entry) -> dict[str, Any]:
    (record,) = [r for r in entry.records if r.topic == "audit"]
    value: dict[str, Any] = json.loads(record.value or b"")
    assert record.key == value["job_id"].encode()
    return value


def elsewhere(entry: Entry) -> OutRecord:
    """The one record besides the audit's."""
    (record,) = [r for r in entry.records if r.topic != "audit"]
    return record


def settled(entry: Attempt | Entry | None) -> Entry:
    assert isinstance(entry, Entry)
    return entry


def attempted(attempt: Attempt | Entry | None) -> Attempt:
    assert isinstance(attempt, Attempt)
    return attempt


class TestDecide:
    def test_job_is_sent_by_its_rule_as_it_is_now(self) -> None:
        rules = Rules({"action_secret": "s", "delivery": {"timeout": "3s", "headers": {"x-team": "shop"}}})
        job = take(lane(), 0, body=b'{"a":1}', attempt=2)
        request = attempted(clerk(rules).decide(job, NOW)).request
        assert (request.url, request.webhook_id, request.attempt) == (URL, job.headers.job_id, 2)
        assert (request.body, request.keys, request.timeout) == (b'{"a":1}', (b"s",), 3.0)
        assert request.headers == {"x-team": "shop"}
        assert (job.rule_name, job.origin) == ("n", "https://hooks.example.com")

    def test_job_without_secret_or_timeout_has_none(self) -> None:
        request = attempted(clerk().decide(take(lane(), 0), NOW)).request
        assert (request.keys, request.timeout, request.headers) == ((), None, {})

    def test_job_waits_for_a_table_that_is_being_read(self) -> None:
        assert clerk(Rules({}, reason="not read yet")).decide(take(lane(), 0), NOW) is None

    def test_job_waits_for_a_table_older_than_the_one_it_was_judged_by(self) -> None:
        rules = Rules({})
        job = take(lane(), 0, rules_topic_id="R", rules_offset=5)
        assert clerk(rules).decide(job, NOW) is None
        rules.next_offset = 5
        attempted(clerk(rules).decide(job, NOW))

    def test_job_waits_while_the_table_changes_under_it(self) -> None:
        class Changing(Rules):
            def state(self) -> tuple[str | None, int, str | None]:
                self.table.apply(b"8", None, None, 1)
                return super().state()

        assert clerk(Changing({})).decide(take(lane(), 0), NOW) is None

    @pytest.mark.parametrize(
        ("rule", "reason"),
        [
            (None, "deleted"),
            ({"enabled": False}, "disabled"),
            ({"uid": "01J"}, "replaced"),
            ({"muted_until": "2026-11-23T11:00:00Z"}, "muted"),
        ],
    )
    def test_cancelled_job_leaves_nothing_but_its_audit_record(
        self, rule: dict[str, Any] | None, reason: str
    ) -> None:
        entry = settled(clerk(Rules(rule)).decide(take(lane(), 0), NOW))
        assert len(entry.records) == 1
        record = audited(entry)
        assert (record["outcome"], record["reason"], record["attempt"]) == ("cancelled", reason, 1)
        assert (record["started_at_ms"], record["duration_ms"]) == (NOW, 0)
        assert record["rule_name"] == ("" if rule is None else "n")

    def test_expired_job_dies_without_an_attempt(self) -> None:
        rules = Rules({"delivery": {"expires_after": "10s"}})
        job = take(lane(), 0, attempt=2)
        assert isinstance(clerk(rules).decide(job, NOW + 9_999), Attempt)
        entry = settled(clerk(rules).decide(job, NOW + 10_000))
        assert audited(entry)["reason"] == "expired"
        dead = elsewhere(entry)
        assert (dead.topic, dead.key, dead.value) == ("dead", b"7/0", b"{}")
        assert texts(dead.headers)["tocsin-died-at"] == str(NOW + 10_000)

    def test_held_job_climbs_one_tier_each_time_and_only_the_first_is_audited(self) -> None:
        paused = clerk(Rules({"paused": True}))
        entry = settled(paused.decide(take(lane(partition=3), 0), NOW))
        record = audited(entry)
        assert (record["outcome"], record["reason"], record["error"]) == ("deferred", None, "paused")
        assert record["next_attempt_at_ms"] == NOW + 1_000
        moved = elsewhere(entry)
        assert (moved.topic, moved.partition) == ("retry.1s", 3)
        assert texts(moved.headers)["tocsin-deferrals"] == "1"
        assert texts(moved.headers)["tocsin-attempt"] == "1"
        for deferrals, topic, wait in [
            (1, "retry.5s", 5_000),
            (2, "retry.1m", 60_000),
            (9, "retry.1m", 60_000),
        ]:
            entry = settled(paused.decide(take(lane(), 0, deferrals=deferrals), NOW))
            assert entry.outcome is None
            (moved,) = entry.records
            assert moved.topic == topic
            assert texts(moved.headers)["tocsin-not-before"] == str(NOW + wait)

    def test_job_of_an_invalid_rule_is_held_with_the_reason(self) -> None:
        entry = settled(clerk(Rules({"filter_message_regex": "("})).decide(take(lane(), 0), NOW))
        assert audited(entry)["error"].startswith("invalid: filter_message_regex")

    def test_secret_that_can_not_be_had_is_a_failed_attempt(self) -> None:
        rules = Rules({"action_secret": {"ref": "env:TOCSIN_SECRET_X"}})
        entry = settled(clerk(rules).decide(take(lane(), 0), NOW))
        record = audited(entry)
        assert (record["outcome"], record["stage"], record["attempt"]) == ("failed", "render", 1)
        assert "TOCSIN_SECRET_X" in record["error"]
        assert record["origin"] == "https://hooks.example.com"
        assert texts(elsewhere(entry).headers)["tocsin-attempt"] == "2"
        environ = {"TOCSIN_SECRET_X": "s"}
        assert attempted(clerk(rules, environ).decide(take(lane(), 0), NOW)).request.keys == (b"s",)


class TestSettle:
    def job(self, **changes: Any) -> JobInHand:
        job = take(lane(partition=3), 0, **changes)
        attempted(clerk().decide(job, NOW))
        return job

    def test_delivered_job_leaves_its_audit_record(self) -> None:
        outcome = Outcome(Kind.DELIVERED, NOW, 12, status=204, snippet="ok")
        job = self.job()
        entry = clerk().settle(job, outcome, NOW + 12)
        assert len(entry.records) == 1
        assert audited(entry) == {
            "job_id": job.headers.job_id,
            "rule_id": 7,
            "rule_uid": "",
            "rule_name": "n",
            "attempt": 1,
            "outcome": "delivered",
            "reason": None,
            "stage": None,
            "status": 204,
            "started_at_ms": NOW,
            "duration_ms": 12,
            "origin": "https://hooks.example.com",
            "next_attempt_at_ms": None,
            "error": "",
            "snippet": "ok",
        }

    def test_failed_job_moves_to_its_tier_on_the_partition_number_it_came_from(self) -> None:
        job = self.job(deferrals=4)
        entry = clerk().settle(job, FAILED, NOW)
        moved = elsewhere(entry)
        assert (moved.topic, moved.partition, moved.key, moved.value) == ("retry.1s", 3, b"7/0", b"{}")
        headers = texts(moved.headers)
        assert (headers["tocsin-attempt"], headers["tocsin-not-before"]) == ("2", str(NOW + 1_000))
        assert "tocsin-deferrals" not in headers
        assert headers["tocsin-job-id"] == job.headers.job_id
        assert audited(entry)["next_attempt_at_ms"] == NOW + 1_000

    def test_last_failed_attempt_is_audited_as_dead_and_kept(self) -> None:
        job = self.job(attempt=3)
        entry = clerk().settle(job, FAILED, NOW + 5)
        assert (audited(entry)["outcome"], audited(entry)["reason"]) == ("dead", "exhausted")
        dead = elsewhere(entry)
        assert (dead.topic, dead.key, dead.value, dead.partition) == ("dead", b"7/0", b"{}", -1)
        headers = texts(dead.headers)
        assert {name: headers[name] for name in headers if name not in dict(job.headers.encode())} == {
            "tocsin-outcome": "dead",
            "tocsin-reason": "exhausted",
            "tocsin-stage": "status",
            "tocsin-status": "500",
            "tocsin-error": "HTTP 500",
            "tocsin-died-at": str(NOW + 5),
        }
        assert headers["tocsin-attempt"] == "3"

    def test_rule_has_its_own_number_of_attempts(self) -> None:
        rules = Rules({"delivery": {"max_attempts": 1}})
        job = take(lane(), 0)
        attempted(clerk(rules).decide(job, NOW))
        assert audited(clerk(rules).settle(job, FAILED, NOW))["reason"] == "exhausted"

    def test_blocked_target_is_dead_at_once(self) -> None:
        outcome = Outcome(Kind.DEAD, NOW, reason=Reason.BLOCKED, stage=Stage.CONNECT, error="why")
        entry = clerk().settle(self.job(), outcome, NOW)
        assert audited(entry)["reason"] == "blocked"
        assert texts(elsewhere(entry).headers)["tocsin-reason"] == "blocked"

    def test_retry_after_is_followed_and_the_record_takes_the_longest_tier_that_fits(self) -> None:
        asked = Outcome(Kind.FAILED, NOW, 1, stage=Stage.STATUS, status=503, retry_after="90")
        moved = elsewhere(clerk().settle(self.job(), asked, NOW))
        assert moved.topic == "retry.1m"
        assert texts(moved.headers)["tocsin-not-before"] == str(NOW + 90_000)

    def test_redelivered_job_loses_the_headers_of_its_death(self) -> None:
        job = self.job(attempt=3, others=(("tocsin-reason", b"exhausted"), ("own", b"1")))
        dead = elsewhere(clerk().settle(job, FAILED, NOW))
        assert [name for name, _ in dead.headers].count("tocsin-reason") == 1
        assert texts(dead.headers)["own"] == "1"

    def test_no_record_shows_the_path_of_the_target(self) -> None:
        for attempt in (1, 3):
            for record in clerk().settle(self.job(attempt=attempt), FAILED, NOW).records:
                assert b"credential" not in (record.value or b"")
                assert "credential" not in str(record.headers)


class TestNextStep:
    def test_due_job_goes_on(self) -> None:
        assert clerk().next_step(take(lane(), 0), NOW) is None

    def test_job_that_is_nearly_due_waits_in_memory(self) -> None:
        job = take(lane(), 0, not_before_ms=NOW + 4_000)
        assert clerk().next_step(job, NOW) == Wait(NOW + 4_000)

    def test_job_hops_to_the_longest_tier_that_fits(self) -> None:
        job = take(lane(partition=2), 0, not_before_ms=NOW + 59_000)
        step = clerk().next_step(job, NOW)
        assert isinstance(step, Entry)
        (moved,) = step.records
        assert (moved.topic, moved.partition, step.outcome) == ("retry.5s", 2, None)
        assert dict(moved.headers) == dict(job.headers.encode())

    def test_record_rests_in_its_tier(self) -> None:
        job = take(lane("retry.1m", tier_ms=60_000), 0, not_before_ms=NOW + 3_600_000)
        assert clerk().next_step(job, NOW + 1) == Wait(NOW + 60_000)


class TestWritten:
    def shown(self, *entries: Entry) -> list[str]:
        metrics = Metrics("1")
        counting = Clerk(POLICY, Rules({}), Resolver(KeyRing.parse([]), References({})), metrics)
        for entry in entries:
            counting.reports.written([entry])
        return [
            line
            for line in generate_latest(metrics.registry).decode().splitlines()
            if not line.startswith("#") and not line.endswith(" 0.0")
        ]

    def test_outcomes_are_counted_with_their_times(self) -> None:
        jobs = lane()
        delivered = Outcome(Kind.DELIVERED, NOW + 900, 100, status=200)
        shown = self.shown(
            Entry(jobs, [], delivered, NOW), Entry(jobs, [], FAILED, NOW), Entry(jobs, [], None, NOW)
        )
        assert 'tocsin_attempts_total{outcome="delivered",reason=""} 1.0' in shown
        assert 'tocsin_attempts_total{outcome="failed",reason=""} 1.0' in shown
        assert "tocsin_event_to_delivery_seconds_sum 1.0" in shown
        assert "tocsin_delivery_duration_seconds_count 2.0" in shown

    def test_every_reason_of_a_death_or_cancellation_has_its_series(self) -> None:
        jobs = lane()
        dead = (Reason.EXHAUSTED, Reason.GONE, Reason.REFUSED, Reason.EXPIRED, Reason.BLOCKED)
        for reason in Reason:
            kind = Kind.DEAD if reason in dead else Kind.CANCELLED
            line = f'tocsin_attempts_total{{outcome="{kind}",reason="{reason}"}} 1.0'
            assert line in self.shown(Entry(jobs, [], Outcome(kind, NOW, reason=reason)))

    def test_records_that_were_no_jobs_are_counted(self) -> None:
        entry = clerk().unreadable(lane(), FakeRecord(b"x"), "no job", NOW)
        assert "tocsin_jobs_unreadable_total 1.0" in self.shown(entry)


def test_muting_ends_by_itself() -> None:
    until = datetime.fromtimestamp(NOW / 1000, UTC) + timedelta(seconds=1)
    rules = Rules({"muted_until": until.isoformat()})
    assert isinstance(clerk(rules).decide(take(lane(), 0), NOW + SECOND - 1), Entry)
    assert isinstance(clerk(rules).decide(take(lane(), 0), NOW + SECOND), Attempt)
