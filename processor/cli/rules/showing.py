"""`tocsin rules|scan-rules list|get|export`: what is in the table. Secrets never are shown."""

import argparse
import logging
import sys
from collections.abc import Iterable, Mapping
from typing import Any

from processor.cli.errors import DONE
from processor.cli.output import print_json, print_rows
from processor.cli.parser import Subparsers
from processor.cli.rules.finding import add_reference, add_workload, check_reference, find, in_workload
from processor.cli.rules.kind import Kind, kind_of
from processor.cli.rules.store import table_store
from processor.cli.waiting import add_timeout_flag
from processor.rules import InvalidRule
from processor.rules.documents import write_yaml
from processor.rules.fields import format_time
from processor.rules.numbered import Ids, Snapshot
from processor.settings import Settings

log = logging.getLogger(__name__)


def add_actions(actions: Subparsers, kind: Kind) -> None:
    """Add `list`, `get` and `export`."""
    listing = actions.add_parser("list", help="list all rules, the invalid ones with the reason")
    listing.add_argument(
        "-o",
        "--output",
        choices=("table", "wide", "json", "yaml"),
        default="table",
        help="table (the default), wide: with more columns, json, or yaml: the same as json",
    )
    add_workload(listing, kind)
    listing.set_defaults(run_action=_list)
    getting = actions.add_parser("get", help=kind.words["get"])
    add_reference(getting, kind)
    getting.add_argument(
        "-o",
        "--output",
        choices=("yaml", "json"),
        default="yaml",
        help="yaml (the default): the rule; json: as list",
    )
    getting.set_defaults(run_action=_get)
    exporting = actions.add_parser("export", help=kind.words["export"])
    if kind.has_sealed:
        exporting.add_argument(
            "--with-sealed",
            action="store_true",
            help="include sealed secrets as they are stored, for an installation with the same secrets.keys",
        )
    exporting.set_defaults(run_action=_export, with_sealed=False)
    for parser in (listing, getting, exporting):
        add_timeout_flag(parser)


def _list(args: argparse.Namespace, settings: Settings) -> int:
    with table_store(args, settings) as store:
        snapshot = store.read()
    kind = kind_of(args)
    entries = list(_entries(kind, snapshot, args))
    if args.output == "json":
        print_json(entries)
    elif args.output == "yaml":
        write_yaml(entries, sys.stdout)
    else:
        columns = kind.wide if args.output == "wide" else kind.columns
        print_rows([_row(kind, entry, snapshot) for entry in entries], columns, "table")
    return DONE


def _get(args: argparse.Namespace, settings: Settings) -> int:
    check_reference(args)
    with table_store(args, settings) as store:
        snapshot = store.read()
    rule, kind = find(snapshot, args).rule, kind_of(args)
    if args.output == "json":
        print_json(_entry(kind, rule, snapshot))
    elif isinstance(rule, InvalidRule):
        write_yaml(_entry(kind, rule, snapshot), sys.stdout)
    else:
        write_yaml(kind.shown(rule), sys.stdout)
    return DONE


def _export(args: argparse.Namespace, settings: Settings) -> int:
    with table_store(args, settings) as store:
        snapshot = store.read()
    kind = kind_of(args)
    write_yaml({"kind": kind.files.table_kind, "next_id": Ids(snapshot).after_all()}, sys.stdout)
    left_out = 0
    for rule in snapshot.rules.values():
        write_yaml(kind.exported(rule, snapshot, args.with_sealed), sys.stdout)
        left_out += kind.left_out(rule, args.with_sealed)
    if left_out:
        log.warning(
            "secrets are not in the export, *** stands for each", extra={"fields": {"secrets": left_out}}
        )
    if snapshot.invalid:
        log.warning(
            "invalid records are not in the export", extra={"fields": {"records": len(snapshot.invalid)}}
        )
    return DONE


def _entries(kind: Kind, snapshot: Snapshot[Any], args: argparse.Namespace) -> Iterable[dict[str, object]]:
    """Everything in the table in the order of the ids, keys that are none last."""
    records: list[Any] = [rule for rule in snapshot.rules.values() if in_workload(rule, args)]
    if getattr(args, "workload", None) is None:
        records += snapshot.invalid.values()
    last = float("inf")
    records.sort(key=lambda rule: (rule.id or last, rule.key if isinstance(rule, InvalidRule) else ""))
    return (_entry(kind, rule, snapshot) for rule in records)


def _entry(kind: Kind, rule: Any, snapshot: Snapshot[Any]) -> dict[str, object]:
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
    return {
        "id": rule.id,
        "key": str(rule.id),
        "status": "valid",
        "reason": kind.remark(rule),
        "offset": snapshot.offsets[rule.id],
        "rule": kind.shown(rule),
    }


def _row(kind: Kind, entry: Mapping[str, object], snapshot: Snapshot[Any]) -> Mapping[str, object]:
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
        "updated_by": rule.updated_by,
        "updated_at": format_time(rule.updated_at) if rule.updated_at else None,
        **kind.row(rule),
    }
