"""Looks at Tocsin's topics, sets them right, or refuses to work on them. topics.py decides what is right."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterable, Mapping
from concurrent.futures import Future
from concurrent.futures import TimeoutError as FutureTimeout
from typing import Literal, NamedTuple

from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import AlterConfigOpType, ConfigEntry, ConfigResource, ResourceType
from confluent_kafka.cimpl import NewPartitions, NewTopic

from processor.kafka.access import denied
from processor.kafka.cluster import Cluster
from processor.kafka.errors import Kind, classify, error_of, unauthorized
from processor.kafka.topics import (
    Actual,
    Finding,
    Step,
    TopicSpec,
    missing_event_topics,
    plan,
    step_for,
    wanted_topics,
)
from processor.lifecycle import Refused
from processor.settings import Settings

log = logging.getLogger(__name__)

Role = Literal["matcher", "sender", "scanner"]
Action = Literal["created", "updated", "unchanged", "invalid"]

MEND = "run `tocsin topics apply`"
NOT_OURS = "does not exist, and event topics are yours to create (matcher.event_topics)"
NOT_OURS_TO_SCAN = "does not exist, and event topics are yours to create (scanner.event_topic)"
_BEATEN = frozenset({KafkaError.TOPIC_ALREADY_EXISTS, KafkaError.INVALID_PARTITIONS})
"""Somebody else's apply was first, or an own change isn't seen everywhere yet: look again."""


class Row(NamedTuple):
    """What was done to a topic, or is the matter with it."""

    action: Action
    name: str
    id: str | None
    reason: str
    remedy: str = ""
    """What to do about what is the matter, where check() found it."""


def check(settings: Settings, cluster: Cluster) -> list[Row]:
    """Report: each topic unchanged (right) or invalid, with the reason. Changes nothing.

    Raises BrokerUnavailable, FatalKafkaError.
    """
    actual = _look(_all(settings), cluster)
    rows = [
        _checked(step, actual.get(step.spec.name)) for step in plan(wanted_topics(settings, actual), actual)
    ]
    return [*rows, *_event_rows(settings, actual)]


def apply(settings: Settings, cluster: Cluster, timeout: float) -> list[Row]:
    """Create what is missing, add partitions, repair what may be, report the rest; twice changes nothing.

    Each topic is done within `timeout` seconds; one that can't be done (invalid, with the broker's reason)
    holds up no other. Raises BrokerUnavailable, FatalKafkaError when the cluster can't be looked at.
    """
    actual = _look(_all(settings), cluster)
    wanted = wanted_topics(settings, actual)
    rows = [_Applying(settings, cluster, spec, timeout).apply() for spec in wanted]
    return [*rows, *_event_rows(settings, actual)]


def require_topics(settings: Settings, role: Role, cluster: Cluster | None = None) -> None:
    """Return if the topics that `role` works on are there and fit; raise Refused with the remedy if not.

    What breaks no guarantee at once is logged. Looks at no topic that the role has nothing to do with: it may
    have no rights there. Raises BrokerUnavailable (which is worth waiting for), FatalKafkaError.
    """
    cluster = cluster or Cluster(settings.kafka, settings.topics.name(f"{role}-topics"))
    needed = _needed(settings, role)
    actual = _look(needed, cluster)
    if role == "matcher":
        for name in missing_event_topics(settings, actual):
            raise Refused(f"topic {name} {NOT_OURS}")
    if role == "scanner" and settings.scanner.event_topic not in actual:
        raise Refused(f"topic {settings.scanner.event_topic} {NOT_OURS_TO_SCAN}")
    for name in needed:
        if name not in actual:
            raise Refused(f"topic {name} is missing: {MEND}")
    for step in plan(wanted_topics(settings, actual), actual):
        if step.spec.name in needed:
            for finding in step.findings:
                _require(step.spec.name, finding, actual, settings)


def _require(name: str, finding: Finding, actual: Mapping[str, Actual], settings: Settings) -> None:
    text = f"topic {name}: {finding}"
    if finding.remedy == "apply" and not (
        # Fewer partitions than the settings ask for do no harm, a job partition without its retries would.
        finding.what == "partitions" and actual[name].partitions >= _job_partitions(settings, actual, name)
    ):
        raise Refused(f"{text}: {MEND}")
    if finding.remedy == "person" and finding.what == "partitions":
        raise Refused(f"{text}: delete it and {MEND}, or set another topics.prefix")
    if finding.remedy != "none":
        log.warning("%s", text)


def _job_partitions(settings: Settings, actual: Mapping[str, Actual], name: str) -> int:
    """How many partitions the topic must have to work at all."""
    return actual[settings.topics.jobs].partitions if name.startswith(settings.topics.retry_prefix) else 1


def _needed(settings: Settings, role: Role) -> list[str]:
    topics = settings.topics
    if role == "matcher":
        return [topics.rules, topics.jobs, topics.events_dead, *settings.matcher.event_topics]
    if role == "scanner":
        return [topics.scan_rules, topics.scanner_status, settings.scanner.event_topic]
    retries = [topics.retry(delay) for delay in settings.sender.tiers]
    return [topics.rules, topics.jobs, topics.dead, topics.deliveries, *retries]


def _look(names: Iterable[str], cluster: Cluster) -> dict[str, Actual]:
    found = cluster.topics(names)
    configs = cluster.configs(found)
    return {
        name: Actual(info.id, info.partitions, configs[name])
        for name, info in found.items()
        if name in configs
    }


def _all(settings: Settings) -> list[str]:
    return [*settings.output_topics, *settings.matcher.event_topics]


def _checked(step: Step, actual: Actual | None) -> Row:
    reasons = ["missing"] if step.create else [str(finding) for finding in step.findings]
    action: Action = "invalid" if step.wrong else "unchanged"
    return Row(action, step.spec.name, _id(actual), "; ".join(reasons), _remedy(step) if step.wrong else "")


def _remedy(step: Step) -> str:
    if step.create or any(finding.remedy == "apply" for finding in step.findings):
        return MEND
    if any(finding.what == "partitions" and finding.remedy == "person" for finding in step.findings):
        return f"delete it and {MEND}, or set another topics.prefix"
    return f"change it, which `topics apply` never does (kafka-configs --alter --topic {step.spec.name})"


def _event_rows(settings: Settings, actual: dict[str, Actual]) -> list[Row]:
    remedy = "create it, or name the topics your events are in (matcher.event_topics)"
    return [Row("invalid", name, None, NOT_OURS, remedy) for name in missing_event_topics(settings, actual)]


def _id(actual: Actual | None) -> str | None:
    return actual.id if actual is not None else None


def _operation(step: Step) -> str:
    """What the broker has to allow for it."""
    return "Create" if step.create else "Alter" if step.partitions is not None else "AlterConfigs"


class _Applying:
    """One topic, brought to its spec: looked at, changed, looked at again until it shows."""

    def __init__(self, settings: Settings, cluster: Cluster, spec: TopicSpec, timeout: float) -> None:
        self._replicas = settings.topics.replication_factor
        self._cluster = cluster
        self._spec = spec
        self._deadline = time.monotonic() + timeout
        self._done: list[str] = []
        self._created = False

    def apply(self) -> Row:
        reason = ""
        while True:
            actual = self._actual()
            step = step_for(self._spec, actual)
            if not step.create and step.partitions is None and step.config is None:
                return self._row(actual, step)
            if self._left() <= 0:
                return Row("invalid", self._spec.name, _id(actual), f"not done in time{reason}")
            try:
                self._change(step)
            except KafkaException as failure:
                error = error_of(failure)
                if unauthorized(error) is not None:
                    missing = denied(_operation(step), "topic", self._spec.name)
                    return Row("invalid", self._spec.name, _id(actual), missing)
                if error.code() not in _BEATEN and classify(error) is not Kind.RETRIABLE:
                    return Row("invalid", self._spec.name, _id(actual), f"the broker refuses: {error.str()}")
                reason = f": {error.str()}"
            except FutureTimeout:
                reason = ": no answer"
            time.sleep(0.05)

    def _row(self, actual: Actual | None, step: Step) -> Row:
        left = [str(finding) for finding in step.findings]
        if self._created:
            self._done = [f"{self._spec.partitions} partitions"]
        action: Action = "created" if self._created else "updated" if self._done else "unchanged"
        return Row(
            "invalid" if step.wrong else action, self._spec.name, _id(actual), "; ".join([*self._done, *left])
        )

    def _actual(self) -> Actual | None:
        name = self._spec.name
        info = self._cluster.topic(name)
        config = self._cluster.configs([name]).get(name) if info is not None else None
        return Actual(info.id, info.partitions, config) if info is not None and config is not None else None

    def _change(self, step: Step) -> None:
        admin, name, left = self._cluster.admin, self._spec.name, max(0.1, self._left())
        if step.create:
            if self._created:
                return  # it takes a moment to show
            replicas = -1 if self._replicas is None else self._replicas  # -1 is the broker's default
            new = NewTopic(name, self._spec.partitions, replicas, config=dict(self._spec.config))
            self._wait(admin.create_topics([new], operation_timeout=left, request_timeout=left).values())
            self._created = True
            return
        self._note(step)
        if step.partitions is not None:
            more = NewPartitions(name, step.partitions)
            self._wait(admin.create_partitions([more], operation_timeout=left, request_timeout=left).values())
        if step.config is not None:
            entries = [
                ConfigEntry(key, value, incremental_operation=AlterConfigOpType.SET)
                for key, value in step.config.items()
            ]
            resource = ConfigResource(ResourceType.TOPIC, name, incremental_configs=entries)
            self._wait(admin.incremental_alter_configs([resource], request_timeout=left).values())

    def _note(self, step: Step) -> None:
        for finding in step.findings:
            text = f"{finding.what} {finding.found} -> {finding.wanted}"
            if finding.remedy == "apply" and text not in self._done:
                self._done.append(text)

    def _wait(self, futures: Iterable[Future[None]]) -> None:
        for future in futures:
            future.result(max(0.1, self._left()) + 0.5)

    def _left(self) -> float:
        return self._deadline - time.monotonic()
