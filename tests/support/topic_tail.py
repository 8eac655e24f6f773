"""Follows topics while a test runs, so that it can wait for what appears in them."""

import threading
import time
from collections.abc import Callable, Sequence
from typing import Literal, Self, TypeVar

from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaError, KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient

from tests.support.records import Stored, stored
from tests.support.waiting import wait_until

T = TypeVar("T")

LOOK_EVERY = 2.0  # seconds between looks for partitions that were added


class TopicTail:
    """A context manager; a thread reads `topics` from their start, partitions that are added later as well.

    read_committed, so what a sender's transaction wrote shows when that has committed.
    """

    def __init__(
        self,
        bootstrap: str,
        topics: Sequence[str],
        isolation: Literal["read_committed", "read_uncommitted"] = "read_committed",
    ) -> None:
        self._topics = list(topics)
        self._admin = AdminClient({"bootstrap.servers": bootstrap, "log_level": 0})
        self._consumer = Consumer(
            {
                "bootstrap.servers": bootstrap,
                "log_level": 0,
                "group.id": "tests-topic-tail",  # the client insists; nothing joins or commits
                "enable.auto.commit": False,
                "auto.offset.reset": "earliest",
                "isolation.level": isolation,
                "fetch.queue.backoff.ms": 2,
                "fetch.wait.max.ms": 50,
                "reconnect.backoff.max.ms": 500,
            }
        )
        self._records: dict[str, list[Stored]] = {topic: [] for topic in topics}
        self._assigned: set[tuple[str, int]] = set()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="topic tail", daemon=True)
        self._failure: BaseException | None = None

    def records(self, topic: str) -> list[Stored]:
        """What has been read so far, in the order in which it was read."""
        if self._failure is not None:
            raise AssertionError("the tail of the topics broke off") from self._failure
        return list(self._records[topic])

    def wait_for(
        self, topic: str, condition: Callable[[list[Stored]], T], timeout: float = 30.0, what: str = ""
    ) -> T:
        """Wait until `condition` of the topic's records is true, and return its result."""
        return wait_until(
            lambda: condition(self.records(topic)),
            timeout,
            lambda: f"{what} in {topic}, which has {len(self._records[topic])} records",
        )

    def __enter__(self) -> Self:
        self._look_for_partitions()
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join(30)
        self._consumer.close()

    def _run(self) -> None:
        try:
            looked = time.monotonic()
            while not self._stop.is_set():
                for message in self._consumer.consume(1000, 0.05):
                    error = message.error()
                    if error is None:
                        record = stored(message)
                        self._records[record.topic].append(record)
                    elif error.fatal():
                        raise KafkaException(error)
                if time.monotonic() - looked > LOOK_EVERY:
                    looked = time.monotonic()
                    self._look_for_partitions()
        except BaseException as failure:  # noqa: BLE001 - raised on the thread that asks
            self._failure = failure

    def _look_for_partitions(self) -> None:
        """Read what is new; a broker that is away just now is asked again later."""
        try:
            topics = self._admin.list_topics(timeout=10).topics
        except KafkaException as failure:
            if self._assigned and failure.args[0].code() in {KafkaError._TRANSPORT, KafkaError._TIMED_OUT}:
                return
            raise
        found = {(name, number) for name in self._topics for number in topics[name].partitions}
        new = found - self._assigned
        if new:
            self._consumer.incremental_assign(
                [TopicPartition(name, number, OFFSET_BEGINNING) for name, number in sorted(new)]
            )
            self._assigned |= new
