"""The fixtures that every other test on a broker trusts."""

import pytest

from tests.support.brokers import Broker, answers
from tests.support.records import Record, produce, read_all
from tests.support.topics import create_topic, grow_topic, topic_names, topic_partitions


def test_what_was_produced_is_read_back_in_order(broker: Broker, prefix: str) -> None:
    create_topic(broker.bootstrap, f"{prefix}t", 2)
    records = [Record(b"%d" % n, b"k", [("h", b"v")], partition=n % 2) for n in range(10)]

    places = produce(broker.bootstrap, f"{prefix}t", records)

    assert places == [(n % 2, n // 2) for n in range(10)]
    found = read_all(broker.bootstrap, f"{prefix}t")
    assert [r.value for r in found if r.partition == 1] == [b"1", b"3", b"5", b"7", b"9"]
    assert {(r.key, r.header("h")) for r in found} == {(b"k", "v")}


def test_an_empty_topic_is_read_to_its_end(broker: Broker, prefix: str) -> None:
    create_topic(broker.bootstrap, f"{prefix}t", 3)

    assert read_all(broker.bootstrap, f"{prefix}t") == []


def test_a_grown_topic_has_its_new_partitions(broker: Broker, prefix: str) -> None:
    create_topic(broker.bootstrap, f"{prefix}t", 1)

    grow_topic(broker.bootstrap, f"{prefix}t", 3)

    assert topic_partitions(broker.bootstrap, f"{prefix}t") == 3


def test_two_tests_never_share_a_prefix(broker: Broker, prefix: str) -> None:
    assert not [name for name in topic_names(broker.bootstrap) if name.startswith(prefix)]


@pytest.mark.parametrize("end", ["restart", pytest.param("kill", marks=pytest.mark.real_kafka)])
def test_a_restarted_broker_keeps_its_address_and_its_data(own_broker: Broker, prefix: str, end: str) -> None:
    create_topic(own_broker.bootstrap, f"{prefix}t")
    produce(own_broker.bootstrap, f"{prefix}t", [b"before"])
    address = own_broker.bootstrap

    if end == "restart":
        own_broker.restart()
    else:
        own_broker.kill()
        assert not answers(address)
        own_broker.start()

    assert own_broker.bootstrap == address
    produce(own_broker.bootstrap, f"{prefix}t", [b"after"])
    assert [r.value for r in read_all(own_broker.bootstrap, f"{prefix}t")] == [b"before", b"after"]


def test_a_stopped_broker_answers_nobody(own_broker: Broker) -> None:
    own_broker.stop()

    assert not answers(own_broker.bootstrap)
