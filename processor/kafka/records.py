"""What goes to and comes from Kafka, in words that do not depend on the client."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, Protocol

Headers = list[tuple[str, bytes]]


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
    def headers(self) -> list[tuple[str, bytes]] | None: ...

    def timestamp(self) -> tuple[int, int]:
        """(type, milliseconds since the epoch); type 2 is the broker's append time."""
        ...


class Fetched(NamedTuple):
    """What one fetch brought: records in order per partition, and partitions read to their end.

    An end is (partition, offset to read next), which lies past transaction markers that no record shows.
    """

    records: Sequence[InRecord]
    ends: Sequence[tuple[Position, int]]
