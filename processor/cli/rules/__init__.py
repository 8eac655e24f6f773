"""`tocsin rules …`: rules as code, straight on Kafka.

One module per kind of work: checking.py (validate), applying.py (apply), showing.py (list, get, export),
editing.py (edit), switching.py (enable, disable, mute, unmute, pause, resume), deleting.py (delete),
resealing.py (reseal), testing.py (test), backtesting.py (backtest; course.py puts what it finds into words).
store.py opens the store for them and turns its errors into the
command's, finding.py finds the rule somebody means. kind.py says what tells one kind of rules from another:
`tocsin scan-rules` runs the same modules, and trigger.py is the kind here.
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
from processor.cli.rules.kind import Kind
from processor.cli.rules.trigger import TRIGGER
from processor.settings import Settings


def add_parser(subparsers: Subparsers) -> None:
    """Add `rules` with its actions."""
    parser = subparsers.add_parser("rules", help="check, apply, show, change and try trigger rules")
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    add_table_actions(actions, TRIGGER)
    switching.add_holds(actions, TRIGGER)
    for module in (testing, backtesting, resealing):
        module.add_actions(actions)
    parser.set_defaults(kind=TRIGGER)


def add_table_actions(actions: Subparsers, kind: Kind) -> None:
    """Add what can be done with any kind of rules."""
    for module in (checking, applying, showing, editing, switching, deleting):
        module.add_actions(actions, kind)


def run(args: argparse.Namespace, settings: Settings) -> int:
    """Run the action; its exit code."""
    code: int = args.run_action(args, settings)
    return code
