"""One installation's matcher side on a test broker: event topics, rules, and the jobs that come of them."""

import base64
import hashlib
import itertools
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple, Self

from confluent_kafka import Producer

from processor.kafka.cluster import Cluster
from processor.kafka.records import Position
from processor.kafka.topic_admin import apply
from processor.settings import Settings
from tests.support.groups import Group
from tests.support.processes import Process, Spawn
from tests.support.records import Record, Stored, produce
from tests.support.settings import Groups, settings_for, with_changes
from tests.support.topic_tail import TopicTail
from tests.support.topics import create_topic
from tests.support.waiting import wait_until

TARGET = "https://hooks.example.com/x"
_names = itertools.count(1)


class Place(NamedTuple):
    """Where an event stands."""

    topic: str
    partition: int
    offset: int


def place_of(job: Stored) -> Place:
    """Where the event of a job, or of a dead letter, stands."""
    return Place(
        str(job.header("tocsin-event-topic")),
        int(str(job.header("tocsin-event-partition"))),
        int(str(job.header("tocsin-event-offset"))),
    )


def rule_of(job: Stored) -> int:
    return int(str(job.header("tocsin-rule-id")))


def expected_job_id(topic_id: str, place: Place, rule_id: int, uid: str = "", epoch: int = 0) -> str:
    """The contract's words put into code once more: nothing of the product's is used here."""
    text = f"{topic_id}|{place.partition}|{place.offset}|{rule_id}|{uid}|{epoch}"
    digest = hashlib.sha256(text.encode()).digest()[:20]
    return "msg_" + base64.b32encode(digest).decode().lower().rstrip("=")


def event(message: str = "boom", severity: str = "error", source: str = "shop", **more: Any) -> bytes:
    """An event's value."""
    return json.dumps({"severity": severity, "source": source, "message": message, **more}).encode()


class MatcherSite:
    """A context manager. Makes its topics on entering, and follows jobs and dead letters from then on."""

    def __init__(
        self,
        bootstrap: str,
        prefix: str,
        *,
        partitions: int = 1,
        event_topics: Sequence[str] = ("event-log",),
        event_config: Mapping[str, str] | None = None,
        tail: bool = True,
        **groups: Mapping[str, Any],
    ) -> None:
        """`event_topics` without the prefix, each with that many `partitions`.

        `groups` as of settings_for; every process gets a telemetry port of its own. `tail` False follows
        nothing.
        """
        self.bootstrap = bootstrap
        self.prefix = prefix
        self.partitions = partitions
        self.event_topics = [prefix + name for name in event_topics]
        self.event_topic = self.event_topics[0]
        self._event_config = event_config
        matcher = {"event_topics": self.event_topics}
        self._groups = with_changes({"matcher": matcher, "topics": {"partitions": partitions}}, groups)
        self.model = Settings.model_validate(self.settings())
        self.topics = self.model.topics
        self.cluster = Cluster(self.model.kafka, f"{prefix}tests")
        self.group = Group(bootstrap, self.topics.group("matcher"))
        self._follow = tail
        # Kept: a new one takes a while to find the topic, and an event is to follow a rule at once.
        self._producer = Producer(
            {
                "bootstrap.servers": bootstrap,
                "log_level": 0,
                "enable.idempotence": True,
                "linger.ms": 0,
                "message.max.bytes": 10_000_000,
            }
        )

    def settings(self, **groups: Mapping[str, Any]) -> Groups:
        """Settings for one more process, `groups` merged over the site's."""
        return with_changes(settings_for(self.bootstrap, self.prefix, **self._groups), groups)

    def start(self, spawn: Spawn, **matcher: Any) -> Process:
        """A matcher process; `matcher` are settings of that group."""
        return spawn(
            "run", "matcher", settings=self.settings(matcher=matcher), name=f"{next(_names)}-matcher"
        )

    def put_rule(self, rule_id: int, **fields: Any) -> int:
        """Write a rule as a plain producer does and wait for the acknowledgement; its offset."""
        rule = {"name": f"rule-{rule_id}", "action_type": "webhook", "action_target": TARGET, **fields}
        return self.put_record(b"%d" % rule_id, json.dumps(rule).encode())

    def delete_rule(self, rule_id: int) -> int:
        """Its tombstone's offset."""
        return self.put_record(b"%d" % rule_id, None)

    def put_record(self, key: bytes | None, value: bytes | None) -> int:
        """Write any record to the rule topic and wait for the acknowledgement; its offset."""
        return self.append_at_once(Record(value, key=key), self.topics.rules).offset

    def append_at_once(self, record: Record | bytes | None, topic: str | None = None) -> Place:
        """Append one record with a kept idempotent producer; returns with its acknowledgement."""
        given = record if isinstance(record, Record) else Record(record)
        places: list[Place] = []

        def acknowledged(error: object, message: Any) -> None:
            assert error is None, error
            places.append(Place(message.topic(), message.partition(), message.offset()))

        self._producer.produce(
            topic or self.event_topic,
            value=given.value,
            key=given.key,
            partition=-1 if given.partition is None else given.partition,
            headers=list(given.headers),
            on_delivery=acknowledged,
        )
        self._producer.flush(30)
        assert places, f"no acknowledgement from {topic or self.event_topic}"
        return places[0]

    def append(self, events: Iterable[Record | bytes | None], topic: str | None = None) -> list[Place]:
        """Append events and wait for all acknowledgements; their places, in order."""
        name = topic or self.event_topic
        return [Place(name, *where) for where in produce(self.bootstrap, name, events)]

    def topic_id(self, name: str | None = None) -> str:
        """The topic's id as it is now."""
        info = self.cluster.topic(name or self.event_topic)
        assert info is not None
        return info.id

    def positions(self, topic: str) -> list[Position]:
        """Every partition of a topic."""
        info = self.cluster.topic(topic)
        assert info is not None
        return [Position(topic, number) for number in range(info.partitions)]

    def jobs(self) -> list[Stored]:
        """Every job so far, as a read_committed reader sees them."""
        return self._tail.records(self.topics.jobs)

    def letters(self) -> list[Stored]:
        """Every dead letter so far."""
        return self._tail.records(self.topics.events_dead)

    def fired(self) -> list[tuple[Place, int]]:
        """The event and rule of every job so far."""
        return [(place_of(job), rule_of(job)) for job in self.jobs()]

    def wait_jobs(self, places: Iterable[Place], timeout: float = 30.0) -> list[Stored]:
        """Wait until each of these events has a job; every job so far."""
        wanted = set(places)

        def there() -> bool:
            return wanted <= {place_of(job) for job in self.jobs()}

        wait_until(there, timeout, lambda: f"jobs of {len(wanted)} events; there are {self.fired()[-20:]}")
        return self.jobs()

    def wait_for(self, condition: Callable[[], Any], timeout: float = 30.0, what: str = "") -> None:
        """Wait until a condition holds; tells the last jobs when it doesn't."""
        wait_until(condition, timeout, lambda: f"{what}; jobs: {self.fired()[-20:]}")

    def wait_drained(self, timeout: float = 30.0) -> None:
        """Wait until the group has committed every event there is, and no transaction is open on the jobs."""
        for topic in self.event_topics:
            ends = self.cluster.end_offsets(self.positions(topic))
            self.group.wait_committed({(p.topic, p.partition): end for p, end in ends.items()}, timeout)
        jobs = self.positions(self.topics.jobs)
        wait_until(
            lambda: self.cluster.end_offsets(jobs, committed=True) == self.cluster.end_offsets(jobs),
            timeout,
            "no transaction is open on the jobs",
        )

    def make_topics(self) -> None:
        """What `tocsin topics apply` does, after the event topics are made."""
        for name in self.event_topics:
            create_topic(self.bootstrap, name, self.partitions, self._event_config)
        wrong = [row for row in apply(self.model, self.cluster, 60.0) if row.action == "invalid"]
        assert not wrong, wrong

    def __enter__(self) -> Self:
        self.make_topics()
        if self._follow:
            tail = TopicTail(self.bootstrap, [self.topics.jobs, self.topics.events_dead])
            self._tail = tail.__enter__()
        return self

    def __exit__(self, *error: object) -> None:
        if self._follow:
            self._tail.__exit__(*error)
