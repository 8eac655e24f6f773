"""Consumer groups seen from outside: what they have committed, and setting it."""

import time
from collections.abc import Iterable, Mapping

from confluent_kafka import Consumer, ConsumerGroupTopicPartitions, KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient

from processor.kafka.errors import Kind, classify, error_of
from tests.support.waiting import wait_until

TIMEOUT = 30.0

Offsets = dict[tuple[str, int], int]


class Group:
    """One consumer group."""

    def __init__(self, bootstrap: str, name: str) -> None:
        self.name = name
        self._admin = AdminClient({"bootstrap.servers": bootstrap, "log_level": 0})  # outlives its futures
        # Never joins. (The admin client's list_consumer_group_offsets() crashes while a coordinator comes
        # back: librdkafka 2.16 hands the error to a consumer that isn't there.)
        self._consumer = Consumer(
            {
                "bootstrap.servers": bootstrap,
                "log_level": 0,
                "group.id": name,
                "isolation.level": "read_uncommitted",
                "enable.auto.commit": False,
            }
        )

    def committed(self, places: Iterable[tuple[str, int]]) -> Offsets:
        """What to read next of these partitions; not those without a commit, nor transactions still open."""
        asked = [TopicPartition(topic, number) for topic, number in places]
        deadline = time.monotonic() + TIMEOUT
        while True:
            try:
                found = self._consumer.committed(asked, TIMEOUT)
            except KafkaException as failure:  # the coordinator is coming back
                if time.monotonic() > deadline or classify(error_of(failure)) is not Kind.RETRIABLE:
                    raise
                time.sleep(0.1)
            else:
                return {(p.topic, p.partition): p.offset for p in found if p.offset >= 0}

    def set_committed(self, offsets: Mapping[tuple[str, int], int]) -> None:
        """What `kafka-consumer-groups --reset-offsets` does; the group must be empty."""
        wanted = [TopicPartition(topic, number, offset) for (topic, number), offset in offsets.items()]
        changed = self._admin.alter_consumer_group_offsets(
            [ConsumerGroupTopicPartitions(self.name, wanted)], request_timeout=TIMEOUT
        )
        for partition in changed[self.name].result(TIMEOUT).topic_partitions:
            assert partition.error is None, partition.error

    def members(self) -> int:
        """How many members the group has."""
        found = self._admin.describe_consumer_groups([self.name], request_timeout=TIMEOUT)
        return len(found[self.name].result(TIMEOUT).members)

    def wait_committed(self, ends: Mapping[tuple[str, int], int], timeout: float = 30.0) -> None:
        """Wait until the group has committed all of these ends, or more."""

        def behind() -> Offsets:
            now = self.committed(ends)
            return {place: now.get(place, -1) for place, end in ends.items() if now.get(place, -1) < end}

        wait_until(lambda: not behind(), timeout, lambda: f"{behind()} of {dict(ends)}", every=0.1)

    def wait_empty(self, timeout: float = 30.0) -> None:
        """Wait until the last member has left or was given up."""
        wait_until(lambda: self.members() == 0, timeout, f"group {self.name} is empty")
