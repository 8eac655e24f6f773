"""One event record in, its jobs or its dead letter out. Pure: the time of the match is passed in.

In two steps, because most events fire nothing: `look` is what every event costs, `judge` what comes of those
at which it has seen something.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple

from processor.events import Event, EventDecoder, Unreadable
from processor.jobs import EventJobs, checked_traceparent
from processor.kafka.records import InRecord, OutRecord, Position, headers_of
from processor.matching.batch import Outcome
from processor.matching.engine import RuleSet
from processor.matching.rule import CompiledRule

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


class Seen(NamedTuple):
    """An event that fires something, or that can be read but not as it is."""

    event: Event
    fired: Sequence[CompiledRule]


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

    def look(self, values: Sequence[bytes | None], rules: RuleSet) -> Iterator[tuple[int, Seen | Unreadable]]:
        """Look at many events: those that fire or have anything unusual, by their place among them."""
        usual = self._decoder.texts_of(values)
        if usual is None:
            yield from self._look_at_each(values, rules)
            return
        for place, fired in rules.among(usual, values):
            texts = usual[place]
            event = Event(texts.severity, texts.source, texts.message, values[place] or b"", False, 0)
            yield place, Seen(event, fired)

    def _look_at_each(
        self, values: Sequence[bytes | None], rules: RuleSet
    ) -> Iterator[tuple[int, Seen | Unreadable]]:
        for place, value in enumerate(values):
            event = self._decoder.decode(value)
            if isinstance(event, Unreadable):
                yield place, event
                continue
            fired = rules.match(event)
            if fired or event.repaired or event.wrong_types:
                yield place, Seen(event, fired)

    def judge(  # noqa: PLR0917 - called for every hit; names would cost
        self,
        seen: Seen | Unreadable,
        record: InRecord,
        position: Position,
        topic_id: str,
        version: Version,
        now_ms: int,
    ) -> Judgement:
        """What becomes of the event of which this has been seen.

        `topic_id`: of the event's topic; `version`: whose rules looked; `now_ms`: the time of the match, ms
        since 1970.
        """
        if isinstance(seen, Unreadable):
            letter = self._letter(record, position, seen.reason, record.value())
            return Judgement([letter], "dead", reason=seen.reason)
        event, fired = seen
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
