"""What this client may do to topics, groups and transactional ids, as the brokers say (KIP-430).

Every call blocks for at most `timeout` seconds and raises BrokerUnavailable and FatalKafkaError.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import Future
from concurrent.futures import TimeoutError as FutureTimeout
from typing import Any, Final, NamedTuple

from confluent_kafka import KafkaError, KafkaException, TopicCollection

from processor.kafka.access import Need, denied
from processor.kafka.cluster import Cluster
from processor.kafka.config import client_config
from processor.kafka.errors import BrokerUnavailable, FatalKafkaError, Kind, classify, error_of
from processor.kafka.transaction import TransactionalProducer
from processor.settings import KafkaSettings

log = logging.getLogger(__name__)

_REFUSED: Final = frozenset({KafkaError.TOPIC_AUTHORIZATION_FAILED, KafkaError.GROUP_AUTHORIZATION_FAILED})
_ABSENT: Final = frozenset(
    {KafkaError.UNKNOWN_TOPIC_OR_PART, KafkaError._UNKNOWN_TOPIC, KafkaError.GROUP_ID_NOT_FOUND}
)


OPERATIONS: Final = {
    "Read": "READ",
    "Write": "WRITE",
    "Create": "CREATE",
    "Describe": "DESCRIBE",
    "DescribeConfigs": "DESCRIBE_CONFIGS",
    "Alter": "ALTER",
    "AlterConfigs": "ALTER_CONFIGS",
}
"""From the names that kafka-acls takes to the client's."""


class Rights(NamedTuple):
    """What may be done to one topic or group.

    `operations` are named as in Kafka's ACLs (READ, WRITE, DESCRIBE, DESCRIBE_CONFIGS, …); None where the
    broker doesn't say, as for one that isn't there.
    """

    exists: bool
    operations: frozenset[str] | None

    def lacks(self, needed: Iterable[str]) -> list[str]:
        """Those of `needed` that are certainly not allowed, in their order."""
        return [] if self.operations is None else [one for one in needed if one not in self.operations]


def topic_rights(cluster: Cluster, names: Iterable[str], timeout: float) -> dict[str, Rights]:
    """The rights to each topic. One that may not even be described counts as there: nobody says."""
    asked = list(dict.fromkeys(names))
    return _ask(
        cluster,
        asked,
        lambda left: cluster.admin.describe_topics(
            TopicCollection(asked), include_authorized_operations=True, request_timeout=left
        ),
        timeout,
    )


def group_rights(cluster: Cluster, names: Iterable[str], timeout: float) -> dict[str, Rights]:
    """The rights to each consumer group."""
    asked = list(dict.fromkeys(names))
    return _ask(
        cluster,
        asked,
        lambda left: cluster.admin.describe_consumer_groups(
            asked, include_authorized_operations=True, request_timeout=left
        ),
        timeout,
    )


def missing(cluster: Cluster, wanted: Iterable[Need], topics: Iterable[str], timeout: float) -> list[str]:
    """What is not allowed of `wanted`, each with what gives it; of prefixes as far as `topics` show it.

    Brokers don't tell of transactional ids: those show when they are claimed.
    """
    wanted = list(wanted)
    named = {(need.kind, need.name) for need in wanted if not need.prefixed}
    named |= {("topic", name) for name in topics if any(need.covers("topic", name) for need in wanted)}
    found: dict[tuple[str, str], Rights] = {}
    for kind, ask in (("topic", topic_rights), ("group", group_rights)):
        names = sorted(name for of, name in named if of == kind)
        found |= {(kind, name): rights for name, rights in ask(cluster, names, timeout).items()}
    said: list[str] = []
    for need in wanted:
        operations = {OPERATIONS[one]: one for one in need.operations}
        lacking = {
            one
            for (kind, name), rights in found.items()
            if need.covers(kind, name)  # type: ignore[arg-type]
            for one in rights.lacks(operations)
        }
        if lacking:
            shown = ", ".join(one for known, one in operations.items() if known in lacking)
            said.append(denied(shown, need.kind, need.name, prefixed=need.prefixed))
    return said


def claim(kafka: KafkaSettings, transactional_id: str, timeout: float) -> float:
    """Claim the id, as every writer does before its first transaction; the seconds it took.

    Whoever holds the id is fenced. Raises TransactionAborted when the transaction coordinator did not answer
    in time, FatalKafkaError without the right to.
    """
    producer = TransactionalProducer(client_config(kafka, transactional_id), transactional_id)
    began = time.monotonic()
    try:
        producer.prepare(timeout)
        return time.monotonic() - began
    finally:
        producer.discard()


def _ask(
    cluster: Cluster,
    names: list[str],
    call: Callable[[float], Mapping[str, Future[Any]]],
    timeout: float,
) -> dict[str, Rights]:
    deadline = time.monotonic() + timeout
    found: dict[str, Rights] = {}
    while names:
        left = max(0.1, deadline - time.monotonic())
        reason = ""
        for name, future in call(left).items():
            try:
                found[name] = Rights(True, _names(future.result(left + 0.5).authorized_operations))
            except FutureTimeout:
                reason = "no answer"
            except KafkaException as failure:
                error = error_of(failure)
                if error.code() in _REFUSED:
                    found[name] = Rights(True, frozenset())
                elif error.code() in _ABSENT:
                    found[name] = Rights(False, None)
                elif classify(error) is Kind.RETRIABLE:
                    reason = error.str()
                else:
                    raise FatalKafkaError(error.str()) from None
        if not reason:
            break
        if time.monotonic() >= deadline:
            raise BrokerUnavailable(reason)
        cluster.admin.poll(0.1)
    return found


def _names(operations: Iterable[Any] | None) -> frozenset[str] | None:
    return None if operations is None else frozenset(operation.name for operation in operations)
