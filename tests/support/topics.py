"""Topics of tests: created, grown and deleted, each call waiting until the broker's metadata says so."""

from collections.abc import Mapping

from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewPartitions, NewTopic

from tests.support.waiting import wait_until

TIMEOUT = 30.0


def create_topic(
    bootstrap: str, name: str, partitions: int = 1, config: Mapping[str, str] | None = None
) -> None:
    """Create one topic with one replica, and wait until every partition has a leader."""
    admin = _admin(bootstrap)
    new = NewTopic(name, num_partitions=partitions, replication_factor=1, config=dict(config or {}))
    admin.create_topics([new], request_timeout=TIMEOUT)[name].result(TIMEOUT)
    _wait_for_partitions(admin, name, partitions)


def grow_topic(bootstrap: str, name: str, partitions: int) -> None:
    """Give a topic more partitions: `partitions` in all."""
    admin = _admin(bootstrap)
    admin.create_partitions([NewPartitions(name, partitions)], request_timeout=TIMEOUT)[name].result(TIMEOUT)
    _wait_for_partitions(admin, name, partitions)


def delete_topic(bootstrap: str, name: str) -> None:
    """Delete one topic, and wait until it is gone."""
    admin = _admin(bootstrap)
    admin.delete_topics([name], request_timeout=TIMEOUT)[name].result(TIMEOUT)
    wait_until(lambda: name not in topic_names(bootstrap), TIMEOUT, f"topic {name} is gone")


def delete_topics(bootstrap: str, prefix: str) -> None:
    """Ask the broker to delete every topic whose name starts with `prefix`; they may show for a while."""
    names = [name for name in topic_names(bootstrap) if name.startswith(prefix)]
    if not names:
        return
    admin = _admin(bootstrap)
    for future in admin.delete_topics(names, request_timeout=TIMEOUT).values():
        try:
            future.result(TIMEOUT)
        except KafkaException as error:
            if error.args[0].code() != KafkaError.UNKNOWN_TOPIC_OR_PART:
                raise


def topic_names(bootstrap: str) -> set[str]:
    return set(_admin(bootstrap).list_topics(timeout=TIMEOUT).topics)


def topic_partitions(bootstrap: str, name: str) -> int:
    """How many partitions the topic has; 0 when there is no such topic."""
    topic = _admin(bootstrap).list_topics(name, timeout=TIMEOUT).topics[name]
    return len(topic.partitions)


def _wait_for_partitions(admin: AdminClient, name: str, partitions: int) -> None:
    def ready() -> bool:
        found = admin.list_topics(name, timeout=TIMEOUT).topics[name].partitions
        return len(found) >= partitions and all(p.leader >= 0 for p in found.values())

    wait_until(ready, TIMEOUT, f"topic {name} has {partitions} partitions, each with a leader")


def _admin(bootstrap: str) -> AdminClient:
    return AdminClient({"bootstrap.servers": bootstrap, "log_level": 0})
