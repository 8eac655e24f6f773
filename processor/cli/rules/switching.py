"""`tocsin rules|scan-rules enable|disable`, `tocsin rules mute|unmute|pause|resume`: one field of one or
several rules.
"""

import argparse
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from functools import partial
from typing import Any

from processor.cli.errors import DONE, CommandFailed, UsageError
from processor.cli.output import add_output_flag, print_rows
from processor.cli.parser import Subparsers
from processor.cli.rules.finding import add_workload, find_all, in_workload
from processor.cli.rules.kind import Kind, kind_of
from processor.cli.rules.store import table_store
from processor.cli.times import moment, now_ms, span
from processor.cli.waiting import add_timeout_flag
from processor.rules import InvalidRule, Update
from processor.rules.fields import format_time
from processor.rules.numbered import Snapshot
from processor.settings import Settings

_COLUMNS = ("action", "name", "id", "reason")

Fields = Mapping[str, object]


def add_actions(actions: Subparsers, kind: Kind) -> None:
    """Add `enable` and `disable`."""
    _add(actions, kind, "enable", kind.words["enable"], lambda _: {"enabled": True})
    _add(actions, kind, "disable", kind.words["disable"], lambda _: {"enabled": False})


def add_holds(actions: Subparsers, kind: Kind) -> None:
    """Add the four that are about webhooks."""
    mute = _add(actions, kind, "mute", "cancel what rules would send until a time", _muted)
    until = mute.add_mutually_exclusive_group(required=True)
    until.add_argument(
        "--for", dest="until", type=_for, metavar="DURATION", help="from now on so long, such as 30m"
    )
    until.add_argument(
        "--until", dest="until", type=moment, metavar="TIME", help="such as 2026-11-23T10:00:00Z"
    )
    _add(actions, kind, "unmute", "end the muting of rules", lambda _: {"muted_until": None})
    _add(actions, kind, "pause", "hold the jobs of rules, for 30 days at most", lambda _: {"paused": True})
    _add(actions, kind, "resume", "send what paused rules held", lambda _: {"paused": False})


def _add(
    actions: Subparsers, kind: Kind, name: str, summary: str, change: Callable[[argparse.Namespace], Fields]
) -> argparse.ArgumentParser:
    parser = actions.add_parser(name, help=summary)
    parser.add_argument("rules", nargs="*", metavar="ID|NAME", help="ids or names of rules")
    parser.add_argument("--set", metavar="NAME", help="all rules of this set instead")
    add_workload(parser, kind)
    add_output_flag(parser)
    add_timeout_flag(parser)
    parser.set_defaults(run_action=partial(_run, change))
    return parser


def _muted(args: argparse.Namespace) -> Fields:
    return {"muted_until": format_time(args.until)}


def _for(text: str) -> datetime:
    return datetime.fromtimestamp(now_ms() // 1000, UTC) + span(text)


def _run(change: Callable[[argparse.Namespace], Fields], args: argparse.Namespace, settings: Settings) -> int:
    if bool(args.rules) == (args.set is not None):
        raise UsageError(f"{kind_of(args).command} {args.action} takes ids or names of rules, or --set NAME")
    fields, redraft = change(args), kind_of(args).redraft
    chosen: dict[int, Any] = {}
    written: set[int] = set()

    def planner(snapshot: Snapshot[Any]) -> Sequence[Update[Any]]:
        nonlocal chosen
        chosen = _chosen(snapshot, args)
        updates: list[Update[Any]] = []
        for rule in chosen.values():
            draft = redraft(rule, **fields)
            if any(getattr(draft, name) != getattr(rule, name) for name in fields):
                updates.append(Update(rule.id, draft))
        return updates

    with table_store(args, settings) as store:
        written = {one.id for one in store.transact(planner) if one.id is not None}
    rows = [
        {"action": "updated" if rule.id in written else "unchanged", "name": rule.name, "id": rule.id}
        for rule in chosen.values()
    ]
    print_rows([{**row, "reason": None} for row in rows], _COLUMNS, args.output)
    return DONE


def _chosen(snapshot: Snapshot[Any], args: argparse.Namespace) -> dict[int, Any]:
    """The rules that are meant, by id; CommandFailed when one isn't there or is invalid."""
    if args.set is not None:
        members = {
            rule.id: rule
            for rule in snapshot.rules.values()
            if rule.set == args.set and in_workload(rule, args)
        }
        if not members:
            raise CommandFailed(f"there is no rule in the set {args.set!r}")
        return members
    chosen: dict[int, Any] = {}
    for found in find_all(snapshot, args.rules, args):
        if isinstance(found.rule, InvalidRule):
            raise CommandFailed(
                f"rule {found.rule.key} is invalid, so it does nothing: apply a valid one, or delete it"
            )
        chosen[found.rule.id] = found.rule
    return chosen
