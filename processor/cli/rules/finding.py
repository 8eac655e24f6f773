"""Which record somebody means by an id, a name or a key."""

import argparse
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from processor.cli.errors import CommandFailed, UsageError
from processor.cli.rules.kind import Kind, kind_of
from processor.rules import InvalidRule, RuleSnapshot
from processor.rules.numbered import Snapshot


@dataclass(frozen=True, slots=True)
class Found:
    """A record of the table and its key."""

    key: bytes
    rule: Any


def add_reference(parser: argparse.ArgumentParser, kind: Kind) -> None:
    """`ID|NAME` or `--key KEY`, as `args.rule` and `args.key`; with `--workload` where rules have one."""
    parser.add_argument("rule", nargs="?", metavar="ID|NAME", help="the rule's id or its name")
    parser.add_argument(
        "--key", help=f"the record's key as `{kind.command} list` shows it, for one that is no id"
    )
    add_workload(parser, kind)


def add_workload(parser: argparse.ArgumentParser, kind: Kind) -> None:
    """`--workload`, where rules have one."""
    if kind.has_workloads:
        parser.add_argument(
            "--workload", metavar="NAME", help="only this workload's own rules; empty: only global ones"
        )


def check_reference(args: argparse.Namespace) -> None:
    """Raises UsageError unless exactly one of the two was given."""
    if (args.rule is None) == (args.key is None):
        raise UsageError(f"{kind_of(args).command} {args.action} takes an id, a name, or --key KEY")


def find(snapshot: Snapshot[Any], args: argparse.Namespace) -> Found:
    """The one record that is meant; CommandFailed when there is none, or several."""
    records = _of_workload(_records(snapshot), args)
    if args.key is not None:
        meant = [found for found in records if _key(found) == args.key]
        return _one(meant, f"key {args.key!r}")
    return _named(records, args.rule)


def find_all(snapshot: Snapshot[Any], references: Iterable[str], args: argparse.Namespace) -> list[Found]:
    """The record that each id or name means; CommandFailed when one means none, or several."""
    records = _of_workload(_records(snapshot), args)
    return [_named(records, reference) for reference in references]


def rule_id_of(snapshot: RuleSnapshot, rule: str) -> int:
    """The id of the rule with this id or name; CommandFailed when there is none, or several."""
    found: int | None = find(snapshot, argparse.Namespace(rule=rule, key=None)).rule.id
    if found is None:
        raise CommandFailed(f"{rule!r} is a record whose key is no rule id: no job can be of it")
    return found


def in_workload(rule: Any, args: argparse.Namespace) -> bool:
    """Whether `--workload` takes a valid rule; without the flag it takes all."""
    wanted = getattr(args, "workload", None)
    return wanted is None or (rule.workload or "") == wanted


def _of_workload(records: list[Found], args: argparse.Namespace) -> list[Found]:
    """Those that `--workload` takes; an invalid record may be anybody's."""
    return [one for one in records if isinstance(one.rule, InvalidRule) or in_workload(one.rule, args)]


def _records(snapshot: Snapshot[Any]) -> list[Found]:
    records = [Found(str(rule_id).encode(), rule) for rule_id, rule in snapshot.rules.items()]
    return [*records, *(Found(key, rule) for key, rule in snapshot.invalid.items())]


def _named(records: Iterable[Found], wanted: str) -> Found:
    meant = [found for found in records if str(found.rule.id) == wanted or found.rule.name == wanted]
    return _one(meant, f"rule {wanted!r}")


def _one(meant: Sequence[Found], what: str) -> Found:
    if not meant:
        raise CommandFailed(f"there is no {what}")
    if len(meant) > 1:
        keys = ", ".join(_key(found) for found in meant)
        raise CommandFailed(f"{what} is ambiguous: give one of {keys} as --key")
    return meant[0]


def _key(found: Found) -> str:
    return found.rule.key if isinstance(found.rule, InvalidRule) else found.key.decode()
