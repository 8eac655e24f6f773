"""Rules tried and deliveries looked at over the admin API, with a real sender beside it."""

import json
from collections.abc import Iterator
from typing import Any

import msgspec
import pytest
from standardwebhooks import Webhook

from processor.delivery.trail import AuditRecord
from tests.support.admin import READER, TOKENS, Api, serving
from tests.support.brokers import Broker
from tests.support.installation import Installation
from tests.support.processes import Spawn
from tests.support.receiver import Answer, Receiver
from tests.support.records import Record, produce
from tests.support.rules import KEY, fields
from tests.support.topics import create_topic, delete_topic
from tests.support.waiting import wait_until

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"


@pytest.fixture
def here(broker: Broker, prefix: str) -> Iterator[Installation]:
    create_topic(broker.bootstrap, f"{prefix}event-log", 1)
    with Installation(
        broker.bootstrap,
        prefix,
        admin={"listen": "127.0.0.1:0", "tokens": TOKENS},
        secrets={"keys": [KEY]},
        sender={"retry_schedule": ["1s"]},
    ) as installation:
        yield installation


@pytest.fixture
def api(here: Installation) -> Iterator[Api]:
    with serving(here.model) as (served, live):
        wait_until(lambda: live.state()[2] is None, 20, "the table is whole")
        wait_until(lambda: served.get("/deliveries").status == 200, 20, "the audit trail is read")
        yield served


def test_a_test_sends_what_the_sender_would(api: Api, receiver: Receiver) -> None:
    target = receiver.url()
    made = api.post(
        "/trigger-rules",
        fields(
            "t",
            action_target={"secret": target},
            action_secret=SECRET,
            filter_source=["shop"],
            delivery={"headers": {"X-Key": {"secret": "header-value"}}},
        ),
    ).json
    path = f"/trigger-rules/{made['id']}/test"
    receiver.answer("/hook", Answer(418, body=b"short and stout"))
    event = {"severity": "error", "message": "boom", "n": 1}
    refused = api.post(path, {"event": event}).json
    assert (refused["delivered"], refused["status"], refused["stage"]) == (False, 418, "status")
    assert refused["snippet"] == "short and stout"
    tested = api.ask("POST", path)
    assert tested.status == 200
    assert tested.json["delivered"] is True
    assert tested.json["duration_ms"] >= 0
    first, second = receiver.wait_for(2)
    for request, answered in ((first, refused), (second, tested.json)):
        assert request.headers["tocsin-test"] == "true"
        assert request.headers["x-key"] == "header-value"
        assert request.webhook_id == answered["webhook_id"]
        body = Webhook(SECRET).verify(request.body.decode(), dict(request.headers))
        assert list(body) == ["type", "trigger_id", "trigger_name", "event", "timestamp"]
        assert (body["trigger_id"], body["trigger_name"]) == (made["id"], "t")
    assert json.loads(first.body)["event"] == event
    assert json.loads(second.body)["event"]["source"] == "shop"
    assert target not in json.dumps([refused, tested.json])
    for body in ({"event": 7}, {"events": {}}, [], 7):
        assert api.post(path, body).status == 422
    assert api.post("/trigger-rules/999/test", {}).status == 404


def test_a_test_never_reaches_who_should_not_be_called(api: Api, here: Installation) -> None:
    here.put_rule(7, "http://169.254.169.254/latest/meta-data")
    here.put_rule(8, "http://127.0.0.1:9/nobody")
    here.put_rule(9, "http://127.0.0.1:9/x", action_secret={"ref": "env:TOCSIN_SECRET_NOT_THERE"})
    wait_until(lambda: api.get("/trigger-rules/9").status == 200)
    blocked = api.post("/trigger-rules/7/test", {}).json
    assert (blocked["delivered"], blocked["reason"], blocked["stage"]) == (False, "blocked", "connect")
    assert "is a cloud metadata address" in blocked["error"]
    assert api.post("/trigger-rules/8/test", {}).json["stage"] == "connect"
    assert api.post("/trigger-rules/9/test", {}).json["stage"] == "render"


def test_a_draft_is_judged_without_being_written(api: Api) -> None:
    draft = fields("d", filter_severity=["error"], filter_message_regex="(?i)failed")

    def judged(event: dict[str, Any]) -> tuple[bool, str | None]:
        answer = api.with_token(READER).post("/trigger-rules/test", {"rule": draft, "event": event})
        assert answer.status == 200, answer.body
        return answer.json["fires"], answer.json["filter"]

    assert judged({"severity": "error", "message": "deploy FAILED"}) == (True, None)
    assert judged({"severity": "info", "message": "deploy FAILED"}) == (False, "filter_severity")
    assert judged({"severity": "error", "message": "fine"}) == (False, "filter_message_regex")
    assert api.get("/trigger-rules").json["items"] == []
    for body, path in (
        ({"rule": {**draft, "colour": 1}, "event": {}}, "rule.colour"),
        ({"rule": draft}, "event"),
        ({"rule": draft, "event": []}, "event"),
        ({"rule": 7, "event": {}}, "rule"),
    ):
        wrong = api.post("/trigger-rules/test", body)
        assert wrong.status == 422
        assert [error["path"] for error in wrong.json["errors"]] == [path]


def test_deliveries_are_listed_found_and_put_back(
    api: Api, here: Installation, spawn: Spawn, receiver: Receiver
) -> None:
    receiver.answer("/hook", *[Answer(503, body=b"down")] * 2)
    good, bad = (
        api.post("/trigger-rules", fields(name, action_target=receiver.url(path), filter_source=[name])).json
        for name, path in (("good", "/good"), ("bad", "/hook"))
    )
    spawn("run", "all", settings=here.settings(admin={"tokens": {}})).wait_ready()
    events = [Record(json.dumps({"source": name}).encode()) for name in ("good", "bad")]
    produce(here.bootstrap, f"{here.prefix}event-log", events)

    def listed(query: str) -> list[dict[str, Any]]:
        answer = api.get(f"/deliveries?{query}")
        assert answer.status == 200, answer.body
        assert answer.json["complete_since"] is None
        items: list[dict[str, Any]] = answer.json["items"]
        return items

    wait_until(lambda: len(listed("")) == 3, 30, lambda: f"three attempts: {listed('')}")
    assert [item["outcome"] for item in listed("rule=bad")] == ["dead", "failed"]
    assert [item["outcome"] for item in listed(f"rule={good['id']}")] == ["delivered"]
    assert [item["attempt"] for item in listed("outcome=dead")] == [2]
    assert len(listed("since=1h")) == 3
    assert listed("since=2999-01-01T00:00:00Z") == []
    job_id = listed("rule=bad")[0]["job_id"]
    assert len(listed(f"job={job_id}")) == 2
    assert listed(f"job={job_id}") == listed(f"rule={bad['id']}")
    page = api.get("/deliveries?limit=2").json
    rest = api.get(f"/deliveries?limit=2&cursor={page['next']}").json
    assert [*page["items"], *rest["items"]] == listed("")
    assert rest["next"] is None

    job = api.get(f"/deliveries/{job_id}").json
    assert (job["state"], job["why"], job["rule_name"]) == ("dead", "exhausted", "bad")
    assert [attempt["status"] for attempt in job["attempts"]] == [503, 503]
    assert api.get(f"/deliveries/msg_{'a' * 32}").status == 404
    assert api.get("/deliveries/nonsense").status == 404

    assert api.with_token(READER).post(f"/deliveries/{job_id}/redeliver", {}).status == 403
    back = api.ask("POST", f"/deliveries/{job_id}/redeliver")
    assert (back.status, back.json["action"], back.json["reason"]) == (200, "redelivered", "exhausted")
    wait_until(lambda: listed("rule=bad")[0]["outcome"] == "delivered", 30, "it is delivered now")
    assert listed("rule=bad")[0]["attempt"] == 3
    assert api.get(f"/deliveries/{job_id}").json["state"] == "delivered"
    again = api.post(f"/deliveries/{job_id}/redeliver", {})
    assert again.json["action"] == "skipped"
    assert api.post(f"/deliveries/{job_id}/redeliver", {"again": "yes"}).status == 422
    assert api.post(f"/deliveries/msg_{'a' * 32}/redeliver", {}).status == 404

    lags = wait_until(
        lambda: all(lag <= 1 for lag in _lags(api).values()) and _lags(api),
        20,
        lambda: f"no more than a transaction's marker is left: {_lags(api)}",
    )
    assert isinstance(lags, dict)
    assert lags.keys() >= {"event-log", "webhook-jobs", "webhook-jobs.retry.1s"}
    status = api.get("/status").json
    assert status["table"]["valid"] == 2
    assert status["table"]["waiting_for"] is None
    assert [group["members"] for group in status["groups"]] == [1, 1]
    assert all(topic["partitions"] for topic in status["topics"])
    assert status["deliveries"]["records"] == 4
    assert status["sender"] is None


@pytest.mark.real_kafka
def test_an_audit_topic_that_is_made_again_is_read_anew(
    api: Api, here: Installation, caplog: pytest.LogCaptureFixture
) -> None:
    def put(job: str, count: int) -> None:
        made = AuditRecord(
            job, 7, "", "r", 1, "delivered", None, None, 200, 1, 1, "http://a.test", None, "", ""
        )
        records = [Record(msgspec.json.encode(made))] * count
        produce(here.bootstrap, here.topics.deliveries, records)

    def listed() -> list[str] | int:
        answer = api.get("/deliveries")
        return [item["job_id"] for item in answer.json["items"]] if answer.status == 200 else answer.status

    put("msg_old", 3)
    wait_until(lambda: listed() == ["msg_old"] * 3, 20, lambda: f"the old ones: {listed()}")
    delete_topic(here.bootstrap, here.topics.deliveries)
    here.apply_topics()
    put("msg_new", 5)
    wait_until(lambda: listed() == ["msg_new"] * 5, 40, lambda: f"the new ones alone: {listed()}")
    assert api.get("/status").json["deliveries"]["records"] == 5
    said = [r for r in caplog.records if r.message == "the audit topic was deleted and made again"]
    # Some of the new ones may have been seen beside the old ones before that.
    assert [record.fields["forgotten"] >= 3 for record in said] == [True]  # type: ignore[attr-defined]


def _lags(api: Api) -> dict[str, int]:
    groups = api.get("/status").json["groups"]
    lags = {topic: lag for group in groups for topic, lag in group["lag"].items() if lag is not None}
    return {topic.partition(".")[2]: lag for topic, lag in lags.items()}
