"""The looks at the cluster: rights, transactions, topics."""

from collections.abc import Iterator
from typing import Final

from processor.cli.doctor.finding import Finding
from processor.kafka import topic_admin
from processor.kafka.cluster import Cluster
from processor.kafka.errors import FatalKafkaError, KafkaFailure
from processor.kafka.rights import claim, group_rights, topic_rights
from processor.kafka.survey import survey
from processor.settings import Settings

_OWN: Final = ("DESCRIBE", "DESCRIBE_CONFIGS", "READ", "WRITE")
_EVENTS: Final = ("DESCRIBE", "DESCRIBE_CONFIGS", "READ")
_GROUP: Final = ("DESCRIBE", "READ")

_CLEANUP: Final = "transaction.abort.timed.out.transaction.cleanup.interval.ms"
_CLEANUP_ADVISED: Final = 1_000
_CLAIMED: Final = "doctor"
"""With the prefix: a transactional id that no role has, so that nobody is fenced."""


def look_at_rights(settings: Settings, cluster: Cluster, timeout: float) -> Iterator[Finding]:
    """What is allowed on each topic and group, where the broker says so."""
    prefix = settings.topics.prefix
    needs: dict[str, tuple[str, ...]] = dict.fromkeys(settings.output_topics, _OWN)
    needs |= dict.fromkeys(settings.matcher.event_topics, _EVENTS)
    lacking = 0
    for name, rights in topic_rights(cluster, needs, timeout).items():
        if lacks := rights.lacks(needs[name]):
            lacking += 1
            own = needs[name] is _OWN
            pattern = f"the prefix {prefix}" if own else f"topic {name}"
            yield Finding(
                "wrong",
                "rights",
                f"topic {name}",
                f"not allowed: {', '.join(lacks)}",
                f"allow {', '.join(needs[name])} on {pattern} (kafka-acls --topic"
                f" {prefix if own else name}{' --resource-pattern-type prefixed' if own else ''})",
            )
    groups = [settings.topics.group(role) for role in ("matcher", "sender")]
    for name, rights in group_rights(cluster, groups, timeout).items():
        if lacks := rights.lacks(_GROUP):
            lacking += 1
            yield Finding(
                "wrong",
                "rights",
                f"group {name}",
                f"not allowed: {', '.join(lacks)}",
                f"allow READ on groups with the prefix {prefix}"
                f" (kafka-acls --group {prefix} --resource-pattern-type prefixed)",
            )
    if not lacking:
        yield Finding("ok", "rights", f"{len(needs)} topics, {len(groups)} groups")


def look_at_transactions(settings: Settings, cluster: Cluster, timeout: float) -> Iterator[Finding]:
    """Whether a transactional id can be claimed, and what the brokers do about dead writers."""
    name = settings.topics.name(_CLAIMED)
    try:
        seconds = claim(settings.kafka, name, timeout)
    except FatalKafkaError as failure:
        yield Finding(
            "wrong",
            "transactions",
            f"transactional id {name}",
            str(failure),
            f"allow WRITE and DESCRIBE on transactional ids with the prefix {settings.topics.prefix}"
            " (kafka-acls --transactional-id … --resource-pattern-type prefixed)",
        )
        return
    except KafkaFailure as failure:
        yield Finding(
            "wrong",
            "transactions",
            f"transactional id {name}",
            str(failure),
            "see to it that __transaction_state has its replicas: transaction.state.log.replication.factor"
            " and .min.isr of the brokers must not exceed their number",
        )
        return
    yield Finding("ok", "transactions", f"transactional id {name}", f"claimed in {seconds:.1f} s")
    yield from _broker_settings(cluster, timeout)


def _broker_settings(cluster: Cluster, timeout: float) -> Iterator[Finding]:
    try:
        interval = cluster.broker_config(timeout=timeout).get(_CLEANUP, "")
    except FatalKafkaError as failure:
        yield Finding(
            "skipped",
            "transactions",
            "the brokers' settings",
            str(failure),
            "allow DESCRIBE_CONFIGS on the cluster to have them looked at",
        )
        return
    if interval.isdecimal() and int(interval) > _CLEANUP_ADVISED:
        yield Finding(
            "warning",
            "transactions",
            "writers that died",
            f"the brokers look for their transactions every {int(interval) / 1000:g} s, and rules and jobs"
            " behind one wait as long",
            f"set {_CLEANUP}={_CLEANUP_ADVISED} on the brokers",
        )


def look_at_topics(settings: Settings, cluster: Cluster) -> Iterator[Finding]:
    """Each topic as `topics check` sees it."""
    right = 0
    for row in topic_admin.check(settings, cluster):
        if row.action != "invalid":
            right += 1
            if row.reason:
                yield Finding("warning", "topics", row.name, row.reason)
        else:
            missing = row.name in settings.matcher.event_topics
            yield Finding(
                "wrong", "topics", row.name, "does not exist" if missing else row.reason, row.remedy
            )
    for concern in survey(settings, cluster):
        yield Finding(concern.severity, "topics", concern.name, concern.reason, concern.remedy)
    if right:
        yield Finding("ok", "topics", f"{right} topics")
