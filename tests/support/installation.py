"""One installation of Tocsin on a test broker: topics, rules, jobs made by hand, and what came of them."""

import itertools
import json
import time
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple, Self

from processor.jobs.build import EventJobs, RuleJobs
from processor.kafka.cluster import Cluster
from processor.kafka.records import Position
from processor.kafka.topic_admin import apply
from processor.settings import Settings
from tests.support.records import Record, Stored, produce
from tests.support.settings import Groups, settings_for, with_changes
from tests.support.topic_tail import TopicTail
from tests.support.waiting import wait_until

EVENT_TOPIC_ID = "tests"
EVENT = b'{"severity":"error","source":"shop","message":"boom"}'


class Job(NamedTuple):
    """A job as the matcher would write it; `record` goes to webhook-jobs."""

    id: str
    record: Record


class Installation:
    """A context manager. Its topics are made on entering; `audit` and the others follow them from then on."""

    def __init__(self, bootstrap: str, prefix: str, **groups: Mapping[str, Any]) -> None:
        """`groups` as of settings_for; every process that is started gets a telemetry port of its own."""
        self.bootstrap = bootstrap
        self.prefix = prefix
        self._groups = groups
        self.model = Settings.model_validate(self.settings())
        self.topics = self.model.topics
        self._cluster = Cluster(self.model.kafka, f"{prefix}tests")
        self._numbers = itertools.count()
        self._rules_topic_id = ""
        self._rules_offset = 0

    def settings(self, **groups: Mapping[str, Any]) -> Groups:
        """Settings for one more process, `groups` merged over those of the installation."""
        return with_changes(settings_for(self.bootstrap, self.prefix, **self._groups), groups)

    def apply_topics(self, **groups: Mapping[str, Any]) -> None:
        """What `tocsin topics apply` does with the installation's settings, `groups` merged over them."""
        model = Settings.model_validate(self.settings(**groups))
        # The event topic is the user's, and an installation that only sends has none.
        rows = [row for row in apply(model, self._cluster, 60.0) if not row.name.endswith("event-log")]
        wrong = [row for row in rows if row.action == "invalid"]
        assert not wrong, wrong

    def put_rule(self, rule_id: int, target: str, **fields: Any) -> None:
        """Write a rule as a plain producer does. Jobs made afterwards are sent by it or a later version."""
        rule = {
            "id": rule_id,
            "name": f"rule-{rule_id}",
            "action_type": "webhook",
            "action_target": target,
            **fields,
        }
        self.put_rule_record(rule_id, json.dumps(rule).encode())

    def put_rule_record(self, rule_id: int, value: bytes | None) -> None:
        """Write any record under a rule's key; None deletes the rule."""
        record = Record(value, key=b"%d" % rule_id)
        ((_, offset),) = produce(self.bootstrap, self.topics.rules, [record])
        self._rules_offset = offset + 1

    def job_judged_later(self, rule_id: int) -> Job:
        """A job that was judged by the rules as they are after the next write."""
        return self.job(rule_id, rules_offset=self._rules_offset + 1)

    def job(
        self,
        rule_id: int,
        *,
        uid: str = "",
        matched_at_ms: int | None = None,
        event: bytes = EVENT,
        rules_offset: int | None = None,
    ) -> Job:
        """A job of an event of its own, judged by the rules as they are now."""
        events = EventJobs(
            topic="event-log",
            topic_id=EVENT_TOPIC_ID,
            partition=0,
            offset=next(self._numbers),
            rules_topic_id=self._rules_topic_id,
            rules_offset=self._rules_offset if rules_offset is None else rules_offset,
            matched_at_ms=now_ms() if matched_at_ms is None else matched_at_ms,
        )
        key, body, headers = events.job(RuleJobs(rule_id, uid, f"rule-{rule_id}", 0), event)
        return Job(dict(headers)["tocsin-job-id"].decode(), Record(body, key=key, headers=headers))

    def add(self, jobs: Iterable[Job]) -> list[Job]:
        """Append the jobs to webhook-jobs."""
        made = list(jobs)
        produce(self.bootstrap, self.topics.jobs, [job.record for job in made])
        return made

    def add_jobs(self, count: int, rule_id: int, **more: Any) -> list[Job]:
        """Append this many new jobs of a rule."""
        return self.add([self.job(rule_id, **more) for _ in range(count)])

    def add_job(self, rule_id: int, **more: Any) -> Job:
        """Append one new job of a rule."""
        return self.add_jobs(1, rule_id, **more)[0]

    def add_to(self, partition: int, jobs: Iterable[Job]) -> list[Job]:
        """Append the jobs to this partition of webhook-jobs, wherever their keys belong."""
        return self.add(Job(job.id, job.record._replace(partition=partition)) for job in jobs)

    def place_of(self, job: Job) -> Position:
        """The partition of webhook-jobs that holds the job, waiting until it is read."""

        def found() -> list[Stored]:
            records = self._tail.records(self.topics.jobs)
            return [record for record in records if record.header("tocsin-job-id") == job.id]

        return Position(self.topics.jobs, wait_until(found)[0].partition)

    def audit(self, *jobs: Job) -> list[dict[str, Any]]:
        """The audit records so far, of these jobs or of all."""
        return [json.loads(record.value or b"") for record in self.audit_records(*jobs)]

    def audit_records(self, *jobs: Job) -> list[Stored]:
        """The same as they are in the topic."""
        keys = {job.id.encode() for job in jobs}
        return [r for r in self._tail.records(self.topics.deliveries) if not keys or r.key in keys]

    def dead(self, *jobs: Job) -> list[Stored]:
        """The dead records so far, of these jobs or of all."""
        ids = {job.id for job in jobs}
        records = self._tail.records(self.topics.dead)
        return [record for record in records if not ids or record.header("tocsin-job-id") in ids]

    def moved(self, tier: str, *jobs: Job) -> list[Stored]:
        """The records so far in the retry topic of this delay, of these jobs or of all."""
        ids = {job.id for job in jobs}
        records = self._tail.records(f"{self.topics.retry_prefix}{tier}")
        return [record for record in records if not ids or record.header("tocsin-job-id") in ids]

    def records(self, topic: str) -> list[Stored]:
        """All records so far of one of the sender's topics, by its full name."""
        return self._tail.records(topic)

    def wait_audit(self, job: Job, *outcomes: str, timeout: float = 30.0) -> list[dict[str, Any]]:
        """Wait until the job's audit records have exactly these outcomes, in order, and return them."""

        def there() -> list[dict[str, Any]]:
            found = self.audit(job)
            return found if len(found) >= len(outcomes) else []

        found = wait_until(there, timeout, lambda: f"{outcomes} of {job.id}: {self.audit(job)}")
        assert [record["outcome"] for record in found] == list(outcomes), found
        return found

    def wait_dead(self, job: Job, timeout: float = 30.0) -> Stored:
        """Wait for the job's dead record."""
        return wait_until(lambda: self.dead(job), timeout, lambda: f"a dead record: {self.audit(job)}")[0]

    def __enter__(self) -> Self:
        self.apply_topics()
        rules = self._cluster.topic(self.topics.rules)
        assert rules is not None
        self._rules_topic_id = rules.id
        retries = [self.topics.retry(delay) for delay in self.model.sender.tiers]
        followed = [self.topics.jobs, *retries, self.topics.dead, self.topics.deliveries]
        self._tail = TopicTail(self.bootstrap, followed).__enter__()
        return self

    def __exit__(self, *error: object) -> None:
        self._tail.__exit__(*error)


def now_ms() -> int:
    """Milliseconds since 1970."""
    return time.time_ns() // 1_000_000


def headers_of(record: Stored) -> dict[str, str]:
    """A record's headers as text."""
    return {name: value.decode() for name, value in record.headers}
