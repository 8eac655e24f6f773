"""`tocsin scan-rules …`: scan rules as code, straight on Kafka.

Most actions are those of `tocsin rules` (cli/rules), with the kind of kind.py. Its own are testing.py (test:
rules on lines) and counting.py (stats: what scanners report).
"""

import argparse

from processor.cli.parser import Subparsers
from processor.cli.rules import add_table_actions
from processor.cli.scan_rules import counting, testing
from processor.cli.scan_rules.kind import SCAN
from processor.settings import Settings


def add_parser(subparsers: Subparsers) -> None:
    """Add `scan-rules` with its actions."""
    parser = subparsers.add_parser("scan-rules", help="check, apply, show, change and try scan rules")
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    add_table_actions(actions, SCAN)
    testing.add_actions(actions)
    counting.add_actions(actions)
    parser.set_defaults(kind=SCAN)


def run(args: argparse.Namespace, settings: Settings) -> int:
    """Run the action; its exit code."""
    code: int = args.run_action(args, settings)
    return code
