"""`tocsin topics apply|check`: Tocsin's own topics, made and kept as they must be, or only looked at."""

import argparse
import logging

from processor.cli.errors import DONE, FAILED, CommandFailed
from processor.cli.output import add_output_flag, print_rows
from processor.cli.parser import Subparsers
from processor.cli.waiting import add_timeout_flag
from processor.kafka import topic_admin
from processor.kafka.cluster import Cluster
from processor.kafka.errors import KafkaFailure
from processor.settings import Settings

log = logging.getLogger(__name__)

COLUMNS = ("action", "name", "id", "reason")


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
            rows = topic_admin.check(settings, cluster)
            if warning := topic_admin.offsets_warning(cluster):
                log.warning("%s", warning)
    except KafkaFailure as failure:
        raise CommandFailed(str(failure)) from None
    print_rows([row._asdict() for row in rows], COLUMNS, args.output)
    return FAILED if any(row.action == "invalid" for row in rows) else DONE
