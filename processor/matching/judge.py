"""One event record in, its jobs or its dead letter out. Pure: the time of the match is passed in."""

from __future__ import annotations

from typing import NamedTuple

from processor.events import EventDecoder, Unreadable
from processor.jobs import EventJobs, checked_traceparent
from processor.kafka.records import InRecord, OutRecord, Position
from processor.matching.batch import Outcome
from processor.matching.engine import RuleSet


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
            return Judgement([self.dead_letter(record, position, event.reason)], "dead", reason=event.reason)
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

    def dead_letter(
        self, record: InRecord, position: Position, reason: str, *, keep_value: bool = True
    ) -> OutRecord:
        """The event, untouched, with the reason and its origin; without its value if that is what doesn't fit."""
        return OutRecord(
            self._dead_topic,
            record.key(),
            record.value() if keep_value else None,
            [
                ("tocsin-reason", reason.encode()),
                ("tocsin-event-topic", position.topic.encode()),
                ("tocsin-event-partition", b"%d" % position.partition),
                ("tocsin-event-offset", b"%d" % (record.offset() or 0)),
                *(record.headers() or []),
            ],
        )


def _traceparent(record: InRecord) -> str | None:
    for name, value in record.headers() or ():
        if name == "traceparent":
            return checked_traceparent(value)
    return None
