"""What goes to and comes from Kafka, in words that do not depend on the client."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, Protocol, cast

Headers = Sequence[tuple[str, bytes | None]]
"""Names and values, in order; a name may come more than once."""


class Position(NamedTuple):
    """One partition of one topic."""

    topic: str
    partition: int

    def __str__(self) -> str:
        return f"{self.topic}[{self.partition}]"


class Commit(NamedTuple):
    """What a group has committed for a partition: the offset to read next, and free text (≤ 4,096 bytes)."""

    next_offset: int
    metadata: str = ""


class OutRecord(NamedTuple):
    """A record to produce; the partition follows from the key (murmur2_random) unless it is given."""

    topic: str
    key: bytes | None
    value: bytes | None
    headers: Headers
    partition: int = -1


class InRecord(Protocol):
    """A record as consumed (confluent_kafka.Message has this shape)."""

    def topic(self) -> str | None: ...
    def partition(self) -> int | None: ...
    def offset(self) -> int | None: ...
    def key(self) -> bytes | None: ...
    def value(self) -> bytes | None: ...

    def headers(self) -> dict[str, str | bytes | None] | list[tuple[str, str | bytes | None]] | None:
        """Not to be called on records of others: headers_of() stands what they may hold."""
        ...

    def timestamp(self) -> tuple[int, int]:
        """(type, milliseconds since the epoch); type 2 is the broker's append time."""
        ...


def position_of(record: InRecord) -> Position:
    """The partition a record was read from."""
    return Position(record.topic() or "", record.partition() or 0)


def place_of(record: InRecord) -> str:
    """`topic[partition]@offset`, for logs."""
    return f"{position_of(record)}@{record.offset()}"


def headers_of(record: InRecord) -> Headers:
    """The record's headers; none when a name of them isn't UTF-8.

    The client raises SystemError then, and gives none of them. (A client that counts characters wrongly
    writes such names; the broker doesn't look at them.)
    """
    try:
        return cast("list[tuple[str, bytes | None]]", record.headers() or [])
    except (SystemError, UnicodeDecodeError):
        return ()


class Fetched(NamedTuple):
    """What one fetch brought: records in order per partition, and partitions read to their end.

    An end is (partition, offset to read next), which lies past transaction markers that no record shows.
    """

    records: Sequence[InRecord]
    ends: Sequence[tuple[Position, int]]
