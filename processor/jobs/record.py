"""The headers of a job record: everything about a job but its body.

All are ASCII, numbers in decimal. Written by the matcher (build.py, same names), read and rewritten by the
sender at each hop; headers that this version doesn't know travel along unchanged.
"""

import re
from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Final

from msgspec import Struct

from processor.jobs.errors import JobError, NewerFormat

JOB_FORMAT: Final = 1
"""The newest `tocsin-format` this version reads; an absent header means 1."""

FORMAT = "tocsin-format"
JOB_ID = "tocsin-job-id"
RULE_ID = "tocsin-rule-id"
RULE_UID = "tocsin-rule-uid"
RULES_OFFSET = "tocsin-rules-offset"
RULES_TOPIC_ID = "tocsin-rules-topic-id"
EVENT_TOPIC = "tocsin-event-topic"
EVENT_PARTITION = "tocsin-event-partition"
EVENT_OFFSET = "tocsin-event-offset"
MATCHED_AT = "tocsin-matched-at"
ATTEMPT = "tocsin-attempt"
NOT_BEFORE = "tocsin-not-before"
DEFERRALS = "tocsin-deferrals"
FIRST_ATTEMPT = "tocsin-first-attempt"
REDELIVERED = "tocsin-redelivered"
REDELIVERED_AT = "tocsin-redelivered-at"
TRACEPARENT = "traceparent"

_KNOWN: Final = frozenset(
    {
        *(FORMAT, JOB_ID, RULE_ID, RULE_UID, RULES_OFFSET, RULES_TOPIC_ID, EVENT_TOPIC, EVENT_PARTITION),
        *(EVENT_OFFSET, MATCHED_AT, ATTEMPT, NOT_BEFORE, DEFERRALS, TRACEPARENT),
        *(FIRST_ATTEMPT, REDELIVERED, REDELIVERED_AT),
    }
)

_JOB_ID = re.compile(rb"msg_[a-z2-7]{32}")
_TOKEN = re.compile(rb"[\x21-\x7e]*")
# W3C Trace Context, 3.2: version ff and all-zero ids are invalid; later versions may append fields.
_TRACEPARENT = re.compile(
    rb"(?!ff)[0-9a-f]{2}-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}(-[\x21-\x7e]{0,400})?"
)
_MAX_INT64: Final = 2**63 - 1


def checked_traceparent(value: bytes | str | None) -> str | None:
    """An event's `traceparent` header if it is one, else None: a damaged trace must not cost a webhook."""
    if value is None:
        return None
    raw = value if isinstance(value, bytes) else value.encode("utf-8", "surrogateescape")
    return raw.decode("ascii") if _TRACEPARENT.fullmatch(raw) else None


class JobHeaders(Struct, frozen=True, gc=False):
    """A job, as its headers tell it; msgspec.structs.replace makes changed copies.

    rule_uid: empty for a rule of a plain producer. rules_offset, rules_topic_id: the rule table the event was
    judged by. matched_at_ms, not_before_ms: ms since 1970. attempt: the number of the next attempt, from 1.
    deferrals: how often the job was put off without an attempt since its last one. first_attempt: the number
    of the attempt that the present schedule began with. redelivered: how often the job was put back from the
    dead topic, redelivered_at_ms: the last time (0: never). others: headers of other versions, kept as they
    came.
    """

    job_id: str
    rule_id: int
    rule_uid: str
    rules_offset: int
    rules_topic_id: str
    event_topic: str
    event_partition: int
    event_offset: int
    matched_at_ms: int
    attempt: int
    not_before_ms: int
    deferrals: int = 0
    first_attempt: int = 1
    redelivered: int = 0
    redelivered_at_ms: int = 0
    traceparent: str | None = None
    others: tuple[tuple[str, bytes], ...] = ()

    def encode(self) -> list[tuple[str, bytes]]:
        """The record's headers, ready to be produced."""
        headers = [
            (JOB_ID, self.job_id.encode()),
            (RULE_ID, b"%d" % self.rule_id),
            (RULE_UID, self.rule_uid.encode()),
            (RULES_OFFSET, b"%d" % self.rules_offset),
            (RULES_TOPIC_ID, self.rules_topic_id.encode()),
            (EVENT_TOPIC, self.event_topic.encode()),
            (EVENT_PARTITION, b"%d" % self.event_partition),
            (EVENT_OFFSET, b"%d" % self.event_offset),
            (MATCHED_AT, b"%d" % self.matched_at_ms),
            (ATTEMPT, b"%d" % self.attempt),
            (NOT_BEFORE, b"%d" % self.not_before_ms),
        ]
        if self.deferrals:
            headers.append((DEFERRALS, b"%d" % self.deferrals))
        if self.first_attempt > 1:
            headers.append((FIRST_ATTEMPT, b"%d" % self.first_attempt))
        if self.redelivered:
            headers.append((REDELIVERED, b"%d" % self.redelivered))
            headers.append((REDELIVERED_AT, b"%d" % self.redelivered_at_ms))
        if self.traceparent is not None:
            headers.append((TRACEPARENT, self.traceparent.encode()))
        headers.extend(self.others)
        return headers

    @classmethod
    def decode(cls, headers: Iterable[tuple[str, bytes | str | None]] | None) -> "JobHeaders":
        """Reads a record's headers; of a repeated one the last counts, as Kafka's own lastHeader does.

        Raises NewerFormat when a newer version wrote the record, JobError when a header is missing or
        damaged.
        """
        pairs = list(headers or ())
        found = dict(pairs)
        others: tuple[tuple[str, bytes], ...] = ()
        if not found.keys() <= _KNOWN:
            others = tuple((name, _bytes(value)) for name, value in pairs if name not in _KNOWN)
        # Before anything else: a newer format may have moved any of the others.
        if FORMAT in found and (version := _number(found, FORMAT, 1)) > JOB_FORMAT:
            raise NewerFormat(version, JOB_FORMAT)
        raw_id = _raw(found, JOB_ID)
        if not _JOB_ID.fullmatch(raw_id):
            raise JobError(f"job header {JOB_ID} is not a job id: {raw_id[:60]!r}")
        rule_id, rule_uid, rules_offset, rules_topic_id, event_topic, event_partition = _shared(
            *(found.get(name, MISSING) for name in _SHARED)
        )
        return cls(
            raw_id.decode("ascii"),
            rule_id,
            rule_uid,
            rules_offset,
            rules_topic_id,
            event_topic,
            event_partition,
            _number(found, EVENT_OFFSET),
            _number(found, MATCHED_AT),
            _number(found, ATTEMPT, 1),
            _number(found, NOT_BEFORE),
            deferrals=_number(found, DEFERRALS) if DEFERRALS in found else 0,
            first_attempt=_number(found, FIRST_ATTEMPT, 1) if FIRST_ATTEMPT in found else 1,
            redelivered=_number(found, REDELIVERED, 1) if REDELIVERED in found else 0,
            redelivered_at_ms=_number(found, REDELIVERED_AT) if REDELIVERED_AT in found else 0,
            traceparent=checked_traceparent(found[TRACEPARENT]) if TRACEPARENT in found else None,
            others=others,
        )


Found = Mapping[str, bytes | str | None]

MISSING: Final = "\0"
"""In the place of a header that isn't there; no header's text."""

_SHARED: Final = (RULE_ID, RULE_UID, RULES_OFFSET, RULES_TOPIC_ID, EVENT_TOPIC, EVENT_PARTITION)
"""What many jobs have in common."""


@lru_cache(maxsize=4_096)
def _shared(*values: bytes | str | None) -> tuple[int, str, int, str, str, int]:
    """What these six say; remembered, because reading them is half of reading a job."""
    found = {name: value for name, value in zip(_SHARED, values, strict=True) if value != MISSING}
    return (
        _number(found, RULE_ID, 1),
        _token(found, RULE_UID),
        _number(found, RULES_OFFSET),
        _token(found, RULES_TOPIC_ID),
        _token(found, EVENT_TOPIC),
        _number(found, EVENT_PARTITION),
    )


def _bytes(value: bytes | str | None) -> bytes:
    return value if isinstance(value, bytes) else (value or "").encode()


def _raw(found: Found, name: str) -> bytes:
    try:
        value = found[name]
    except KeyError:
        raise JobError(f"job header {name} is missing") from None
    return value if isinstance(value, bytes) else _bytes(value)


def _number(found: Found, name: str, minimum: int = 0) -> int:
    raw = _raw(found, name)
    # bytes.isdigit is ASCII only; one spelling per number, so that equal jobs are equal records
    if raw.isdigit() and len(raw) < 20 and (raw[0] != 0x30 or len(raw) == 1):
        number = int(raw)
        if minimum <= number <= _MAX_INT64:
            return number
    raise JobError(f"job header {name} is not a decimal number from {minimum}: {raw[:60]!r}")


def _token(found: Found, name: str) -> str:
    """Printable ASCII without spaces, possibly empty."""
    raw = _raw(found, name)
    if not _TOKEN.fullmatch(raw):
        raise JobError(f"job header {name} is not printable ASCII: {raw[:60]!r}")
    return raw.decode("ascii")
