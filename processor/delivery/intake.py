"""From a record of a job topic to a job in hand; what is no job becomes a dead record and costs only itself.

Pure.
"""

from __future__ import annotations

from typing import Final

from processor.delivery.audit import dead_headers
from processor.delivery.lanes import JobInHand, Lane
from processor.delivery.ledger import Entry
from processor.delivery.outcome import Kind, Outcome, Reason, Stage
from processor.jobs import JobError, JobHeaders
from processor.kafka.records import Headers, InRecord, OutRecord, headers_of

RECORD: Final = 64
HEADER: Final = 16
"""Bytes that a record, and each header, need at most besides their texts."""

GROWTH: Final = 1_024
"""Bytes by which a job's record may grow on its way: further digits, and the headers of a dead record."""

DEAD_HEADERS: Final = frozenset(
    name for name, _ in dead_headers(Outcome(Kind.DEAD, 0, reason=Reason.EXHAUSTED), 0)
)


def read_job(lane: Lane, record: InRecord, largest: int) -> JobInHand:
    """The job in a record. `largest`: bytes of the largest record that can be written.

    Raises JobError, NewerFormat.
    """
    found, body = headers_of(record), record.value()
    headers = JobHeaders.decode(found)
    if body is None:
        raise JobError("the job has no body")
    size = _size(record.key(), body, found) + GROWTH
    if size > largest:
        # No matcher's job, since that leaves room. One that couldn't be moved on would stop everything.
        raise JobError(f"the job needs {size} bytes, but the job topics take no more than {largest}")
    return JobInHand(lane, record.offset() or 0, record.key(), body, headers, record.timestamp()[1])


def dead_as_it_is(
    lane: Lane, record: InRecord, error: str, now_ms: int, *, dead_topic: str, largest: int
) -> Entry:
    """The entry that moves a record to the dead letters with what is wrong with it.

    Its value stays behind where it wouldn't fit.
    """
    outcome = Outcome(Kind.DEAD, now_ms, error=error, stage=Stage.RENDER)
    kept = [(name, value) for name, value in headers_of(record) if name not in DEAD_HEADERS]
    headers: Headers = [*kept, *dead_headers(outcome, now_ms)]
    key, value = record.key(), record.value()
    if _size(key, value, headers) > largest:
        value = None
        if _size(key, value, headers) > largest:
            key, headers = None, dead_headers(outcome, now_ms)
    return Entry(lane, [OutRecord(dead_topic, key, value, headers)], unreadable=True)


def _size(key: bytes | None, value: bytes | None, headers: Headers) -> int:
    """Bytes, rather too many than too few."""
    texts = HEADER * len(headers)
    for name, content in headers:
        texts += (len(name) if name.isascii() else len(name.encode())) + len(content or b"")
    return RECORD + len(key or b"") + len(value or b"") + texts
