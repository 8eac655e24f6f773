"""Tocsin's own topics: what each must be, and what has to be done to those that are there. Pure.

`wanted_topics` says what the settings ask for, `plan` compares that with what was found; topic_admin.py
looks, changes and refuses. Event topics are never Tocsin's to make or change: what counts is that they exist
and how large a record they take.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Literal, NamedTuple

from processor.durations import format_duration
from processor.settings import Settings

EVENT_LIMIT = 1_048_588
"""Kafka's default max.message.bytes: the outputs are ready for events of this size at least."""

ENVELOPE = 64 * 1024
"""Bytes by which an output's limit must exceed the largest event's: for the body around it and headers."""

RULES_RETENTION = timedelta(days=7)
"""How long a deletion of a rule stays readable, and how soon it is compacted away (delete.retention.ms)."""

CLEANUP, TIMESTAMP, LIMIT = "cleanup.policy", "message.timestamp.type", "max.message.bytes"
REPAIRED = frozenset({CLEANUP, TIMESTAMP, LIMIT})
"""What `topics apply` sets right on a topic that is there. Everything else may be somebody's decision."""

_FOREVER = -1  # of retention.ms and retention.bytes


class Actual(NamedTuple):
    """A topic as it was found; `config` holds the values in force, defaults included."""

    id: str
    partitions: int
    config: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class TopicSpec:
    """A topic as it should be. `config` is what it is made with.

    `grows`: it may have more partitions than wanted, and is given more when it has fewer. `vital`: records
    that go too soon would be lost jobs or rules, not only history.
    """

    name: str
    partitions: int
    config: Mapping[str, str]
    vital: bool
    grows: bool = True


class Finding(NamedTuple):
    """One difference. `remedy`: apply mends it, a person must, or it is only worth a word."""

    what: str
    found: str
    wanted: str
    remedy: Literal["apply", "person", "none"]

    def __str__(self) -> str:
        return f"{self.what} is {self.found}, should be {self.wanted}"


@dataclass(frozen=True, slots=True)
class Step:
    """What one topic needs: to be made, or new `partitions` (a count) and `config` (None: as they are)."""

    spec: TopicSpec
    create: bool
    findings: tuple[Finding, ...] = ()
    partitions: int | None = None
    config: Mapping[str, str] | None = None

    @property
    def wrong(self) -> bool:
        """Whether something is missing or not as it must be."""
        return self.create or any(finding.remedy != "none" for finding in self.findings)


def wanted_topics(settings: Settings, actual: Mapping[str, Actual]) -> list[TopicSpec]:
    """Every topic of Tocsin's own, in the order in which to make and grow them.

    `actual` (own and event topics, as far as they exist and were looked at) counts in two ways: an output
    takes the largest event and the largest job; and partitions are never taken away, so jobs and retry topics
    all get the largest number that one of them has. Retry topics come before the job topic, because a sender
    that gets a new job partition reads the same one of each retry topic.
    """
    topics = settings.topics
    retries = [topics.retry(delay) for delay in settings.sender.tiers]
    counts = [actual[name].partitions for name in (*retries, topics.jobs) if name in actual]
    partitions = max([topics.partitions, *counts])
    limit = largest_event(settings, actual) + ENVELOPE
    job_limit = max(limit, _number(actual, topics.jobs, LIMIT))
    job = {**_deleted_after(30), LIMIT: str(job_limit)}
    return [
        TopicSpec(topics.rules, 1, _RULES_CONFIG, vital=True, grows=False),
        *(TopicSpec(name, partitions, {**job, TIMESTAMP: "LogAppendTime"}, vital=True) for name in retries),
        TopicSpec(topics.jobs, partitions, job, vital=True),
        TopicSpec(topics.dead, topics.partitions, {**_deleted_after(90), LIMIT: str(job_limit)}, vital=False),
        TopicSpec(topics.deliveries, topics.partitions, _deleted_after(7), vital=False),
        TopicSpec(topics.events_dead, 1, {**_deleted_after(30), LIMIT: str(limit)}, vital=False),
        TopicSpec(topics.scan_rules, 1, _RULES_CONFIG, vital=True, grows=False),
        TopicSpec(topics.scanner_status, 1, _RULES_CONFIG, vital=False, grows=False),
    ]


def largest_event(settings: Settings, actual: Mapping[str, Actual]) -> int:
    """The largest record in bytes that one of the event topics takes; EVENT_LIMIT at least."""
    return max([EVENT_LIMIT, *(_number(actual, name, LIMIT) for name in settings.matcher.event_topics)])


def missing_event_topics(settings: Settings, actual: Mapping[str, Actual]) -> list[str]:
    """Event topics that do not exist."""
    return [name for name in settings.matcher.event_topics if name not in actual]


def plan(wanted: Iterable[TopicSpec], actual: Mapping[str, Actual]) -> list[Step]:
    """What each topic needs, in the order of `wanted`."""
    return [step_for(spec, actual.get(spec.name)) for spec in wanted]


def step_for(spec: TopicSpec, actual: Actual | None) -> Step:
    """What one topic needs; `actual` None means that it is not there."""
    if actual is None:
        return Step(spec, create=True)
    findings = [*_partition_findings(spec, actual), *_config_findings(spec, actual)]
    grow = any(finding.what == "partitions" and finding.remedy == "apply" for finding in findings)
    config = {f.what: f.wanted for f in findings if f.remedy == "apply" and f.what in REPAIRED}
    return Step(spec, False, tuple(findings), spec.partitions if grow else None, config or None)


def _partition_findings(spec: TopicSpec, actual: Actual) -> Iterable[Finding]:
    found, wanted = str(actual.partitions), str(spec.partitions)
    if not spec.grows and actual.partitions != spec.partitions:
        yield Finding("partitions", found, wanted, "person")
    elif actual.partitions < spec.partitions:
        yield Finding("partitions", found, wanted, "apply")
    elif actual.partitions > spec.partitions:
        yield Finding("partitions", found, f"{wanted} (they are never taken away)", "none")


def _config_findings(spec: TopicSpec, actual: Actual) -> Iterable[Finding]:
    for name, wanted in spec.config.items():
        found = actual.config.get(name)
        if found is None or _satisfies(name, found, wanted):
            continue  # a broker that doesn't know a setting can't be wrong about it
        if name in REPAIRED:
            yield Finding(name, found, wanted, "apply")
        else:
            remedy: Literal["person", "none"] = "person" if spec.vital else "none"
            yield Finding(name, _readable(name, found), _bound(name, wanted), remedy)


def _satisfies(name: str, found: str, wanted: str) -> bool:
    if name in (CLEANUP, TIMESTAMP):
        return found == wanted
    if not _is_number(found):
        return False
    if name == "max.compaction.lag.ms":
        return int(found) <= int(wanted)
    if name.startswith("retention.") and _FOREVER in (int(found), int(wanted)):
        return int(found) == _FOREVER
    return int(found) >= int(wanted)


def _bound(name: str, wanted: str) -> str:
    if name.startswith("retention.") and int(wanted) == _FOREVER:
        return f"{wanted} (no limit)"
    return f"{_readable(name, wanted)} or {'less' if name == 'max.compaction.lag.ms' else 'more'}"


def _readable(name: str, value: str) -> str:
    if name.endswith(".ms") and _is_number(value) and 0 < int(value) < 10**14:
        return f"{value} ({format_duration(timedelta(milliseconds=int(value)))})"
    return value


def _number(actual: Mapping[str, Actual], topic: str, name: str) -> int:
    """A topic's setting as a number; 0 when the topic isn't there or doesn't tell."""
    value = actual[topic].config.get(name, "") if topic in actual else ""
    return int(value) if _is_number(value) else 0


def _is_number(value: str) -> bool:
    return value.removeprefix("-").isdecimal()


def _milliseconds(duration: timedelta) -> str:
    return str(duration // timedelta(milliseconds=1))


def _deleted_after(days: int) -> dict[str, str]:
    # Without a limit of bytes, whatever the broker's default is: it would cut the time short.
    return {CLEANUP: "delete", "retention.ms": _milliseconds(timedelta(days=days)), "retention.bytes": "-1"}


_RULES_CONFIG = {
    CLEANUP: "compact",
    "delete.retention.ms": _milliseconds(RULES_RETENTION),
    "max.compaction.lag.ms": _milliseconds(RULES_RETENTION),
}
