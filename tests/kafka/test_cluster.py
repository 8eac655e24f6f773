"""Look-ups in a running cluster."""

import time

import pytest

from processor.kafka.cluster import Cluster
from processor.kafka.errors import BrokerUnavailable
from processor.kafka.records import Position
from processor.settings import KafkaSettings
from tests.support.brokers import Broker, free_port
from tests.support.records import Record, produce
from tests.support.topics import create_topic, delete_topic


def cluster_at(bootstrap: str) -> Cluster:
    return Cluster(KafkaSettings(bootstrap_servers=bootstrap), "tests-cluster")


def test_only_topics_that_exist_are_found(broker: Broker, prefix: str) -> None:
    create_topic(broker.bootstrap, f"{prefix}there", 3)
    cluster = cluster_at(broker.bootstrap)

    found = cluster.topics([f"{prefix}there", f"{prefix}absent"])

    assert list(found) == [f"{prefix}there"]
    assert found[f"{prefix}there"].partitions == 3
    assert cluster.topic(f"{prefix}absent") is None
    assert cluster.topics()[f"{prefix}there"] == found[f"{prefix}there"]
    assert cluster.topics([]) == {}


@pytest.mark.real_kafka
def test_a_topic_that_was_made_again_has_another_id(broker: Broker, prefix: str) -> None:
    cluster = cluster_at(broker.bootstrap)
    ids = set()
    for _ in range(3):
        create_topic(broker.bootstrap, f"{prefix}t")
        info = cluster.topic(f"{prefix}t")
        assert info is not None
        ids.add(info.id)
        delete_topic(broker.bootstrap, f"{prefix}t")

    assert len(ids) == 3
    assert all(len(topic_id) == 22 and not set(topic_id) & set("+/=;|") for topic_id in ids)


def test_without_topic_ids_the_cluster_and_the_name_stand_in(broker: Broker, prefix: str) -> None:
    create_topic(broker.bootstrap, f"{prefix}t")
    cluster = cluster_at(broker.bootstrap)

    info = cluster.topic(f"{prefix}t")

    assert info is not None
    if not broker.real:
        assert info.id == f"{cluster.cluster_id()}/{prefix}t"
    assert "AAAAAAAAAAAAAAAAAAAAAA" not in info.id


def test_settings_in_force_are_told_with_their_defaults(broker: Broker, prefix: str) -> None:
    create_topic(broker.bootstrap, f"{prefix}t", config={"max.message.bytes": "2000000"})

    found = cluster_at(broker.bootstrap).configs([f"{prefix}t", f"{prefix}absent"])

    assert list(found) == [f"{prefix}t"]
    assert found[f"{prefix}t"]["max.message.bytes"] == "2000000"
    assert found[f"{prefix}t"]["cleanup.policy"] == "delete"


def test_offsets_of_the_ends_and_of_a_time(broker: Broker, prefix: str) -> None:
    topic = f"{prefix}t"
    create_topic(broker.bootstrap, topic, 2)
    now = int(time.time() * 1000)
    times = [now - 30_000, now - 20_000, now - 10_000]
    produce(broker.bootstrap, topic, [Record(b"x", partition=0, timestamp_ms=at) for at in times])
    cluster = cluster_at(broker.bootstrap)
    first, second = Position(topic, 0), Position(topic, 1)

    assert cluster.low_offsets([first, second]) == {first: 0, second: 0}
    assert cluster.end_offsets([first, second]) == {first: 3, second: 0}
    assert cluster.offsets_for_time([first, second], times[1]) == {first: 1, second: 0}
    assert cluster.offsets_for_time([first], now + 60_000) == {first: 3}
    assert cluster.end_offsets([]) == {}


def test_an_absent_broker_is_said_in_time() -> None:
    bootstrap = f"127.0.0.1:{free_port()}"
    cluster = cluster_at(bootstrap)

    assert not cluster.answers(0.2)
    for call in (
        lambda: cluster.wait_for_broker(0.3),
        lambda: cluster.topic("t", timeout=0.3),
        lambda: cluster.topics(timeout=0.3),
        lambda: cluster.configs(["t"], timeout=0.3),
        lambda: cluster.cluster_id(timeout=0.3),
        lambda: cluster.end_offsets([Position("t", 0)], timeout=0.3),
    ):
        started = time.monotonic()
        with pytest.raises(BrokerUnavailable, match=bootstrap):
            call()
        assert time.monotonic() - started < 3


def test_a_broker_that_comes_is_found(own_broker: Broker) -> None:
    own_broker.stop()
    cluster = cluster_at(own_broker.bootstrap)
    assert not cluster.answers(0.2)

    own_broker.start()

    cluster.wait_for_broker(30)
    assert cluster.cluster_id()
