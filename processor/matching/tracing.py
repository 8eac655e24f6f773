"""A span for each job that was written, where traces are set."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from processor.jobs import record as job
from processor.kafka.records import Commit, OutRecord, Position
from processor.matching.writer import Producer
from processor.observability.tracing import Attributes, Tracing

_NUMBERS: Final = {
    "tocsin.rule.id": job.RULE_ID,
    "tocsin.event.partition": job.EVENT_PARTITION,
    "tocsin.event.offset": job.EVENT_OFFSET,
}


class TracedProducer:
    """Writes with another producer; each job is a span from its match to the commit.

    OpenTelemetry's conventions for messaging call that a send. The span is made when the commit has
    succeeded: a transaction that is aborted and made again would give each job two.
    """

    def __init__(self, producer: Producer, tracing: Tracing, jobs_topic: str) -> None:
        self._producer = producer
        self._tracing = tracing
        self._topic = jobs_topic
        self._name = f"send {jobs_topic}"

    @property
    def blocked_since(self) -> float | None:
        """The other producer's."""
        return self._producer.blocked_since

    def prepare(self, timeout: float) -> None:
        """The other producer's."""
        self._producer.prepare(timeout)

    def write(
        self, records: Sequence[OutRecord], offsets: Mapping[Position, Commit], group: object | None, /
    ) -> None:
        """Write, and then make the spans. Raises what the other producer raises, and makes none then."""
        self._producer.write(records, offsets, group)
        for record in records:
            if record.topic == self._topic:
                self._trace({name: value or b"" for name, value in record.headers})

    def _trace(self, headers: dict[str, bytes]) -> None:
        traceparent = headers.get(job.TRACEPARENT)
        self._tracing.producer_span(
            self._name,
            self._attributes(headers),
            traceparent=None if traceparent is None else traceparent.decode(),
            without_parent=headers[job.JOB_ID].decode(),
            began_ms=int(headers[job.MATCHED_AT]),
        ).end({})

    def _attributes(self, headers: dict[str, bytes]) -> Attributes:
        return {
            "messaging.system": "kafka",
            "messaging.operation.name": "send",
            "messaging.operation.type": "send",
            "messaging.destination.name": self._topic,
            "messaging.message.id": headers[job.JOB_ID].decode(),
            "tocsin.event.topic": headers[job.EVENT_TOPIC].decode(),
            **{name: int(headers[header]) for name, header in _NUMBERS.items()},
        }
