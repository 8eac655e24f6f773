"""What becomes of a job by what its receiver does: attempts, retries, dead letters and their audit."""

import json
from collections.abc import Iterator
from itertools import pairwise

import pytest
from standardwebhooks import Webhook

from processor import __version__
from tests.support.brokers import Broker
from tests.support.installation import headers_of, now_ms
from tests.support.receiver import Answer
from tests.support.sender_site import SenderSite, sender_site
from tests.support.waiting import wait_until

FAIL = Answer(500, body=b"out of order")
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"

AUDIT_FIELDS = [
    *("job_id", "rule_id", "rule_uid", "rule_name", "attempt", "outcome", "reason", "stage", "status"),
    *("started_at_ms", "duration_ms", "origin", "next_attempt_at_ms", "error", "snippet"),
]


@pytest.fixture(scope="module")
def site(broker: Broker, tmp_path_factory: pytest.TempPathFactory) -> Iterator[SenderSite]:
    with sender_site(
        broker,
        tmp_path_factory.mktemp("sender"),
        topics={"partitions": 2},
        sender={"retry_schedule": ["1s", "2s"]},
    ) as running:
        yield running


def test_job_is_delivered_with_body_headers_and_signature(site: SenderSite) -> None:
    hook = site.hook()
    site.here.put_rule(hook.rule_id, hook.url, action_secret=SECRET)
    job = site.here.add_job(hook.rule_id)
    (request,) = site.receiver.wait_for(1, path=hook.path)
    (record,) = site.here.wait_audit(job, "delivered")
    assert (request.method, request.body, request.webhook_id) == ("POST", job.record.value, job.id)
    assert Webhook(SECRET).verify(request.body.decode(), dict(request.headers)) == json.loads(request.body)
    assert request.headers["content-type"] == "application/json"
    assert request.headers["user-agent"] == f"Tocsin/{__version__}"
    assert request.headers["webhook-attempt"] == "1"
    assert list(record) == AUDIT_FIELDS
    assert record["started_at_ms"] // 1000 == int(request.headers["webhook-timestamp"])
    assert record | {"started_at_ms": 0, "duration_ms": 0} == {
        "job_id": job.id,
        "rule_id": hook.rule_id,
        "rule_uid": "",
        "rule_name": f"rule-{hook.rule_id}",
        "attempt": 1,
        "outcome": "delivered",
        "reason": None,
        "stage": None,
        "status": 200,
        "started_at_ms": 0,
        "duration_ms": 0,
        "origin": site.receiver.url("").rstrip("/"),
        "next_attempt_at_ms": None,
        "error": "",
        "snippet": "",
    }


def test_body_of_the_matcher_reaches_the_receiver_byte_for_byte(site: SenderSite) -> None:
    hook = site.hook()
    site.here.put_rule(hook.rule_id, hook.url)
    event = '{"message":"ünï <b>\\u0001</b>", "n": 1.0e2,  "severity":"error"}'.encode()
    job = site.here.add_job(hook.rule_id, event=event)
    (request,) = site.receiver.wait_for(1, path=hook.path)
    assert request.body == job.record.value
    assert b'"event":' + event in request.body
    assert "webhook-signature" not in request.headers


def test_failing_job_goes_through_its_retry_topics_to_the_dead_letters(site: SenderSite) -> None:
    hook = site.hook()
    site.receiver.answer(hook.path, then=FAIL)
    site.here.put_rule(hook.rule_id, hook.url)
    job = site.here.add_job(hook.rule_id)
    dead = site.here.wait_dead(job)
    requests = site.receiver.requests(hook.path)
    assert [request.headers["webhook-attempt"] for request in requests] == ["1", "2", "3"]
    assert {(request.webhook_id, request.body) for request in requests} == {(job.id, job.record.value)}

    records = site.here.wait_audit(job, "failed", "failed", "dead")
    assert [record["attempt"] for record in records] == [1, 2, 3]
    assert [record["reason"] for record in records] == [None, None, "exhausted"]
    for record in records:
        assert (record["stage"], record["status"]) == ("status", 500)
        assert (record["error"], record["snippet"]) == ("HTTP 500", "out of order")
    waits = [
        record["next_attempt_at_ms"] - record["started_at_ms"] - record["duration_ms"]
        for record in records[:2]
    ]
    assert 1_000 <= waits[0] < 1_500
    assert 2_000 <= waits[1] < 2_700
    assert records[2]["next_attempt_at_ms"] is None
    for earlier, later in pairwise(records):
        assert later["started_at_ms"] >= earlier["next_attempt_at_ms"]

    (first,), (second,) = site.here.moved("1s", job), site.here.moved("2s", job)
    assert {first.partition, second.partition} == {first.partition}
    assert headers_of(first)["tocsin-attempt"] == "2"
    assert headers_of(first)["tocsin-not-before"] == str(records[0]["next_attempt_at_ms"])

    own = dict(job.record.headers)
    headers = headers_of(dead)
    assert (dead.key, dead.value) == (job.record.key, job.record.value)
    assert {name: value for name, value in headers.items() if name not in own} == {
        "tocsin-outcome": "dead",
        "tocsin-reason": "exhausted",
        "tocsin-stage": "status",
        "tocsin-status": "500",
        "tocsin-error": "HTTP 500",
        "tocsin-died-at": headers["tocsin-died-at"],
    }
    assert records[2]["started_at_ms"] <= int(headers["tocsin-died-at"]) <= now_ms()
    kept = {name: value.decode() for name, value in own.items()}
    assert {name: headers[name] for name in own} == kept | {
        "tocsin-attempt": "3",
        "tocsin-not-before": str(records[1]["next_attempt_at_ms"]),
    }


def test_job_that_fails_once_is_delivered_later_under_the_same_id(site: SenderSite) -> None:
    hook = site.hook()
    site.receiver.answer(hook.path, Answer(drop=True))
    site.here.put_rule(hook.rule_id, hook.url)
    job = site.here.add_job(hook.rule_id)
    failed, delivered = site.here.wait_audit(job, "failed", "delivered")
    assert (failed["stage"], failed["status"]) == ("read", None)
    assert delivered["attempt"] == 2
    assert [r.webhook_id for r in site.receiver.requests(hook.path)] == [job.id, job.id]


def test_receiver_that_is_gone_for_good_gets_nothing_more(site: SenderSite) -> None:
    hook = site.hook()
    site.receiver.answer(hook.path, then=Answer(410))
    site.here.put_rule(hook.rule_id, hook.url)
    job = site.here.add_job(hook.rule_id)
    assert headers_of(site.here.wait_dead(job))["tocsin-reason"] == "gone"
    (record,) = site.here.wait_audit(job, "dead")
    assert (record["reason"], record["status"], record["attempt"]) == ("gone", 410, 1)
    assert len(site.receiver.requests(hook.path)) == 1


def test_retry_after_of_the_receiver_is_honoured(site: SenderSite) -> None:
    hook = site.hook()
    site.receiver.answer(hook.path, Answer(503, headers={"Retry-After": "3"}))
    site.here.put_rule(hook.rule_id, hook.url)
    job = site.here.add_job(hook.rule_id)
    first, second = site.receiver.wait_for(2, path=hook.path)
    assert 3.0 <= second.at - first.at < 6.0
    site.here.wait_audit(job, "failed", "delivered")
    assert len(site.here.moved("2s", job)) == 1  # the longest tier that fits, the rest in memory


def test_rule_says_how_often_it_is_tried(site: SenderSite) -> None:
    hook = site.hook()
    site.receiver.answer(hook.path, then=FAIL)
    site.here.put_rule(hook.rule_id, hook.url, delivery={"max_attempts": 1})
    job = site.here.add_job(hook.rule_id)
    (record,) = site.here.wait_audit(job, "dead")
    assert (record["reason"], record["attempt"]) == ("exhausted", 1)


def test_rule_says_when_its_jobs_expire(site: SenderSite) -> None:
    hook = site.hook()
    site.receiver.answer(hook.path, then=FAIL)
    site.here.put_rule(hook.rule_id, hook.url, delivery={"expires_after": "2s"})
    job = site.here.add_job(hook.rule_id)
    dead = site.here.wait_dead(job)
    records = site.here.wait_audit(job, "failed", "failed", "dead")
    matched_at = int(headers_of(dead)["tocsin-matched-at"])
    assert records[1]["next_attempt_at_ms"] == matched_at + 2_000
    assert (records[2]["reason"], records[2]["duration_ms"]) == ("expired", 0)
    assert records[2]["started_at_ms"] >= matched_at + 2_000
    assert len(site.receiver.requests(hook.path)) == 2


def test_rule_says_how_long_an_attempt_may_take(site: SenderSite) -> None:
    hook = site.hook()
    site.receiver.answer(hook.path, then=Answer(delay=20.0))
    site.here.put_rule(hook.rule_id, hook.url, delivery={"timeout": "300ms", "max_attempts": 1})
    job = site.here.add_job(hook.rule_id)
    (record,) = site.here.wait_audit(job, "dead", timeout=10)
    assert (record["stage"], record["status"]) == ("read", None)
    assert record["error"] == "timed out after 0.3s waiting for the answer"
    assert 300 <= record["duration_ms"] < 3_000


def test_receiver_that_answers_and_then_hangs_has_got_it(site: SenderSite) -> None:
    hook = site.hook()
    site.receiver.answer(hook.path, then=Answer(202, hang_after_headers=True))
    site.here.put_rule(hook.rule_id, hook.url)
    job = site.here.add_job(hook.rule_id)
    (record,) = site.here.wait_audit(job, "delivered", timeout=10)
    assert record["status"] == 202


def test_nobody_listening_is_a_failed_connection(site: SenderSite) -> None:
    hook = site.hook()
    site.here.put_rule(hook.rule_id, "http://127.0.0.1:1/x", delivery={"max_attempts": 1})
    (record,) = site.here.wait_audit(site.here.add_job(hook.rule_id), "dead")
    assert (record["reason"], record["stage"], record["status"]) == ("exhausted", "connect", None)
    assert record["error"] == "could not connect to 127.0.0.1:1: connection refused"


@pytest.mark.parametrize("url", ["http://10.1.2.3/path-with-a-key", "http://[fd00::1]:9/path-with-a-key"])
def test_address_that_may_not_be_called_is_blocked_and_the_setting_named(site: SenderSite, url: str) -> None:
    hook = site.hook()
    site.here.put_rule(hook.rule_id, url)
    job = site.here.add_job(hook.rule_id)
    dead = headers_of(site.here.wait_dead(job))
    (record,) = site.here.wait_audit(job, "dead")
    assert (record["reason"], record["stage"], record["attempt"]) == ("blocked", "connect", 1)
    assert "sender.egress.allow_cidrs" in record["error"]
    assert dead["tocsin-reason"] == "blocked"
    assert "sender.egress.allow_cidrs" in dead["tocsin-error"]
    assert "path-with-a-key" not in json.dumps(record) + site.sender.log()


def test_metrics_count_what_is_in_the_audit(site: SenderSite) -> None:
    hook = site.hook()
    site.here.put_rule(hook.rule_id, hook.url)
    before = site.sender.metric("tocsin_attempts_total", outcome="delivered")
    durations = site.sender.metric("tocsin_event_to_delivery_seconds_count")
    jobs = site.here.add_jobs(20, hook.rule_id)
    for job in jobs:
        site.here.wait_audit(job, "delivered")
    # Counted after the commit that makes the audit visible.
    wait_until(
        lambda: site.sender.metric("tocsin_attempts_total", outcome="delivered") == before + 20,
        message="20 more are counted",
    )
    assert site.sender.metric("tocsin_event_to_delivery_seconds_count") == durations + 20
    assert site.sender.metric("tocsin_transactions_total", role="sender", result="committed") > 0
