"""`tocsin deliveries …`: what became of jobs, where they are, and what to do about those that died or wait.

One module per kind of work: listing.py (list), getting.py (get), redelivering.py (redeliver), releasing.py
(release).
"""

import argparse

from processor.cli.deliveries import getting, listing, redelivering, releasing
from processor.cli.parser import Subparsers
from processor.settings import Settings

_ACTIONS = (listing, getting, redelivering, releasing)


def add_parser(subparsers: Subparsers) -> None:
    """Add `deliveries` with its actions."""
    parser = subparsers.add_parser(
        "deliveries", help="look at deliveries, put dead jobs back, release waiting ones"
    )
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    for module in _ACTIONS:
        module.add_action(actions)


def run(args: argparse.Namespace, settings: Settings) -> int:
    """Run the action; its exit code."""
    code: int = args.run_action(args, settings)
    return code
