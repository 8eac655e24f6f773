"""What the actions share: a connection, errors in one line, times, and which rule somebody means."""

import argparse
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime

from processor.cli.errors import CommandFailed
from processor.cli.rules.finding import find
from processor.durations import parse_duration
from processor.kafka.cluster import Cluster
from processor.kafka.errors import KafkaFailure
from processor.rules import RuleSnapshot
from processor.settings import Settings


@contextmanager
def connected(args: argparse.Namespace, settings: Settings) -> Iterator[Cluster]:
    """A cluster that answers, waited for up to `--timeout`; what Kafka fails at inside fails the command."""
    try:
        cluster = Cluster(settings.kafka, settings.topics.name("cli"))
        cluster.wait_for_broker(args.timeout.total_seconds())
        yield cluster
    except KafkaFailure as failure:
        raise CommandFailed(str(failure)) from None


def add_since(parser: argparse.ArgumentParser, help_text: str) -> None:
    """`--since 1h|TIME`, as `args.since` in ms since 1970; None where it isn't given."""
    parser.add_argument("--since", type=since_ms, metavar="DURATION|TIME", help=help_text)


def since_ms(text: str) -> int:
    """A duration before now, or a time in RFC 3339, as ms since 1970."""
    try:
        return now_ms() - int(parse_duration(text).total_seconds() * 1000)
    except ValueError:
        pass
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        moment = None
    if moment is None or moment.tzinfo is None:
        raise argparse.ArgumentTypeError(
            f"expected a duration such as 1h or a time such as 2026-11-23T10:00:00Z (got {text[:40]!r})"
        )
    return int(moment.timestamp() * 1000)


def rule_id_of(snapshot: RuleSnapshot, rule: str) -> int:
    """The id of the rule with this id or name; CommandFailed when there is none, or several."""
    found = find(snapshot, argparse.Namespace(rule=rule, key=None)).rule
    if found.id is None:
        raise CommandFailed(f"{rule!r} is a record whose key is no rule id: no job can be of it")
    return found.id


def now_ms() -> int:
    """Milliseconds since 1970."""
    return time.time_ns() // 1_000_000


def format_ms(at_ms: int | None) -> str:
    """A time in ms since 1970 in RFC 3339, UTC, whole seconds; empty for None."""
    if at_ms is None:
        return ""
    return datetime.fromtimestamp(at_ms // 1000, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
