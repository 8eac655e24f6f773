"""`tocsin rules …`: rules as code, straight on Kafka.

One module per kind of work: checking.py (validate), applying.py (apply), showing.py (list, get, export),
editing.py (edit), switching.py (enable, disable, mute, unmute, pause, resume), deleting.py (delete),
resealing.py (reseal), testing.py (test), backtesting.py (backtest; course.py puts what it finds into words).
store.py opens the store for them and turns its errors into the
command's, finding.py finds the rule somebody means.
"""

import argparse

from processor.cli.parser import Subparsers
from processor.cli.rules import (
    applying,
    backtesting,
    checking,
    deleting,
    editing,
    resealing,
    showing,
    switching,
    testing,
)
from processor.settings import Settings

_ACTIONS = (checking, applying, showing, editing, switching, deleting, testing, backtesting, resealing)


def add_parser(subparsers: Subparsers) -> None:
    """Add `rules` with its actions."""
    parser = subparsers.add_parser("rules", help="check, apply, show, change and try trigger rules")
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    for module in _ACTIONS:
        module.add_actions(actions)


def run(args: argparse.Namespace, settings: Settings) -> int:
    """Run the action; its exit code."""
    code: int = args.run_action(args, settings)
    return code
