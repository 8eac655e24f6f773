"""What each component may have to do on Kafka, and nothing beyond it. Pure.

docs/operations.md has the same as a table for those who write ACLs; a test compares the two, and others run
every component under exactly these. Operations and resources are named as `kafka-acls` does. Read, Write and
Alter each carry Describe with them, AlterConfigs carries DescribeConfigs.
"""

from __future__ import annotations

from typing import Final, Literal, NamedTuple

from processor.settings import Settings

ResourceKind = Literal["topic", "group", "transactional-id"]
Component = Literal["matcher", "sender", "admin", "scanner", "rules", "scan-rules", "deliveries", "topics"]

COMPONENTS: Final[tuple[Component, ...]] = (
    *("matcher", "sender", "admin", "scanner"),
    *("rules", "scan-rules", "deliveries", "topics"),  # the commands of these names
)


class Need(NamedTuple):
    """Operations on one resource, or with `prefixed` on all whose name begins so."""

    kind: ResourceKind
    name: str
    operations: tuple[str, ...]
    prefixed: bool = False

    def covers(self, kind: ResourceKind, name: str) -> bool:
        """Whether it is about that resource."""
        return self.kind == kind and (name.startswith(self.name) if self.prefixed else name == self.name)


def needs(settings: Settings, component: Component) -> list[Need]:
    """What `component` has to be allowed, with these settings."""
    topics, events = settings.topics, settings.matcher.event_topics
    read, write = ("Read", "DescribeConfigs"), ("Write", "DescribeConfigs")
    match component:
        case "matcher":
            return [
                *(Need("topic", name, read) for name in events),
                Need("topic", topics.rules, read),
                Need("topic", topics.jobs, write),
                Need("topic", topics.events_dead, write),
                Need("group", topics.group("matcher"), ("Read",)),
                Need("transactional-id", topics.name("matcher."), ("Write",), prefixed=True),
            ]
        case "sender":
            return [
                Need("topic", topics.rules, read),
                Need("topic", topics.jobs, read),
                Need("topic", topics.retry_prefix, ("Read", "Write", "DescribeConfigs"), prefixed=True),
                Need("topic", topics.dead, write),
                Need("topic", topics.deliveries, write),
                Need("group", topics.group("sender"), ("Read",)),
                Need("transactional-id", topics.name("sender."), ("Write",), prefixed=True),
            ]
        case "admin":
            return [
                *_rules(settings),
                *_scan_rules(settings),
                *_deliveries(settings),
                # Only to say in its status how long they are, and how far the matcher is behind.
                *(Need("topic", name, ("Describe",)) for name in (*events, topics.events_dead)),
                Need("group", topics.group("matcher"), ("Describe",)),
            ]
        case "rules":
            return _rules(settings)
        case "scan-rules":
            return _scan_rules(settings)
        case "deliveries":
            # Who looks jobs up wants to know their rules' names; `release` writes to the rule topic.
            return [*_rules(settings), *_deliveries(settings)]
        case "scanner":
            return [
                Need("topic", topics.scan_rules, read),
                Need("topic", settings.scanner.event_topic, write),
                Need("topic", topics.scanner_status, write),
            ]
        case "topics":
            return [
                Need("topic", topics.prefix, ("Create", "Alter", "AlterConfigs"), prefixed=True),
                *(Need("topic", name, ("DescribeConfigs", "Describe")) for name in events),
            ]


def _rules(settings: Settings) -> list[Need]:
    topics = settings.topics
    return [
        Need("topic", topics.rules, ("Read", "Write", "DescribeConfigs")),
        Need("transactional-id", topics.name("rules-store"), ("Write",)),
    ]


def _scan_rules(settings: Settings) -> list[Need]:
    topics = settings.topics
    return [
        Need("topic", topics.scan_rules, ("Read", "Write", "DescribeConfigs")),
        Need("topic", topics.scanner_status, ("Read",)),
        Need("transactional-id", topics.name("scan-rules-store"), ("Write",)),
    ]


def _deliveries(settings: Settings) -> list[Need]:
    topics = settings.topics
    return [
        Need("topic", topics.deliveries, ("Read",)),
        Need("topic", topics.jobs, ("Read", "Write", "DescribeConfigs")),
        Need("topic", topics.retry_prefix, ("Read",), prefixed=True),
        Need("topic", topics.dead, ("Read", "Write", "DescribeConfigs")),
        Need("group", topics.group("sender"), ("Describe",)),
        Need("transactional-id", topics.name("redeliver"), ("Write",)),
    ]


def denied(operations: str, kind: ResourceKind, name: str, *, prefixed: bool = False) -> str:
    """What to say of a right that is missing: the operation, the resource, and what gives it."""
    pattern = " --resource-pattern-type prefixed" if prefixed else ""
    flags = " ".join(f"--operation {one}" for one in operations.split(", "))
    where = f"{kind.replace('-', ' ')} {name}"
    return (
        f"not allowed: {operations} on {where}; allow it (kafka-acls --add --allow-principal User:…"
        f" {flags} --{kind} {name}{pattern})"
    )
