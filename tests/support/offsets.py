"""What groups have committed, asked and set from outside."""

from collections.abc import Mapping

from confluent_kafka import ConsumerGroupTopicPartitions, TopicPartition
from confluent_kafka.admin import AdminClient, OffsetSpec

from processor.kafka.records import Commit, Position
from tests.support.topics import topic_partitions

TIMEOUT = 30.0

_LATEST: OffsetSpec = OffsetSpec.latest()  # type: ignore[no-untyped-call]


def committed(bootstrap: str, group: str, topic: str) -> dict[int, Commit]:
    """What the group has committed for the topic, by partition."""
    partitions = [TopicPartition(topic, number) for number in range(topic_partitions(bootstrap, topic))]
    request = ConsumerGroupTopicPartitions(group, partitions)
    admin = _admin(bootstrap)
    ((_, future),) = admin.list_consumer_group_offsets([request]).items()
    found = future.result(TIMEOUT).topic_partitions
    return {p.partition: Commit(p.offset, p.metadata or "") for p in found if p.offset >= 0}


def lag(bootstrap: str, group: str, topic: str) -> int:
    """Offsets from the group's commits to the topic's ends, transaction markers counted."""
    numbers = range(topic_partitions(bootstrap, topic))
    asked = {TopicPartition(topic, number): _LATEST for number in numbers}
    admin = _admin(bootstrap)
    ends = {p.partition: future.result(TIMEOUT).offset for p, future in admin.list_offsets(asked).items()}
    commits = committed(bootstrap, group, topic)
    return sum(ends[number] - commits.get(number, Commit(0)).next_offset for number in numbers)


def set_commits(bootstrap: str, group: str, commits: Mapping[Position, Commit]) -> None:
    """Commit for a group that has no members."""
    listed = [TopicPartition(p.topic, p.partition, c.next_offset, c.metadata) for p, c in commits.items()]
    request = ConsumerGroupTopicPartitions(group, listed)
    admin = _admin(bootstrap)
    ((_, future),) = admin.alter_consumer_group_offsets([request]).items()
    for answer in future.result(TIMEOUT).topic_partitions:
        assert answer.error is None, answer


def delete_before(bootstrap: str, position: Position, offset: int) -> None:
    """Delete the records of a partition below `offset`, as its retention would."""
    below = TopicPartition(position.topic, position.partition, offset)
    admin = _admin(bootstrap)
    ((_, future),) = admin.delete_records([below]).items()
    future.result(TIMEOUT)


def _admin(bootstrap: str) -> AdminClient:
    """To be held until the futures of its calls have answered: they fail with it."""
    return AdminClient({"bootstrap.servers": bootstrap, "log_level": 0})
