"""The group member that both roles build on, on a broker."""

from collections.abc import Iterable, Iterator, Mapping

import pytest

from processor.kafka.config import client_config
from processor.kafka.consumer import GroupConsumer
from processor.kafka.errors import TransactionFenced
from processor.kafka.records import Commit, InRecord, OutRecord, Position, position_of
from processor.kafka.transaction import TransactionalProducer
from processor.settings import KafkaSettings
from tests.support.brokers import Broker
from tests.support.records import Record, produce
from tests.support.topics import create_topic
from tests.support.waiting import wait_until

pytestmark = pytest.mark.real_kafka


class Member:
    """A member of the group `<topic>-group` that begins everything at its earliest offset."""

    def __init__(self, broker: Broker, topic: str) -> None:
        self.assignments = 0
        self.records: list[InRecord] = []
        settings = KafkaSettings(bootstrap_servers=broker.bootstrap)
        self.consumer = GroupConsumer(client_config(settings, topic), f"{topic}-group", None, self)
        self.consumer.subscribe([topic])

    def assigned(self, positions: list[Position]) -> Mapping[Position, int] | None:
        self.assignments += 1
        return dict.fromkeys(positions, 0)

    def revoked(self, positions: list[Position]) -> Iterable[Position]:
        return positions

    lost = revoked

    def fetch(self) -> list[InRecord]:
        self.records += self.consumer.fetch(100, 0.1).records
        return self.records


@pytest.fixture
def topic(broker: Broker, prefix: str) -> str:
    name = f"{prefix}topic"
    create_topic(broker.bootstrap, name, 2)
    produce(broker.bootstrap, name, [Record(b"%d" % n, partition=n % 2) for n in range(10)])
    return name


@pytest.fixture
def member(broker: Broker, topic: str) -> Iterator[Member]:
    one = Member(broker, topic)
    yield one
    one.consumer.close()


def test_partition_that_was_paused_when_it_went_is_read_when_it_comes_back(
    broker: Broker, topic: str, member: Member
) -> None:
    wait_until(lambda: len(member.fetch()) == 10, 30)
    everything = [Position(topic, 0), Position(topic, 1)]
    member.consumer.pause(everything)
    other = Member(broker, topic)
    try:
        wait_until(lambda: (member.fetch(), len(other.fetch()) == 5)[1], 30, "the other has one of them")
        (taken,) = {position_of(record) for record in other.records}
    finally:
        other.consumer.close()
    member.records.clear()
    wait_until(lambda: len(member.fetch()) == 5, 30, "it is read where it came back")
    assert {position_of(record) for record in member.records} == {taken}


@pytest.mark.real_kafka
def test_transaction_of_a_member_that_has_left_is_fenced(broker: Broker, topic: str) -> None:
    settings = KafkaSettings(bootstrap_servers=broker.bootstrap)
    gone = Member(broker, topic)
    try:
        wait_until(lambda: len(gone.fetch()) == 10, 30)
        generation = gone.consumer.group_metadata()
    finally:
        gone.consumer.close()
    producer = TransactionalProducer(client_config(settings, topic), f"{topic}-fenced")
    with pytest.raises(TransactionFenced):
        producer.write([OutRecord(topic, None, b"x", [])], {Position(topic, 0): Commit(5)}, generation)
