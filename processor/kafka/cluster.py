"""Look-ups in the cluster: topics, their settings, their offsets. Changes nothing.

Every call blocks for at most its `timeout` (seconds). What may pass by itself is asked again meanwhile; after
that BrokerUnavailable is raised, and FatalKafkaError for what no waiting mends, such as missing rights.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import Future
from concurrent.futures import TimeoutError as FutureTimeout
from typing import NamedTuple, TypeVar

from confluent_kafka import (
    ConsumerGroupTopicPartitions,
    IsolationLevel,
    KafkaError,
    KafkaException,
    TopicCollection,
    TopicPartition,
)
from confluent_kafka.admin import AdminClient, ConfigResource, OffsetSpec, ResourceType

from processor.kafka.access import denied
from processor.kafka.config import client_config
from processor.kafka.errors import (
    BrokerUnavailable,
    FatalKafkaError,
    Kind,
    NotAllowed,
    classify,
    error_of,
    unauthorized,
)
from processor.kafka.records import Commit, Position
from processor.settings import KafkaSettings

log = logging.getLogger(__name__)

TIMEOUT = 10.0

# The client's stubs leave these two without types.
_LATEST: OffsetSpec = OffsetSpec.latest()  # type: ignore[no-untyped-call]
_EARLIEST: OffsetSpec = OffsetSpec.earliest()  # type: ignore[no-untyped-call]

T = TypeVar("T")
K = TypeVar("K")

_MISSING = frozenset(
    {KafkaError.UNKNOWN_TOPIC_OR_PART, KafkaError._UNKNOWN_TOPIC, KafkaError.GROUP_ID_NOT_FOUND}
)
_NO_ID = "A" * 22  # 16 zero bytes: a broker without topic ids


class TopicInfo(NamedTuple):
    """A topic as it is now. The id is another one when a topic of the same name was deleted and made again.

    It is written as Kafka's tools do (URL-safe base64, 22 characters). A broker without topic ids (KIP-516)
    gives `<cluster id>/<name>`, which tells clusters apart but not a topic that was made again.
    """

    name: str
    id: str
    partitions: int
    replicas: int = 0
    """Of the partition that has fewest; 0 is not known."""


class Cluster:
    """An admin client of its own. Any thread may use it."""

    def __init__(
        self, kafka: KafkaSettings, client_id: str, on_error: Callable[[KafkaError], None] | None = None
    ) -> None:
        """Connects with the first call. `on_error` hears, during calls, what the connections fail at."""
        self._where = kafka.bootstrap_servers
        # It must outlive the futures of its calls, which fail with _DESTROY otherwise; so it is kept here and
        # the calls wait for their futures.
        listening = {} if on_error is None else {"error_cb": on_error}
        self.admin = AdminClient(client_config(kafka, client_id, **listening), logger=log)

    def topics(self, names: Iterable[str] | None = None, *, timeout: float = TIMEOUT) -> dict[str, TopicInfo]:
        """The topics of these names (None: of any name) that exist."""
        deadline = time.monotonic() + timeout
        asked = self._all_names(deadline) if names is None else list(dict.fromkeys(names))
        if not asked:
            return {}
        found = self._each(
            lambda left: self.admin.describe_topics(TopicCollection(asked), request_timeout=left), deadline
        )
        infos: dict[str, TopicInfo] = {}
        for name, topic in found.items():
            # str() of an id is plain base64.
            topic_id = str(topic.topic_id).replace("+", "-").replace("/", "_").rstrip("=")
            if topic_id == _NO_ID:
                topic_id = f"{self.cluster_id(timeout=max(0.1, deadline - time.monotonic()))}/{name}"
            infos[name] = TopicInfo(
                name,
                topic_id,
                len(topic.partitions),
                min((len(one.replicas) for one in topic.partitions), default=0),
            )
        return infos

    def topic(self, name: str, *, timeout: float = TIMEOUT) -> TopicInfo | None:
        """The topic, or None when there is none of that name."""
        return self.topics([name], timeout=timeout).get(name)

    def configs(self, names: Iterable[str], *, timeout: float = TIMEOUT) -> dict[str, dict[str, str]]:
        """The settings in force, defaults included, of those of these topics that exist."""
        resources = [ConfigResource(ResourceType.TOPIC, name) for name in dict.fromkeys(names)]
        if not resources:
            return {}
        found = self._each(
            lambda left: self.admin.describe_configs(resources, request_timeout=left),
            time.monotonic() + timeout,
            operation="DescribeConfigs",
        )
        return {resource.name: _values(entries) for resource, entries in found.items()}

    def broker_config(self, *, timeout: float = TIMEOUT) -> dict[str, str]:
        """The settings of one of the brokers, those that it tells."""
        deadline = time.monotonic() + timeout
        nodes = self._one(lambda left: self.admin.describe_cluster(request_timeout=left), deadline).nodes
        broker = ConfigResource(ResourceType.BROKER, str(nodes[0].id))
        found = self._each(lambda left: self.admin.describe_configs([broker], request_timeout=left), deadline)
        return _values(found[broker])

    def brokers(self, *, timeout: float = TIMEOUT) -> int:
        """How many there are now."""
        described = self._one(
            lambda left: self.admin.describe_cluster(request_timeout=left), time.monotonic() + timeout
        )
        return len(described.nodes)

    def cluster_id(self, *, timeout: float = TIMEOUT) -> str:
        """The cluster's own id."""
        described = self._one(
            lambda left: self.admin.describe_cluster(request_timeout=left), time.monotonic() + timeout
        )
        return str(described.cluster_id)

    def end_offsets(
        self, positions: Iterable[Position], *, committed: bool = False, timeout: float = TIMEOUT
    ) -> dict[Position, int]:
        """The offset the next record will get; with `committed` that of the first open transaction if any."""
        level = IsolationLevel.READ_COMMITTED if committed else IsolationLevel.READ_UNCOMMITTED
        return self._offsets(positions, _LATEST, timeout, level)

    def low_offsets(self, positions: Iterable[Position], *, timeout: float = TIMEOUT) -> dict[Position, int]:
        """The earliest offset that there is."""
        return self._offsets(positions, _EARLIEST, timeout)

    def offsets_for_time(
        self, positions: Iterable[Position], milliseconds: int, *, timeout: float = TIMEOUT
    ) -> dict[Position, int]:
        """The first offset whose record is as late or later (since the epoch); the end where none is."""
        deadline = time.monotonic() + timeout
        asked = list(positions)
        # The end first: a record that comes between the two calls must not be skipped.
        ends = self.end_offsets(asked, timeout=timeout)
        left = max(0.1, deadline - time.monotonic())
        found = self._offsets(asked, OffsetSpec.for_timestamp(milliseconds), left)
        return {position: offset if offset >= 0 else ends[position] for position, offset in found.items()}

    def group_offsets(
        self, group: str, positions: Iterable[Position], *, timeout: float = TIMEOUT
    ) -> dict[Position, Commit | None]:
        """What a group has committed, None where nothing; of a transaction that is still open nothing counts.

        One answer for all of them: no committed transaction is seen in part.
        """
        asked = [TopicPartition(p.topic, p.partition) for p in positions]
        if not asked:
            return {}
        request = [ConsumerGroupTopicPartitions(group, asked)]
        answer = self._each(
            lambda left: self.admin.list_consumer_group_offsets(
                request, require_stable=False, request_timeout=left
            ),
            time.monotonic() + timeout,
            may_miss=False,
        )
        return {
            Position(p.topic, p.partition): Commit(p.offset, p.metadata or "") if p.offset >= 0 else None
            for p in answer[group].topic_partitions
        }

    def group_members(self, group: str, *, timeout: float = TIMEOUT) -> int:
        """How many members a group has now; 0 where there is no such group."""
        found = self._each(
            lambda left: self.admin.describe_consumer_groups([group], request_timeout=left),
            time.monotonic() + timeout,
        )
        return len(found[group].members) if group in found else 0

    def answers(self, timeout: float = 2.0) -> bool:
        """Whether a broker answers within `timeout` seconds."""
        self.admin.poll(0)
        try:
            self.admin.describe_cluster(request_timeout=timeout).result(timeout)
        except (KafkaException, FutureTimeout):
            return False
        return True

    def wait_for_broker(self, timeout: float = TIMEOUT) -> None:
        """Wait until a broker answers; BrokerUnavailable when none does in time."""
        deadline = time.monotonic() + timeout
        while not self.answers(max(0.1, min(2.0, deadline - time.monotonic()))):
            if time.monotonic() >= deadline:
                raise BrokerUnavailable(f"no broker answers at {self._where}")
            time.sleep(0.1)

    def _all_names(self, deadline: float) -> list[str]:
        return self._repeat(lambda left: list(self.admin.list_topics(timeout=left).topics), deadline)

    def _offsets(
        self,
        positions: Iterable[Position],
        spec: OffsetSpec,
        timeout: float,
        level: IsolationLevel = IsolationLevel.READ_UNCOMMITTED,
    ) -> dict[Position, int]:
        asked = {TopicPartition(p.topic, p.partition): spec for p in positions}
        if not asked:
            return {}
        found = self._each(
            lambda left: self.admin.list_offsets(asked, isolation_level=level, request_timeout=left),
            time.monotonic() + timeout,
            may_miss=False,
        )
        return {Position(p.topic, p.partition): int(result.offset) for p, result in found.items()}

    def _one(self, call: Callable[[float], Future[T]], deadline: float) -> T:
        return self._repeat(lambda left: call(left).result(left + 0.5), deadline)

    def _each(
        self,
        call: Callable[[float], Mapping[K, Future[T]]],
        deadline: float,
        *,
        may_miss: bool = True,
        operation: str = "Describe",
    ) -> dict[K, T]:
        """The results of a call that asks for several; with `may_miss` without those that don't exist.

        Raises NotAllowed where one of them needs `operation`.
        """

        def ask(left: float) -> dict[K, T]:
            results: dict[K, T] = {}
            for key, future in call(left).items():
                try:
                    results[key] = future.result(left + 0.5)
                except KafkaException as failure:
                    error = error_of(failure)
                    if (kind := unauthorized(error)) in ("topic", "group"):
                        raise NotAllowed(denied(operation, kind, _name(key))) from None
                    if not may_miss or error.code() not in _MISSING:
                        raise
            return results

        return self._repeat(ask, deadline)

    def _repeat(self, ask: Callable[[float], T], deadline: float) -> T:
        """Call `ask` with the seconds left until it answers, again after what is retriable."""
        pause = 0.05
        while True:
            self.admin.poll(0)  # passes librdkafka's own log lines on
            left = max(0.1, deadline - time.monotonic())
            try:
                return ask(left)
            except FutureTimeout:
                reason = "no answer"
            except KafkaException as failure:
                error = error_of(failure)
                if classify(error) is not Kind.RETRIABLE:
                    raise FatalKafkaError(error.str()) from None
                reason = error.str()
            if time.monotonic() + pause >= deadline:
                raise BrokerUnavailable(f"{self._where}: {reason}")
            time.sleep(pause)
            pause = min(pause * 2, 0.5)


def _name(key: object) -> str:
    """Of the topic or group that a call asked about, by the key of its answer."""
    if isinstance(key, TopicPartition):
        return str(key.topic)
    return str(key.name) if isinstance(key, ConfigResource) else str(key)


def _values(entries: Mapping[str, object]) -> dict[str, str]:
    values = {name: getattr(entry, "value", None) for name, entry in entries.items()}
    return {name: str(value) for name, value in values.items() if value is not None}
