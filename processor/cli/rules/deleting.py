"""`tocsin rules|scan-rules delete`: away with one rule, or with a record that is none."""

import argparse
from collections.abc import Sequence
from typing import Any

from processor.cli.errors import DONE
from processor.cli.output import add_output_flag, print_rows
from processor.cli.parser import Subparsers
from processor.cli.rules.finding import add_reference, check_reference, find
from processor.cli.rules.kind import Kind
from processor.cli.rules.store import table_store
from processor.cli.waiting import add_timeout_flag
from processor.rules.building import Delete
from processor.settings import Settings

_COLUMNS = ("action", "name", "id", "reason")


def add_actions(actions: Subparsers, kind: Kind) -> None:
    """Add `delete`."""
    parser = actions.add_parser("delete", help=kind.words["delete"])
    add_reference(parser, kind)
    add_output_flag(parser)
    add_timeout_flag(parser)
    parser.set_defaults(run_action=_run)


def _run(args: argparse.Namespace, settings: Settings) -> int:
    check_reference(args)

    def planner(snapshot: Any) -> Sequence[Delete]:
        return [Delete(find(snapshot, args).key)]

    with table_store(args, settings) as store:
        applied = store.transact(planner)
    rows = [{"action": one.action, "name": one.name, "id": one.id, "reason": None} for one in applied]
    print_rows(rows, _COLUMNS, args.output)
    return DONE
