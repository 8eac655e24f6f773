"""Plain producing and reading for tests: no transactions, no groups, nothing of Tocsin's own."""

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple, cast

from confluent_kafka import (
    OFFSET_BEGINNING,
    Consumer,
    KafkaError,
    KafkaException,
    Message,
    Producer,
    TopicPartition,
)
from confluent_kafka.admin import AdminClient

TIMEOUT = 60.0


class Record(NamedTuple):
    """A record to produce. `partition` None: murmur2 of the key, or any. `timestamp_ms` None: now."""

    value: bytes | None
    key: bytes | None = None
    headers: Sequence[tuple[str, bytes]] = ()
    partition: int | None = None
    timestamp_ms: int | None = None


@dataclass(frozen=True, slots=True)
class Stored:
    """A record as it was read."""

    topic: str
    partition: int
    offset: int
    key: bytes | None
    value: bytes | None
    headers: tuple[tuple[str, bytes], ...]
    timestamp_ms: int

    def header(self, name: str) -> str | None:
        """The text of the last header of that name; None when there is none."""
        return next((value.decode() for key, value in reversed(self.headers) if key == name), None)


def produce(
    bootstrap: str, topic: str, records: Iterable[Record | bytes | None], *, timeout: float = TIMEOUT
) -> list[tuple[int, int]]:
    """Append the records (a bare value is a record without key) and wait for all acknowledgements.

    Returns (partition, offset) of each, in the order given. Raises KafkaException for the first that failed,
    AssertionError when not all are acknowledged within `timeout` seconds.
    """
    producer = Producer(
        {
            "bootstrap.servers": bootstrap,
            "log_level": 0,
            "acks": "all",
            "partitioner": "murmur2_random",
            "linger.ms": 2,
            "message.max.bytes": 20_000_000,
            "queue.buffering.max.messages": 1_000_000,
            "queue.buffering.max.kbytes": 1_000_000,
        }
    )
    places: dict[int, tuple[int, int]] = {}
    errors: list[KafkaError] = []
    count = 0
    for record in records:
        if not isinstance(record, Record):
            record = Record(record)

        def acknowledged(error: KafkaError | None, message: Message, number: int = count) -> None:
            if error is not None:
                errors.append(error)
            else:
                places[number] = (_known(message.partition()), _known(message.offset()))

        producer.produce(
            topic,
            value=record.value,
            key=record.key,
            partition=-1 if record.partition is None else record.partition,
            on_delivery=acknowledged,
            timestamp=record.timestamp_ms or 0,
            headers=list(record.headers),
        )
        count += 1
        if count % 1000 == 0:
            producer.poll(0)
    left = producer.flush(timeout)
    if errors:
        raise KafkaException(errors[0])
    assert left == 0, f"{left} of {count} records to {topic} not acknowledged within {timeout:g} s"
    return [places[number] for number in range(count)]


def read_all(
    bootstrap: str,
    topic: str,
    *,
    isolation: Literal["read_committed", "read_uncommitted"] = "read_committed",
    timeout: float = TIMEOUT,
) -> list[Stored]:
    """Everything in the topic up to its end now, partition by partition in order of offsets.

    With read_committed the end is the first open transaction's first record. AssertionError after `timeout`
    seconds.
    """
    found: list[Stored] = []
    scan(
        bootstrap, topic, lambda message: found.append(stored(message)), isolation=isolation, timeout=timeout
    )
    found.sort(key=lambda record: (record.partition, record.offset))
    return found


def scan(
    bootstrap: str,
    topic: str,
    take: Callable[[Message], object],
    *,
    isolation: Literal["read_committed", "read_uncommitted"] = "read_committed",
    timeout: float = TIMEOUT,
) -> None:
    """Like read_all(), for topics too large to be kept: `take` gets each message, in order per partition."""
    partitions = AdminClient({"bootstrap.servers": bootstrap, "log_level": 0}).list_topics(
        topic, timeout=timeout
    )
    count = len(partitions.topics[topic].partitions)
    assert count, f"there is no topic {topic}"
    consumer = Consumer(
        {
            "bootstrap.servers": bootstrap,
            "log_level": 0,
            "group.id": "tests-read-all",  # the client insists; nothing joins or commits
            "enable.auto.commit": False,
            "auto.offset.reset": "error",
            "isolation.level": isolation,
            "enable.partition.eof": True,
            "fetch.queue.backoff.ms": 2,
            "fetch.wait.max.ms": 10,  # an empty partition says so at once
            "fetch.message.max.bytes": 20_000_000,
        }
    )
    try:
        consumer.assign([TopicPartition(topic, number, OFFSET_BEGINNING) for number in range(count)])
        _read_to_ends(consumer, set(range(count)), topic, timeout, take)
    finally:
        consumer.close()


def _read_to_ends(
    consumer: Consumer,
    open_partitions: set[int],
    topic: str,
    timeout: float,
    take: Callable[[Message], object],
) -> None:
    deadline = time.monotonic() + timeout
    while open_partitions:
        assert time.monotonic() < deadline, (
            f"the ends of {topic} {sorted(open_partitions)} not within {timeout:g} s"
        )
        for message in consumer.consume(1000, 0.2):
            error = message.error()
            if error is None:
                take(message)
            elif error.code() == KafkaError._PARTITION_EOF:
                open_partitions.discard(_known(message.partition()))
            elif not error.retriable():
                raise KafkaException(error)


def stored(message: Message) -> Stored:
    """A consumed message, kept after its consumer is gone."""
    headers = cast("list[tuple[str, bytes | None]]", message.headers() or [])
    return Stored(
        message.topic() or "",
        _known(message.partition()),
        _known(message.offset()),
        message.key(),
        message.value(),
        tuple((name, value or b"") for name, value in headers),
        message.timestamp()[1],
    )


def _known(number: int | None) -> int:
    assert number is not None
    return number
