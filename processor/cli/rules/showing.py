"""`tocsin rules list|get|export`: what is in the table. Secrets never are shown."""

import argparse
import logging
import sys
from collections.abc import Iterable, Mapping

from processor.cli.errors import DONE
from processor.cli.output import print_json, print_rows
from processor.cli.parser import Subparsers
from processor.cli.rules.finding import add_reference, check_reference, find
from processor.cli.rules.store import rule_store
from processor.cli.waiting import add_timeout_flag
from processor.rules import InvalidRule, RuleSnapshot, TriggerRule
from processor.rules.documents import write_yaml
from processor.rules.fields import format_time
from processor.rules.files import TABLE_KIND
from processor.rules.table import Ids
from processor.rules.view import exported, shown
from processor.settings import Settings

log = logging.getLogger(__name__)

_COLUMNS = ("key", "name", "status", "enabled", "set", "target", "reason")
_WIDE = (*_COLUMNS[:-1], "severity", "source", "paused", "muted_until", "updated_by", "updated_at", "reason")


def add_actions(actions: Subparsers) -> None:
    """Add `list`, `get` and `export`."""
    listing = actions.add_parser("list", help="list all rules, the invalid ones with the reason")
    listing.add_argument(
        "-o",
        "--output",
        choices=("table", "wide", "json", "yaml"),
        default="table",
        help="table (the default), wide: with more columns, json, or yaml: the same as json",
    )
    listing.set_defaults(run_action=_list)
    getting = actions.add_parser("get", help="show one rule, secrets as ***")
    add_reference(getting)
    getting.add_argument(
        "-o",
        "--output",
        choices=("yaml", "json"),
        default="yaml",
        help="yaml (the default): the rule; json: as list",
    )
    getting.set_defaults(run_action=_get)
    exporting = actions.add_parser(
        "export", help="print all rules as YAML that `rules apply` takes back, ids included; secrets as ***"
    )
    exporting.add_argument(
        "--with-sealed",
        action="store_true",
        help="include sealed secrets as they are stored, for an installation with the same secrets.keys",
    )
    exporting.set_defaults(run_action=_export)
    for parser in (listing, getting, exporting):
        add_timeout_flag(parser)


def _list(args: argparse.Namespace, settings: Settings) -> int:
    with rule_store(args, settings) as store:
        snapshot = store.read()
    if args.output == "json":
        print_json(list(_entries(snapshot)))
    elif args.output == "yaml":
        write_yaml(list(_entries(snapshot)), sys.stdout)
    else:
        columns = _WIDE if args.output == "wide" else _COLUMNS
        print_rows([_row(entry, snapshot) for entry in _entries(snapshot)], columns, "table")
    return DONE


def _get(args: argparse.Namespace, settings: Settings) -> int:
    check_reference(args)
    with rule_store(args, settings) as store:
        snapshot = store.read()
    rule = find(snapshot, args).rule
    if args.output == "json":
        print_json(_entry(rule, snapshot))
    elif isinstance(rule, TriggerRule):
        write_yaml(shown(rule), sys.stdout)
    else:
        write_yaml(_entry(rule, snapshot), sys.stdout)
    return DONE


def _export(args: argparse.Namespace, settings: Settings) -> int:
    with rule_store(args, settings) as store:
        snapshot = store.read()
    write_yaml({"kind": TABLE_KIND, "next_id": Ids(snapshot).after_all()}, sys.stdout)
    left_out = 0
    for rule in snapshot.rules.values():
        write_yaml(exported(rule, with_sealed=args.with_sealed), sys.stdout)
        left_out += sum(1 for _, secret in rule.secrets() if secret.is_plain or not args.with_sealed)
    if left_out:
        log.warning(
            "secrets are not in the export, *** stands for each", extra={"fields": {"secrets": left_out}}
        )
    if snapshot.invalid:
        log.warning(
            "invalid records are not in the export", extra={"fields": {"records": len(snapshot.invalid)}}
        )
    return DONE


def _entries(snapshot: RuleSnapshot) -> Iterable[dict[str, object]]:
    """Everything in the table in the order of the ids, keys that are none last."""
    records: list[TriggerRule | InvalidRule] = [*snapshot.rules.values(), *snapshot.invalid.values()]
    last = float("inf")
    records.sort(key=lambda rule: (rule.id or last, rule.key if isinstance(rule, InvalidRule) else ""))
    return (_entry(rule, snapshot) for rule in records)


def _entry(rule: TriggerRule | InvalidRule, snapshot: RuleSnapshot) -> dict[str, object]:
    """The contract's shape: id, key, status, reason, offset, rule."""
    if isinstance(rule, InvalidRule):
        return {
            "id": rule.id,
            "key": rule.key,
            "status": "invalid",
            "reason": rule.reason,
            "offset": rule.offset,
            "rule": None,
        }
    unsealed = rule.unsealed()
    return {
        "id": rule.id,
        "key": str(rule.id),
        "status": "valid",
        "reason": f"unsealed: {', '.join(unsealed)}" if unsealed else None,
        "offset": snapshot.offsets[rule.id],
        "rule": shown(rule),
    }


def _row(entry: Mapping[str, object], snapshot: RuleSnapshot) -> Mapping[str, object]:
    rule_id = entry["id"]
    rule = snapshot.rules.get(rule_id) if isinstance(rule_id, int) else None
    if rule is None:
        invalid = next(one for one in snapshot.invalid.values() if one.key == entry["key"])
        return {**entry, "name": invalid.name}
    return {
        **entry,
        "name": rule.name,
        "enabled": rule.enabled,
        "set": rule.set,
        "target": rule.origin or "(a reference)",
        "severity": ",".join(rule.filter_severity),
        "source": ",".join(rule.filter_source),
        "paused": rule.paused,
        "muted_until": format_time(rule.muted_until) if rule.muted_until else None,
        "updated_by": rule.updated_by,
        "updated_at": format_time(rule.updated_at) if rule.updated_at else None,
    }
