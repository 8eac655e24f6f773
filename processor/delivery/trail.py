"""Reading the audit trail: the records that audit.py writes, and which of them are wanted. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import msgspec

from processor.delivery.outcome import Kind, was_attempted
from processor.kafka.records import Headers
from processor.rules.codec import newer_format


class TrailError(ValueError):
    """A record of the audit topic that says nothing this version can read; the text says why."""


class AuditRecord(msgspec.Struct, frozen=True):
    """One attempt or decision, as it was written down: the fields are the contract's, in its order."""

    job_id: str
    rule_id: int
    rule_uid: str
    rule_name: str
    attempt: int
    outcome: str
    reason: str | None
    stage: str | None
    status: int | None
    started_at_ms: int
    duration_ms: int
    origin: str
    next_attempt_at_ms: int | None
    error: str
    snippet: str

    @property
    def attempted(self) -> bool:
        """Whether an attempt was made: this number is used up."""
        return self.outcome in {Kind.DELIVERED, Kind.FAILED} or (
            self.outcome == Kind.DEAD and was_attempted(self.reason)
        )


def read_audit(value: bytes | None, headers: Headers) -> AuditRecord:
    """The record; fields of later versions are left out. Raises TrailError."""
    if newer := newer_format(headers):
        raise TrailError(newer)
    if value is None:
        raise TrailError("the record is empty")
    try:
        return msgspec.json.decode(value, type=AuditRecord)
    except (msgspec.MsgspecError, RecursionError, ValueError) as failure:
        raise TrailError(str(failure)) from None


def attempts_made(trail: Iterable[AuditRecord]) -> int:
    """The number of the last attempt in it, 0 without any."""
    return max((record.attempt for record in trail if record.attempted), default=0)


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which records somebody asks for; what is left out wants any.

    rule: an id, or a name as it was at the time. outcomes: empty for all.
    """

    rule: str | None = None
    job_id: str | None = None
    outcomes: frozenset[str] = frozenset()

    def takes(self, record: AuditRecord) -> bool:
        """Whether the record is wanted."""
        return (
            (self.job_id is None or record.job_id == self.job_id)
            and (self.rule is None or self.rule in {str(record.rule_id), record.rule_name})
            and (not self.outcomes or record.outcome in self.outcomes)
        )


@dataclass(frozen=True, slots=True, order=True)
class Place:
    """Where an audit record stands. Places sort by time: ms since 1970, then partition and offset."""

    at_ms: int
    partition: int
    offset: int


class Newest:
    """The newest records of many, in order; holds little more than it keeps."""

    def __init__(self, limit: int) -> None:
        """`limit`: how many to keep, 0 for all."""
        self._limit = limit
        self._kept: list[tuple[Place, AuditRecord]] = []
        self.left_out = 0

    def add(self, place: Place, record: AuditRecord) -> None:
        """One more, in whatever order they come."""
        self._kept.append((place, record))
        if self._limit and len(self._kept) >= 2 * self._limit + 1_000:
            self._cut()

    def records(self) -> list[tuple[Place, AuditRecord]]:
        """What is kept, oldest first."""
        self._cut()
        return list(self._kept)

    def _cut(self) -> None:
        self._kept.sort(key=lambda kept: kept[0])
        if self._limit and len(self._kept) > self._limit:
            self.left_out += len(self._kept) - self._limit
            del self._kept[: -self._limit]
