"""Lanes, jobs and records as values, for tests of the sender's pure modules."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from msgspec.structs import replace

from processor.delivery.lanes import JobInHand, Lane
from processor.delivery.watermark import Watermark
from processor.jobs import JobHeaders, job_id
from processor.kafka.records import Commit, Position
from processor.kafka.starting import metadata_for

NOW = 1_795_428_000_000  # 2026-11-23T10:00:00Z
TOPIC_ID = "T"


def headers(number: int = 1, **changes: Any) -> JobHeaders:
    """The headers of job `number` of rule 7, matched at NOW and due then, `changes` over them."""
    job = JobHeaders(
        job_id=job_id("E", 0, number, 7, "", 0),
        rule_id=7,
        rule_uid="",
        rules_offset=0,
        rules_topic_id="another",
        event_topic="event-log",
        event_partition=0,
        event_offset=number,
        matched_at_ms=NOW,
        attempt=1,
        not_before_ms=NOW,
    )
    return replace(job, **changes)


def lane(topic: str = "webhook-jobs", partition: int = 0, *, tier_ms: int = 0, next_offset: int = 0) -> Lane:
    """A lane that has just been assigned."""
    committed = Commit(next_offset, metadata_for(TOPIC_ID))
    return Lane(Position(topic, partition), TOPIC_ID, tier_ms, Watermark(next_offset), committed)


def take(lane: Lane, offset: int, *, body: bytes = b"{}", **changes: Any) -> JobInHand:
    """Read the job at `offset`, as the loop does."""
    lane.started = True
    assert lane.watermark.take(offset)
    job = JobInHand(lane, offset, b"7/0", body, headers(offset, **changes), NOW)
    lane.take(job)
    return job


@dataclass(frozen=True)
class FakeRecord:
    """A record as the consumer gives it (processor.kafka.records.InRecord)."""

    record_value: bytes | None = b"{}"
    record_headers: Sequence[tuple[str, bytes | None]] = ()
    record_key: bytes | None = b"7/0"
    record_offset: int = 0

    def topic(self) -> str:
        return "webhook-jobs"

    def partition(self) -> int:
        return 0

    def offset(self) -> int:
        return self.record_offset

    def key(self) -> bytes | None:
        return self.record_key

    def value(self) -> bytes | None:
        return self.record_value

    def headers(self) -> list[tuple[str, str | bytes | None]] | None:
        return list(self.record_headers)

    def timestamp(self) -> tuple[int, int]:
        return 1, NOW


def texts(pairs: Sequence[tuple[str, bytes | None]]) -> Mapping[str, str]:
    """Headers as text."""
    return {name: (value or b"").decode() for name, value in pairs}
