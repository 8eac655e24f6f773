"""`tocsin deliveries redeliver`: dead jobs go back to the sender."""

import argparse
from dataclasses import asdict

from processor.cli.connecting import connected
from processor.cli.errors import DONE, CommandFailed, UsageError
from processor.cli.output import add_output_flag, print_rows
from processor.cli.parser import Subparsers
from processor.cli.rules.finding import rule_id_of
from processor.cli.rules.store import rule_store
from processor.cli.times import add_since
from processor.cli.waiting import add_timeout_flag
from processor.delivery.dead import Selection
from processor.delivery.redelivery import Order, Redelivery
from processor.settings import Settings

_COLUMNS = ("action", "rule_id", "jobs", "reason")


def add_action(actions: Subparsers) -> None:
    """Add `redeliver`."""
    parser = actions.add_parser(
        "redeliver",
        help="put dead jobs back: the same id, the next attempt number, the schedule from its start",
    )
    parser.add_argument("job", nargs="?", metavar="JOB", help="this job")
    parser.add_argument("--rule", metavar="ID|NAME", help="all dead jobs of this rule")
    add_since(parser, "only those that died then or later; without --rule of all rules")
    parser.add_argument("--dry-run", action="store_true", help="only say what would be done")
    parser.add_argument("--again", action="store_true", help="also what was put back before")
    add_output_flag(parser)
    add_timeout_flag(parser)
    parser.set_defaults(run_action=_run)


def _run(args: argparse.Namespace, settings: Settings) -> int:
    if (args.job is None) == (args.rule is None and args.since is None):
        raise UsageError("deliveries redeliver takes either JOB, or --rule or --since or both of these")
    with rule_store(args, settings) as store:
        snapshot = store.read()
    rule_id = None if args.rule is None else rule_id_of(snapshot, args.rule)
    order = Order(Selection(args.job, rule_id, args.since or 0), args.again, args.dry_run)
    with connected(args, settings) as cluster:
        rows = Redelivery(settings, cluster, snapshot, order, timeout=args.timeout).run()
    if args.job is not None and not rows:
        raise CommandFailed(f"there is no dead job {args.job} in {settings.topics.dead}")
    print_rows([asdict(row) for row in rows], _COLUMNS, args.output)
    return DONE
