"""`tocsin run all`: an event goes in, a signed webhook comes out, from one process."""

import json

from standardwebhooks import Webhook

from tests.support.brokers import Broker
from tests.support.installation import Installation
from tests.support.processes import Spawn
from tests.support.receiver import Answer, Receiver
from tests.support.records import Record, produce
from tests.support.topics import create_topic
from tests.support.waiting import wait_until

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
TRACE = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"


def test_one_process_turns_events_into_webhooks(
    broker: Broker, prefix: str, spawn: Spawn, receiver: Receiver
) -> None:
    create_topic(broker.bootstrap, f"{prefix}event-log", 2)
    with Installation(broker.bootstrap, prefix, sender={"retry_schedule": ["1s"]}) as here:
        here.put_rule(
            7, receiver.url(), name="Größe & <b>", filter_message_regex="(?i)failed", action_secret=SECRET
        )
        receiver.answer("/hook", Answer(503))
        both = spawn("run", "all", settings=here.settings()).wait_ready()
        event = b'{"severity":"error", "message":"deploy FAILED", "n":1e2}'
        records = [Record(event, headers=[("traceparent", TRACE.encode())]), Record(b'{"message":"fine"}')]
        produce(broker.bootstrap, f"{prefix}event-log", records)
        first, second = receiver.wait_for(2)
        assert first.webhook_id == second.webhook_id
        assert [request.headers["webhook-attempt"] for request in (first, second)] == ["1", "2"]
        assert {request.headers["traceparent"] for request in (first, second)} == {TRACE}
        for request in (first, second):
            body = Webhook(SECRET).verify(request.body.decode(), dict(request.headers))
            assert body == json.loads(request.body)
        assert body == {
            "type": "event_trigger",
            "trigger_id": 7,
            "trigger_name": "Größe & <b>",
            "event": json.loads(event),
            "timestamp": body["timestamp"],
        }
        assert list(body) == ["type", "trigger_id", "trigger_name", "event", "timestamp"]
        assert event in second.body
        assert "Größe & <b>".encode() in second.body

        wait_until(lambda: len(here.audit()) == 2, 10, "both attempts are audited")
        assert [record["outcome"] for record in here.audit()] == ["failed", "delivered"]
        checks = json.loads(both.get("/readyz")[1])["checks"]
        assert {name.partition(".")[0] for name in checks} >= {"matcher", "sender"}
        assert set(checks.values()) == {None}
        assert both.metric("tocsin_events_total", outcome="matched") == 1
        assert both.metric("tocsin_jobs_total") == 1
        wait_until(lambda: both.metric("tocsin_attempts_total", outcome="delivered") == 1)
        status = both.status()
        assert status["role"] == "all"
        assert status["sender"]["partitions"] == [0]
        assert both.stop() == 0
