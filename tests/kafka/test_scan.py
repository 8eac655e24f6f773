"""Reading stretches of topics without a group, on a broker."""

import threading
from collections.abc import Iterator

import pytest
from confluent_kafka import Producer

from processor.kafka.cluster import Cluster
from processor.kafka.config import client_config
from processor.kafka.consumer import GroupConsumer
from processor.kafka.errors import BrokerUnavailable, FatalKafkaError
from processor.kafka.partitioner import partition_of
from processor.kafka.records import Commit, OutRecord, Position, position_of
from processor.kafka.scan import Reader, Stretch, read, stretches
from processor.kafka.transaction import TransactionalProducer
from processor.settings import KafkaSettings
from tests.support.brokers import Broker
from tests.support.records import Record, produce
from tests.support.topics import create_topic
from tests.support.waiting import wait_until


@pytest.fixture
def settings(broker: Broker) -> KafkaSettings:
    return KafkaSettings(bootstrap_servers=broker.bootstrap)


@pytest.fixture
def cluster(settings: KafkaSettings) -> Cluster:
    return Cluster(settings, "tests-scan")


@pytest.fixture
def topic(broker: Broker, prefix: str) -> str:
    create_topic(broker.bootstrap, f"{prefix}t", 3)
    return f"{prefix}t"


@pytest.fixture
def open_transaction(broker: Broker, topic: str) -> Iterator[Producer]:
    """A producer with a record in partition 0 that is neither committed nor aborted."""
    producer = Producer(
        {"bootstrap.servers": broker.bootstrap, "transactional.id": f"{topic}-open", "log_level": 0}
    )
    producer.init_transactions(30)
    producer.begin_transaction()
    producer.produce(topic, value=b"open", partition=0)
    producer.flush(30)
    yield producer
    # Ends what a test left open; does nothing after a commit.
    producer.purge()


def values(settings: KafkaSettings, wanted: list[Stretch], patience: float = 30.0) -> list[bytes | None]:
    config = client_config(settings, "tests-scan")
    return sorted(
        (record.value() for batch in read(config, wanted, patience=patience) for record in batch),
        key=lambda value: value or b"",
    )


def test_a_stretch_is_read_from_its_start_to_its_end_and_no_further(
    broker: Broker, settings: KafkaSettings, cluster: Cluster, topic: str
) -> None:
    produce(broker.bootstrap, topic, [Record(b"%d" % n, partition=n % 2) for n in range(10)])
    whole = stretches(cluster, topic)
    assert whole == [Stretch(Position(topic, n), 0, end) for n, end in enumerate((5, 5, 0))]
    produce(broker.bootstrap, topic, [Record(b"later", partition=0)])

    assert values(settings, whole) == [b"%d" % n for n in range(10)]
    assert values(settings, [Stretch(Position(topic, 0), 1, 3)]) == [b"2", b"4"]
    assert values(settings, [Stretch(Position(topic, 2), 0, 0)]) == []


def test_a_stretch_may_begin_at_a_time(
    broker: Broker, settings: KafkaSettings, cluster: Cluster, topic: str
) -> None:
    produce(
        broker.bootstrap, topic, [Record(b"%d" % n, partition=0, timestamp_ms=1000 * n) for n in (1, 2, 3)]
    )

    assert values(settings, stretches(cluster, topic, since_ms=2000)) == [b"2", b"3"]
    assert values(settings, stretches(cluster, topic, partitions=[0], since_ms=9000)) == []


def test_a_topic_that_is_not_there_is_named_with_the_remedy(cluster: Cluster, prefix: str) -> None:
    with pytest.raises(FatalKafkaError, match=r"absent is missing: run `tocsin topics apply`"):
        stretches(cluster, f"{prefix}absent")


def test_the_end_lies_behind_commit_and_abort_markers(
    settings: KafkaSettings, cluster: Cluster, topic: str
) -> None:
    producer = TransactionalProducer(client_config(settings, "tests-scan"), f"{topic}-writer")
    producer.write([OutRecord(topic, None, b"a", [], n) for n in range(3)], {}, None)

    assert values(settings, stretches(cluster, topic)) == [b"a"] * 3


@pytest.mark.real_kafka
@pytest.mark.parametrize("commit", [True, False])
def test_reading_waits_for_what_was_open_at_the_end(
    settings: KafkaSettings, cluster: Cluster, topic: str, open_transaction: Producer, commit: bool
) -> None:
    whole = stretches(cluster, topic)
    found: list[bytes | None] = []
    thread = threading.Thread(target=lambda: found.extend([*values(settings, whole), b"done"]))
    thread.start()
    with pytest.raises(BrokerUnavailable, match=rf"not read to the end \({topic}\[0\]@1\)"):
        values(settings, whole, patience=0.5)
    assert not found

    if commit:
        open_transaction.commit_transaction(30)
    else:
        open_transaction.abort_transaction(30)

    thread.join(30)
    assert found == ([b"open", b"done"] if commit else [b"done"])


def test_a_reader_takes_up_partitions_and_drops_them(
    broker: Broker, settings: KafkaSettings, topic: str
) -> None:
    first, second = Position(topic, 0), Position(topic, 1)
    found: list[tuple[Position, bytes | None]] = []

    with Reader(client_config(settings, "tests-scan")) as reader:

        def take() -> list[tuple[Position, bytes | None]]:
            found.extend((position_of(r), r.value()) for r in reader.fetch(100, 0.1).records)
            return found

        reader.add({first: 0})
        produce(broker.bootstrap, topic, [Record(b"a", partition=0), Record(b"b", partition=1)])
        wait_until(lambda: take() == [(first, b"a")])
        reader.add({second: 0})
        wait_until(lambda: take() == [(first, b"a"), (second, b"b")])
        reader.drop([first])
        produce(broker.bootstrap, topic, [Record(b"c", partition=0), Record(b"d", partition=1)])
        wait_until(lambda: take()[2:] == [(second, b"d")])


def test_producers_put_a_key_where_the_partitioner_says(broker: Broker, prefix: str) -> None:
    create_topic(broker.bootstrap, f"{prefix}seven", 7)
    keys = [b"%d/%d" % (rule, shard) for rule in (1, 70, 2**53 - 1) for shard in range(16)]

    places = produce(broker.bootstrap, f"{prefix}seven", [Record(b"", key) for key in keys])

    assert [partition for partition, _ in places] == [partition_of(key, 7) for key in keys]


def test_a_groups_commits_are_told_without_joining_it(
    settings: KafkaSettings, cluster: Cluster, topic: str
) -> None:
    class Nobody:
        def assigned(self, positions: list[Position]) -> dict[Position, int]:
            return {}

        def revoked(self, positions: list[Position]) -> list[Position]:
            return positions

        lost = revoked

    group = f"{topic}-group"
    first, second = Position(topic, 0), Position(topic, 1)
    assert cluster.group_offsets(group, [first]) == {first: None}
    assert cluster.group_members(group) == 0
    member = GroupConsumer(client_config(settings, "tests-scan"), group, None, Nobody())
    try:
        member.subscribe([topic])
        wait_until(lambda: bool(member.fetch(1, 0.1)) and member.joined)
        member.commit({second: Commit(7, "1;id;AB")})

        assert cluster.group_offsets(group, [first, second]) == {first: None, second: Commit(7, "1;id;AB")}
        assert cluster.group_members(group) == 1
        assert cluster.group_offsets(group, []) == {}
    finally:
        member.close()
