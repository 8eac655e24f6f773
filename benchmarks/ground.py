"""What scenarios stand on: a broker of this run's own, installations of Tocsin on it, and their processes."""

import contextlib
import sys
import tempfile
import uuid
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Self

from confluent_kafka import ConsumerGroupTopicPartitions, Producer, TopicPartition
from confluent_kafka.admin import AdminClient

from processor.kafka import topic_admin
from processor.kafka.cluster import Cluster
from processor.rules import Create, RuleDraft, RuleStore, TriggerRule, Writer
from processor.settings import Settings
from tests.support.brokers import choose, wanted_broker
from tests.support.child import Child, tail
from tests.support.processes import Process
from tests.support.reaper import REAPER
from tests.support.settings import settings_for, with_changes
from tests.support.topics import create_topic, delete_topics
from tests.support.waiting import wait_until

ROOT = Path(__file__).resolve().parent.parent
PARTITIONS = 6
TIMEOUT = 60.0
KEY = "bench:" + "YmVuY2htYXJrcy1vbmx5LW5vdC1hLXNlY3JldC1rZXk="
"""Seals the rules' secrets; 32 bytes that protect nothing."""

Role = Literal["matcher", "sender", "scanner"]


class Ground:
    """A context manager: the broker runs from __enter__ to __exit__, which ends all that was started."""

    def __init__(self) -> None:
        choice = choose(wanted_broker())
        if not choice.real:
            raise ValueError("benchmarks need Apache Kafka: the embedded broker has other limits")
        self.prefix = f"bench-{uuid.uuid4().hex[:6]}."
        self.directory = Path(tempfile.mkdtemp(prefix="tocsin-bench-"))
        REAPER.adopt("directory", self.directory)
        self._external = choice.kind == "external"
        data = self.directory / "broker"
        data.mkdir()
        self._broker = choice.create(data)
        self._ends = contextlib.ExitStack()

    def __enter__(self) -> Self:
        say(f"starting Kafka ({self._broker.kind})")
        try:
            self._broker.start()
        except BaseException:
            self._close()
            raise
        self.admin = AdminClient({"bootstrap.servers": self.bootstrap, "log_level": 0})
        return self

    def warm_up(self, values: Sequence[bytes]) -> None:
        """Let a broker that has just started compile itself: transactions until all `values` went through."""
        say("warming the broker up")
        group, events, jobs = self.name("warm-up"), self.topic("warm-up-events"), self.topic("warm-up-jobs")
        with self.child("raw_matcher", self.bootstrap, group, events, jobs, 1) as helper:
            # In small portions: many small transactions are what the scenarios make.
            for start in range(0, len(values), 50):
                self.fill(events, values[start : start + 50])
                helper.check()
            wait_until(lambda: self.committed(group, events) == len(values), TIMEOUT, "the broker is warm")

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ends.close()
        if self._external:
            delete_topics(self.bootstrap, self.prefix)
        self._close()

    @property
    def bootstrap(self) -> str:
        return self._broker.bootstrap

    def name(self, name: str) -> str:
        """A topic's or group's name that is this run's own."""
        return self.prefix + name

    def topic(self, name: str) -> str:
        """A new topic; its whole name."""
        create_topic(self.bootstrap, self.name(name), PARTITIONS)
        return self.name(name)

    def installation(self, name: str, **groups: Mapping[str, Any]) -> "Installation":
        """Tocsin with topics of its own; `groups` are settings over the defaults."""
        return Installation(self, name, groups)

    @contextlib.contextmanager
    def child(self, module: str, *arguments: object) -> Iterator["Helper"]:
        """A process of this package, killed at the end of the block."""
        helper = Helper(module, [str(a) for a in arguments], self.directory)
        self._ends.callback(helper.process.kill)
        try:
            yield helper
        finally:
            helper.process.kill()

    @contextlib.contextmanager
    def process(self, role: Role, settings: Mapping[str, Any]) -> Iterator[Process]:
        """`tocsin run <role>`, drained at the end of the block."""
        process = Process("run", role, directory=self.directory, settings=settings)
        self._ends.callback(process.kill)
        try:
            yield process
            process.terminate()
            process.wait(TIMEOUT)
        finally:
            process.kill()

    def committed(self, group: str, topic: str) -> int:
        """How many records of a topic, which starts at offset 0, a group has committed."""
        asked = ConsumerGroupTopicPartitions(group, [TopicPartition(topic, n) for n in range(PARTITIONS)])
        found = self.admin.list_consumer_group_offsets([asked], request_timeout=TIMEOUT)[group].result(
            TIMEOUT
        )
        return sum(max(0, p.offset) for p in found.topic_partitions or ())

    def forget(self, group: str) -> None:
        """Delete a group without members, so that the next one starts at the earliest again."""
        self.admin.delete_consumer_groups([group], request_timeout=TIMEOUT)[group].result(TIMEOUT)

    def fill(self, topic: str, values: Iterable[bytes]) -> None:
        """Append these values, spread over all partitions, and wait for the acknowledgements."""
        produce(self.bootstrap, ((topic, None, value, ()) for value in values))

    def _close(self) -> None:
        self._broker.close()
        REAPER.close()  # removes the directory and whatever else is left


class Helper:
    """A process of this package and its output."""

    def __init__(self, module: str, arguments: Sequence[str], directory: Path) -> None:
        self.log = directory / f"{module}-{uuid.uuid4().hex[:6]}.log"
        command = [sys.executable, "-m", f"benchmarks.{module}", *arguments]
        self.process = Child(command, self.log, cwd=ROOT)

    @property
    def pid(self) -> int:
        return self.process.pid

    def check(self) -> None:
        """Raise when it has ended."""
        check_running(self.process.returncode, self.log)


def check_running(returncode: int | None, log: Path) -> None:
    """Raise RuntimeError with the end of the log when a process has ended."""
    if returncode is not None:
        raise RuntimeError(f"{log.stem} ended with exit code {returncode}\n{tail(log)}")


class Installation:
    """One prefix: its topics, its rules, its processes."""

    def __init__(self, ground: Ground, name: str, groups: Mapping[str, Mapping[str, Any]]) -> None:
        self._ground = ground
        base = settings_for(
            ground.bootstrap,
            ground.name(f"{name}."),
            topics={"partitions": PARTITIONS},
            secrets={"keys": [KEY]},
            logging={"level": "info"},
        )
        self.mapping = with_changes(base, groups)
        self.settings = Settings.model_validate(self.mapping)
        self.cluster = Cluster(self.settings.kafka, self.settings.topics.name("bench"))

    @property
    def jobs(self) -> str:
        return self.settings.topics.jobs

    def prepare(self, rules: Iterable[Mapping[str, Any]]) -> list[TriggerRule]:
        """Create the topics and write the rules; answers them as they stand, in the order given."""
        rows = topic_admin.apply(self.settings, self.cluster, TIMEOUT)
        # Which event topic is read differs from run to run.
        wrong = [r for r in rows if r.action == "invalid" and r.name in self.settings.output_topics]
        if wrong:
            raise RuntimeError(f"topics of {self.settings.topics.prefix}: {wrong}")
        with self.store() as store:
            drafts = [RuleDraft.model_validate(dict(fields)) for fields in rules]
            applied = store.apply([Create(draft) for draft in drafts])
            table = store.read().rules
            return [table[one.id] for one in applied if one.id is not None]

    def store(self) -> RuleStore:
        return RuleStore(self.settings, Writer.of(self.settings, "bench"))

    def run(self, role: Role, **groups: Mapping[str, Any]) -> "contextlib.AbstractContextManager[Process]":
        """One process of this installation; `groups` are settings over its own."""
        return self._ground.process(role, with_changes(self.mapping, groups))

    def forget(self, role: Role) -> None:
        self._ground.forget(self.settings.topics.group(role))

    def remove(self) -> None:
        """Delete its topics."""
        delete_topics(self._ground.bootstrap, self.settings.topics.prefix)


Outgoing = tuple[str, bytes | None, bytes, Sequence[tuple[str, bytes | None]]]
"""Topic, key, value, headers."""


def produce(bootstrap: str, records: Iterable[Outgoing]) -> None:
    """Append records as fast as it goes, and wait for the acknowledgements; RuntimeError if not all come."""
    producer = Producer(
        {
            "bootstrap.servers": bootstrap,
            "log_level": 0,
            "partitioner": "murmur2_random",
            "compression.type": "lz4",
            "linger.ms": 20,
            "batch.size": 500_000,
            "sticky.partitioning.linger.ms": 0,  # else the backlog's partitions end one after the other
            "queue.buffering.max.messages": 200_000,
        }
    )
    for topic, key, value, headers in records:
        while True:
            try:
                producer.produce(topic, value=value, key=key, headers=list(headers))
                break
            except BufferError:
                producer.poll(0.05)
    left = producer.flush(TIMEOUT)
    if left:
        raise RuntimeError(f"{left} records not acknowledged")


def say(text: str) -> None:
    """Progress, on standard error."""
    print(f"bench: {text}", file=sys.stderr, flush=True)
