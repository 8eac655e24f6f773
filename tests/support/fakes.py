"""Value objects in the place of what Kafka hands out, for tests of pure code."""

from dataclasses import dataclass, field

from processor.kafka.records import Position

POSITION = Position("event-log", 0)


@dataclass(frozen=True)
class FakeRecord:
    """An InRecord."""

    payload: bytes | None = b"{}"
    at: int = 0
    position: Position = POSITION
    its_key: bytes | None = None
    its_headers: list[tuple[str, str | bytes | None]] = field(default_factory=list)
    milliseconds: int = 1_000

    def topic(self) -> str:
        return self.position.topic

    def partition(self) -> int:
        return self.position.partition

    def offset(self) -> int:
        return self.at

    def key(self) -> bytes | None:
        return self.its_key

    def value(self) -> bytes | None:
        return self.payload

    def headers(self) -> list[tuple[str, str | bytes | None]] | None:
        return self.its_headers or None

    def timestamp(self) -> tuple[int, int]:
        return 1, self.milliseconds


class BadlyNamedHeaders(FakeRecord):
    """What the client does when a header's name isn't UTF-8."""

    def headers(self) -> list[tuple[str, str | bytes | None]] | None:
        raise SystemError("<method 'headers'> returned a result with an exception set")
