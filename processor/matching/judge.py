"""One event record in, its jobs or its dead letter out. Pure: the time of the match is passed in."""

from __future__ import annotations

from typing import Final, NamedTuple

from processor.events import EventDecoder, Unreadable
from processor.jobs import EventJobs, checked_traceparent
from processor.kafka.records import InRecord, OutRecord, Position, headers_of
from processor.matching.batch import Outcome
from processor.matching.engine import RuleSet

REASON: Final = "tocsin-reason"
EVENT_TOPIC: Final = "tocsin-event-topic"
EVENT_PARTITION: Final = "tocsin-event-partition"
EVENT_OFFSET: Final = "tocsin-event-offset"

_OURS = frozenset({REASON, EVENT_TOPIC, EVENT_PARTITION, EVENT_OFFSET})

TOO_LARGE: Final = "too_large"


class Version(NamedTuple):
    """The rule table that events are judged by."""

    rules: RuleSet
    topic_id: str
    next_offset: int


class Judgement(NamedTuple):
    """What becomes of one event."""

    records: list[OutRecord]
    outcome: Outcome
    repaired: bool = False
    wrong_types: int = 0
    reason: str = ""
    """Why it is dead."""


class Judge:
    """Knows how to read events and where jobs and dead letters go."""

    def __init__(self, decoder: EventDecoder, jobs_topic: str, dead_topic: str) -> None:
        self._decoder = decoder
        self._jobs_topic = jobs_topic
        self._dead_topic = dead_topic

    def judge(
        self, record: InRecord, position: Position, topic_id: str, version: Version, now_ms: int
    ) -> Judgement:
        """`topic_id`: of the event's topic; `now_ms`: the time of the match, ms since 1970."""
        event = self._decoder.decode(record.value())
        if isinstance(event, Unreadable):
            letter = self._letter(record, position, event.reason, record.value())
            return Judgement([letter], "dead", reason=event.reason)
        fired = version.rules.match(event)
        if not fired:
            return Judgement([], "unmatched", event.repaired, event.wrong_types)
        jobs = EventJobs(
            topic=position.topic,
            topic_id=topic_id,
            partition=position.partition,
            offset=record.offset() or 0,
            rules_topic_id=version.topic_id,
            rules_offset=version.next_offset,
            matched_at_ms=now_ms,
            traceparent=_traceparent(record),
        )
        body, topic = event.body, self._jobs_topic
        return Judgement(
            [OutRecord(topic, *jobs.job(rule.jobs, body)) for rule in fired],
            "matched",
            event.repaired,
            event.wrong_types,
        )

    def too_large(self, record: InRecord, position: Position, refused: OutRecord) -> OutRecord:
        """The dead letter of an event of which `refused` can't be written: without its value.

        If that was what is refused, without the event's key and headers too, and that fits anywhere.
        """
        if refused.topic == self._dead_topic and refused.value is None:
            return OutRecord(self._dead_topic, None, None, _origin(record, position, TOO_LARGE))
        return self._letter(record, position, TOO_LARGE, None)

    def _letter(self, record: InRecord, position: Position, reason: str, value: bytes | None) -> OutRecord:
        """The event, untouched, with the reason and its origin."""
        headers = [header for header in headers_of(record) if header[0] not in _OURS]
        return OutRecord(
            self._dead_topic, record.key(), value, [*headers, *_origin(record, position, reason)]
        )


def _origin(record: InRecord, position: Position, reason: str) -> list[tuple[str, bytes]]:
    return [
        (REASON, reason.encode()),
        (EVENT_TOPIC, position.topic.encode()),
        (EVENT_PARTITION, b"%d" % position.partition),
        (EVENT_OFFSET, b"%d" % (record.offset() or 0)),
    ]


def _traceparent(record: InRecord) -> str | None:
    for name, value in headers_of(record):
        if name == "traceparent":
            return checked_traceparent(value)
    return None
