"""`tocsin rules enable|disable|mute|unmute|pause|resume`: one field of one or several rules."""

import argparse
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from functools import partial

from processor.cli.errors import DONE, CommandFailed, UsageError
from processor.cli.output import add_output_flag, print_rows
from processor.cli.parser import Subparsers
from processor.cli.rules.finding import find_all
from processor.cli.rules.store import rule_store
from processor.cli.times import moment, now_ms, span
from processor.cli.waiting import add_timeout_flag
from processor.rules import Change, InvalidRule, RuleSnapshot, TriggerRule, Update
from processor.rules.fields import format_time
from processor.rules.redraft import redraft
from processor.settings import Settings

_COLUMNS = ("action", "name", "id", "reason")

Fields = Mapping[str, object]


def add_actions(actions: Subparsers) -> None:
    """Add the six switches."""
    _add(actions, "enable", "let rules fire again", lambda _: {"enabled": True})
    _add(
        actions, "disable", "let rules fire nothing; waiting jobs are cancelled", lambda _: {"enabled": False}
    )
    mute = _add(actions, "mute", "cancel what rules would send until a time", _muted)
    until = mute.add_mutually_exclusive_group(required=True)
    until.add_argument(
        "--for", dest="until", type=_for, metavar="DURATION", help="from now on so long, such as 30m"
    )
    until.add_argument(
        "--until", dest="until", type=moment, metavar="TIME", help="such as 2026-11-23T10:00:00Z"
    )
    _add(actions, "unmute", "end the muting of rules", lambda _: {"muted_until": None})
    _add(actions, "pause", "hold the jobs of rules, for 30 days at most", lambda _: {"paused": True})
    _add(actions, "resume", "send what paused rules held", lambda _: {"paused": False})


def _add(
    actions: Subparsers, name: str, summary: str, change: Callable[[argparse.Namespace], Fields]
) -> argparse.ArgumentParser:
    parser = actions.add_parser(name, help=summary)
    parser.add_argument("rules", nargs="*", metavar="ID|NAME", help="ids or names of rules")
    parser.add_argument("--set", metavar="NAME", help="all rules of this set instead")
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
        raise UsageError(f"rules {args.action} takes ids or names of rules, or --set NAME")
    fields = change(args)
    chosen: dict[int, TriggerRule] = {}
    written: set[int] = set()

    def planner(snapshot: RuleSnapshot) -> Sequence[Change]:
        nonlocal chosen
        chosen = _chosen(snapshot, args)
        updates: list[Change] = []
        for rule in chosen.values():
            draft = redraft(rule, **fields)
            if any(getattr(draft, name) != getattr(rule, name) for name in fields):
                updates.append(Update(rule.id, draft))
        return updates

    with rule_store(args, settings) as store:
        written = {one.id for one in store.transact(planner) if one.id is not None}
    rows = [
        {"action": "updated" if rule.id in written else "unchanged", "name": rule.name, "id": rule.id}
        for rule in chosen.values()
    ]
    print_rows([{**row, "reason": None} for row in rows], _COLUMNS, args.output)
    return DONE


def _chosen(snapshot: RuleSnapshot, args: argparse.Namespace) -> dict[int, TriggerRule]:
    """The rules that are meant, by id; CommandFailed when one isn't there or is invalid."""
    if args.set is not None:
        members = {rule.id: rule for rule in snapshot.rules.values() if rule.set == args.set}
        if not members:
            raise CommandFailed(f"there is no rule in the set {args.set!r}")
        return members
    chosen: dict[int, TriggerRule] = {}
    for found in find_all(snapshot, args.rules):
        if isinstance(found.rule, InvalidRule):
            raise CommandFailed(
                f"rule {found.rule.key} is invalid, so it fires nothing: apply a valid one, or delete it"
            )
        chosen[found.rule.id] = found.rule
    return chosen
