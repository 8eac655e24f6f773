"""Which record somebody means by an id, a name or a key."""

import argparse
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from processor.cli.errors import CommandFailed, UsageError
from processor.rules import InvalidRule, RuleSnapshot, TriggerRule


@dataclass(frozen=True, slots=True)
class Found:
    """A record of the table and its key."""

    key: bytes
    rule: TriggerRule | InvalidRule


def add_reference(parser: argparse.ArgumentParser) -> None:
    """`ID|NAME` or `--key KEY`, as `args.rule` and `args.key`."""
    parser.add_argument("rule", nargs="?", metavar="ID|NAME", help="the rule's id or its name")
    parser.add_argument("--key", help="the record's key as `rules list` shows it, for one that is no id")


def check_reference(args: argparse.Namespace) -> None:
    """Raises UsageError unless exactly one of the two was given."""
    if (args.rule is None) == (args.key is None):
        raise UsageError(f"rules {args.action} takes an id, a name, or --key KEY")


def find(snapshot: RuleSnapshot, args: argparse.Namespace) -> Found:
    """The one record that is meant; CommandFailed when there is none, or several."""
    records = _records(snapshot)
    if args.key is not None:
        meant = [found for found in records if _key(found) == args.key]
        return _one(meant, f"key {args.key!r}")
    return _named(records, args.rule)


def find_all(snapshot: RuleSnapshot, references: Iterable[str]) -> list[Found]:
    """The record that each id or name means; CommandFailed when one means none, or several."""
    records = _records(snapshot)
    return [_named(records, reference) for reference in references]


def rule_id_of(snapshot: RuleSnapshot, rule: str) -> int:
    """The id of the rule with this id or name; CommandFailed when there is none, or several."""
    found = find(snapshot, argparse.Namespace(rule=rule, key=None)).rule
    if found.id is None:
        raise CommandFailed(f"{rule!r} is a record whose key is no rule id: no job can be of it")
    return found.id


def _records(snapshot: RuleSnapshot) -> list[Found]:
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
