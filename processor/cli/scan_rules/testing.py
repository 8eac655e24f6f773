"""`tocsin scan-rules test`: which rules match a line, and the events they would make."""

import argparse
import sys
import time
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime

import msgspec

from processor.cli.errors import DONE, CommandFailed, UsageError
from processor.cli.output import add_output_flag, print_rows
from processor.cli.parser import Subparsers
from processor.cli.rules.store import table_store
from processor.cli.rules.trying import add_rule_flag, drafts_of_files
from processor.cli.scan_rules.kind import SCAN
from processor.cli.waiting import add_timeout_flag
from processor.rules.fields import MAX_ID, format_time
from processor.scanning.effective import effective
from processor.scanning.lines import Tail
from processor.scanning.rule import ScanRule
from processor.scanning.trial import try_line
from processor.settings import Settings

STDIN = "-"
_COLUMNS = ("rule", "workload", "matched", "severity", "message", "reason")
_MAX_LINES = 1_000
"""Each is shown with every rule."""


def add_actions(actions: Subparsers) -> None:
    """Add `test`."""
    parser = actions.add_parser(
        "test",
        help="say which scan rules match a line, and the events they would make",
        description="Tries scan rules on lines with the code that scanners run, and writes nothing. Without"
        " --rule the rules are those of the live table. Cooldowns and buckets are left out of account.",
    )
    parser.add_argument("lines", nargs="+", metavar="LINE", help="a line of a log; - reads standard input")
    add_rule_flag(parser, "scan rules to try instead of the live table's; may be repeated")
    parser.add_argument(
        "--workload",
        metavar="NAME",
        help="try the rules that hold for this workload, with what it overrides; without it, every rule",
    )
    parser.add_argument(
        "--stream",
        choices=("stdout", "stderr"),
        default="stdout",
        help="where the line was (default: stdout)",
    )
    add_output_flag(parser)
    add_timeout_flag(parser)
    parser.set_defaults(run_action=_run)


def _run(args: argparse.Namespace, settings: Settings) -> int:
    if STDIN in args.rule and STDIN in args.lines:
        raise UsageError("standard input can be the rules or the lines, not both")
    lines = list(_lines(args.lines))
    if len(lines) > _MAX_LINES:
        raise CommandFailed(f"more than {_MAX_LINES} lines")
    rules: Sequence[ScanRule] = _of_files(args.rule) if args.rule else _of_table(args, settings)
    if args.workload is not None:
        rules = effective(rules, args.workload)
    now = format_time(datetime.fromtimestamp(int(time.time()), UTC))
    rows = [_row(rule, line, args, now, settings) for line in lines for rule in rules]
    if args.output == "json":
        print_rows(rows, _COLUMNS, "json")
    else:
        for number, line in enumerate(lines):
            if len(lines) > 1:
                print(f"{line.decode('utf-8', 'backslashreplace')!r}:")
            print_rows(rows[number * len(rules) : (number + 1) * len(rules)], _COLUMNS, "table")
    return DONE


def _lines(given: Iterable[str]) -> Iterable[bytes]:
    for text in given:
        if text == STDIN:
            yield from sys.stdin.buffer.read().splitlines()
        else:
            yield text.encode("utf-8", "surrogateescape")


def _row(
    rule: ScanRule, line: bytes, args: argparse.Namespace, now: str, settings: Settings
) -> Mapping[str, object]:
    tail = Tail("trial", args.workload or rule.workload or "example")
    found = try_line(rule, line, now=now, stream=args.stream, tail=tail, node=settings.scanner.node_name)
    event = None if found.event is None else msgspec.to_builtins(found.event)
    return {
        "rule": rule.name,
        "workload": rule.workload or "(all)",
        "matched": found.matched,
        "severity": None if found.event is None else found.event.severity,
        "message": None if found.event is None else found.event.message,
        "reason": found.reason or None,
        **({"captures": dict(found.captures), "event": event} if args.output == "json" else {}),
    }


def _of_files(sources: Sequence[str]) -> list[ScanRule]:
    """The rules in these files, each with an id of its own."""
    return [
        one.draft.to_rule(
            # Apart from ids that the files themselves speak of.
            rule_id=one.draft.id or MAX_ID - number,
            set_name="",
            updated_by="",
            updated_at=None,
            overrides=one.draft.overrides,
        )
        for number, one in enumerate(drafts_of_files(SCAN.files, sources), 1)
    ]


def _of_table(args: argparse.Namespace, settings: Settings) -> list[ScanRule]:
    with table_store(args, settings) as store:
        snapshot = store.read()
    if not snapshot.rules:
        raise CommandFailed("there is no scan rule in the table: apply some, or give files with --rule")
    return list(snapshot.rules.values())
