"""A span for each job, made once it is committed."""

from collections.abc import Mapping, Sequence
from datetime import timedelta

import pytest

from processor.jobs import EventJobs, RuleJobs
from processor.kafka.errors import TransactionAborted
from processor.kafka.records import Commit, OutRecord, Position
from processor.lifecycle import Deadline
from processor.matching.tracing import TracedProducer
from processor.observability.tracing import open_tracing
from processor.settings import Settings
from tests.support.collector import collecting

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
PARENT = "00f067aa0ba902b7"
AT = 1_795_428_000_500


def job(offset: int, traceparent: str | None = None) -> OutRecord:
    event = EventJobs(
        topic="event-log",
        topic_id="id",
        partition=2,
        offset=offset,
        rules_topic_id="rules",
        rules_offset=1,
        matched_at_ms=AT,
        traceparent=traceparent,
    )
    return OutRecord("jobs", *event.job(RuleJobs(7, "", "rule", 0), b"{}"))


class Writes:
    """What a producer is to the matcher: this one writes, or aborts, as it is told."""

    blocked_since: float | None = None

    def __init__(self) -> None:
        self.aborts = False
        self.prepared = 0

    def prepare(self, timeout: float) -> None:
        self.prepared += 1

    def write(
        self, records: Sequence[OutRecord], offsets: Mapping[Position, Commit], group: object | None, /
    ) -> None:
        if self.aborts:
            raise TransactionAborted("aborted")


def test_committed_job_is_a_producer_span_of_the_events_trace() -> None:
    with collecting() as collector:
        tracing = open_tracing(
            Settings.model_validate({"telemetry": {"otlp_endpoint": collector.url}}), "matcher", "1.2.3"
        )
        assert tracing is not None
        producer = Writes()
        traced = TracedProducer(producer, tracing, "jobs")
        traced.prepare(1.0)
        records = [
            job(1, f"00-{TRACE}-{PARENT}-01"),
            OutRecord("dead", None, b"x", [("tocsin-reason", None)]),
            job(2),
            job(3, f"00-{TRACE}-{PARENT}-00"),
        ]
        producer.aborts = True
        with pytest.raises(TransactionAborted):
            traced.write(records, {}, None)
        producer.aborts = False
        traced.write(records, {}, None)
        tracing.stop(Deadline(timedelta(seconds=10)))

        first, second = collector.spans
        headers = dict(records[0].headers)
        assert (first.name, first.kind, first.trace, first.parent) == ("send jobs", "producer", TRACE, PARENT)
        assert first.attributes == {
            "messaging.system": "kafka",
            "messaging.operation.name": "send",
            "messaging.operation.type": "send",
            "messaging.destination.name": "jobs",
            "messaging.message.id": (headers["tocsin-job-id"] or b"").decode(),
            "tocsin.rule.id": 7,
            "tocsin.event.topic": "event-log",
            "tocsin.event.partition": 2,
            "tocsin.event.offset": 1,
        }
        assert first.began_ns == AT * 1_000_000
        assert (second.parent, second.attributes["tocsin.event.offset"]) == ("", 2)
        assert second.trace != TRACE
        assert producer.prepared == 1
        assert traced.blocked_since is None
