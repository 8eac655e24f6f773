"""`tocsin topics apply|check`: Tocsin's own topics, made and kept as they must be, or only looked at."""

import argparse

from processor.cli.errors import DONE, FAILED, CommandFailed
from processor.cli.output import add_output_flag, print_rows
from processor.cli.parser import Subparsers
from processor.cli.waiting import add_timeout_flag
from processor.kafka import topic_admin
from processor.kafka.cluster import Cluster
from processor.kafka.errors import KafkaFailure
from processor.kafka.survey import survey
from processor.settings import Settings

COLUMNS = ("action", "name", "id", "reason")
CHECKED = ("severity", "name", "id", "reason", "remedy")


def add_parser(subparsers: Subparsers) -> None:
    """Add `topics` with its two actions."""
    parser = subparsers.add_parser("topics", help="create and repair Tocsin's topics, or check them")
    actions = parser.add_subparsers(dest="action", metavar="apply|check", required=True)
    apply = actions.add_parser(
        "apply",
        help="create what is missing, add partitions, repair what a guarantee rests on; never removes",
    )
    check = actions.add_parser("check", help="say what is wrong, change nothing; exit code 1 if anything is")
    for action in (apply, check):
        add_output_flag(action)
        add_timeout_flag(action)


def run(args: argparse.Namespace, settings: Settings) -> int:
    """Print one row per topic; FAILED when one is invalid."""
    cluster = Cluster(settings.kafka, settings.topics.name("cli"))
    try:
        cluster.wait_for_broker(args.timeout.total_seconds())
        if args.action == "apply":
            rows = topic_admin.apply(settings, cluster, args.timeout.total_seconds())
        else:
            return _check(settings, cluster, args.output)
    except KafkaFailure as failure:
        raise CommandFailed(str(failure)) from None
    print_rows([{name: getattr(row, name) for name in COLUMNS} for row in rows], COLUMNS, args.output)
    return FAILED if any(row.action == "invalid" for row in rows) else DONE


def _check(settings: Settings, cluster: Cluster, output: str) -> int:
    """Each topic, then what else a person should change; only what is wrong makes it fail."""
    rows = [
        {
            **row._asdict(),
            "severity": "wrong" if row.action == "invalid" else "warning" if row.reason else "ok",
        }
        for row in topic_admin.check(settings, cluster)
    ]
    rows += [
        {"action": "invalid" if one.severity == "wrong" else "unchanged", "id": None, **one._asdict()}
        for one in survey(settings, cluster)
    ]
    print_rows(rows, CHECKED, output)
    return FAILED if any(row["severity"] == "wrong" for row in rows) else DONE
