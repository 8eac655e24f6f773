"""Traces from the event to the receiver, by processes of their own."""

from tests.support.brokers import Broker
from tests.support.collector import Received, collecting
from tests.support.installation import Installation
from tests.support.processes import Spawn
from tests.support.receiver import Answer, Receiver
from tests.support.records import Record, produce
from tests.support.topics import create_topic

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
PARENT = "00f067aa0ba902b7"


def test_job_and_attempts_are_spans_of_the_events_trace(
    broker: Broker, prefix: str, spawn: Spawn, receiver: Receiver
) -> None:
    create_topic(broker.bootstrap, f"{prefix}event-log", 1)
    with (
        collecting() as collector,
        Installation(
            broker.bootstrap,
            prefix,
            sender={"retry_schedule": ["1s"]},
            telemetry={"otlp_endpoint": collector.url},
        ) as here,
    ):
        here.put_rule(7, receiver.url("/SECRET"))
        receiver.answer("/SECRET", Answer(503))
        both = spawn("run", "all", settings=here.settings()).wait_ready()
        headers = [("traceparent", f"00-{TRACE}-{PARENT}-01".encode())]
        produce(broker.bootstrap, f"{prefix}event-log", [Record(b'{"n":1}', headers=headers)])
        first = receiver.wait_for(2)
        produce(broker.bootstrap, f"{prefix}event-log", [Record(b'{"n":2}')])
        requests = receiver.wait_for(3)
        assert first == requests[:2]
        assert both.stop() == 0  # and what was not sent yet goes out

    def of(job: str, kind: str) -> list[Received]:
        found = [s for s in collector.spans if s.kind == kind and s.attributes["messaging.message.id"] == job]
        return sorted(found, key=lambda span: span.began_ns)

    with_trace, without = requests[0].webhook_id, requests[2].webhook_id
    assert len(collector.spans) == 5
    attempts = of(with_trace, "client")
    assert [span.attributes["http.response.status_code"] for span in attempts] == [503, 200]
    assert [span.traceparent() for span in attempts] == [r.headers["traceparent"] for r in requests[:2]]
    for span in (*of(with_trace, "producer"), *attempts):
        assert (span.trace, span.parent) == (TRACE, PARENT)
        assert span.resource["service.name"] == "tocsin-all"
    (made,), (attempt,) = of(without, "producer"), of(without, "client")
    assert made.trace == attempt.trace != TRACE
    assert attempt.traceparent() == requests[2].headers["traceparent"]
    assert not any(b"SECRET" in span.raw for span in collector.spans)
    assert "SECRET" not in both.log()
