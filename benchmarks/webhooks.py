"""Webhooks to send: rules that call the receivers of receiver.py, and the jobs that wait for a sender."""

import time
from collections.abc import Iterator, Sequence
from typing import Any

from benchmarks import workload
from benchmarks.ground import Installation, Outgoing
from processor.jobs import EventJobs, RuleJobs
from processor.jobs.body import BodyTemplate, format_second
from processor.rules import TriggerRule

SECRET = "whsec_YmVuY2htYXJrcy1vbmx5LW5vdC1hLXNlY3JldC1rZXk="
"""Signs the webhooks, on both sides; protects nothing."""

HITTING = 10_000


def url(network: str, port: int, number: int) -> str:
    """The receiver `number`, from 0."""
    return f"http://{network}.{number + 1}:{port}/hooks/{number}"


def rules(network: str, port: int, count: int) -> Iterator[dict[str, Any]]:
    """Drafts of rules, each with a receiver of its own. Which events fire them doesn't matter."""
    for number in range(count):
        yield {
            "name": f"receiver-{number}",
            "action_type": "webhook",
            "action_target": url(network, port, number),
            "action_secret": SECRET,
        }


def bodies(count: int, destinations: int) -> Iterator[tuple[int, bytes]]:
    """The webhooks' bodies as they come out of the matcher, with the number of the receiver of each."""
    templates = [BodyTemplate(n + 1, f"receiver-{n}") for n in range(destinations)]
    events = list(workload.events(min(count, HITTING), 100))
    second = format_second(time.time_ns() // 1_000_000)
    for number in range(count):
        to = number % destinations
        yield to, templates[to].render(events[number % len(events)], second)


class Jobs:
    """Makes the records of jobs for an installation's rules, one after the other."""

    def __init__(self, installation: Installation, rules: Sequence[TriggerRule]) -> None:
        table = installation.cluster.topic(installation.settings.topics.rules)
        assert table is not None, "the installation's topics are there"
        self._topic = installation.jobs
        self._table_id = table.id
        self._rules = [RuleJobs(rule.id, rule.uid, rule.name, 0) for rule in rules]
        self._events = list(workload.events(HITTING, 100))
        self._offset = 0

    def record(self, to: int, *, stamped: bool = False) -> Outgoing:
        """The next job, for the rule (and so the receiver) `to`; with `stamped` its event holds the time."""
        body = self._events[self._offset % HITTING]
        now_ns = time.time_ns()
        event = EventJobs(
            topic="event-log",
            topic_id="B" * 22,
            partition=0,
            offset=self._offset,
            rules_topic_id=self._table_id,
            rules_offset=0,
            matched_at_ms=now_ns // 1_000_000,
        )
        self._offset += 1
        body = workload.stamped(body, now_ns) if stamped else body
        return self._topic, *event.job(self._rules[to], body)
