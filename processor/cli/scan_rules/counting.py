"""`tocsin scan-rules stats`: what the scanners count, and how they are."""

import argparse
from collections.abc import Iterable, Mapping
from typing import Any

from processor.cli.connecting import connected
from processor.cli.errors import DONE
from processor.cli.output import add_output_flag, print_json, print_rows
from processor.cli.parser import Subparsers
from processor.cli.rules.finding import rule_id_of
from processor.cli.rules.store import table_store
from processor.cli.times import now_ms
from processor.cli.waiting import add_timeout_flag
from processor.kafka.config import client_config
from processor.kafka.records import headers_of
from processor.kafka.scan import read, stretches
from processor.scanning.report import ReportTable, ScannerReport, recent
from processor.scanning.shown import on_scanner, scanner, totals
from processor.scanning.stats import Scanned
from processor.settings import Settings

_RULES = ("id", "name", "workload", "hits", "suppressed", "dropped", "tails", "error")
_SCANNERS = ("node", "version", "stale", "reported_at", "tails", "lines", "lost_bytes", "lag_ms", "trouble")
_ON_SCANNERS = ("node", "stale", "started_at", "tails", "hits", "suppressed", "dropped")


def add_actions(actions: Subparsers) -> None:
    """Add `stats`."""
    parser = actions.add_parser(
        "stats",
        help="show what the scanners count for each scan rule, and how they are",
        description="Counts are since each scanner's start. One that missed three reports is stale.",
    )
    parser.add_argument("rule", nargs="?", metavar="ID|NAME", help="only this rule, on each scanner")
    add_output_flag(parser)
    add_timeout_flag(parser)
    parser.set_defaults(run_action=_run)


def _run(args: argparse.Namespace, settings: Settings) -> int:
    with table_store(args, settings) as store:
        snapshot = store.read()
    rule_id = None if args.rule is None else rule_id_of(snapshot, args.rule)
    now = now_ms()
    scanned = Scanned(recent(_reports(args, settings), now), snapshot.rules, now)
    if rule_id is not None:
        stats = scanned.of_rule(rule_id)
        each = [on_scanner(one, scanned) for one in stats.scanners]
        if args.output == "json":
            print_json({**totals(snapshot.rules, stats), "tails": stats.tails, "scanners": each})
        else:
            print_rows(each, _ON_SCANNERS, "table")
        return DONE
    rules = [
        {**totals(snapshot.rules, one), "tails": one.tails} for one in map(scanned.of_rule, snapshot.rules)
    ]
    scanners = [scanner(one, scanned) for one in scanned.reports]
    if args.output == "json":
        print_json({"rules": rules, "scanners": scanners})
        return DONE
    print_rows(map(_rule_row, rules), _RULES, "table")
    print()
    print_rows(map(_scanner_row, scanners), _SCANNERS, "table")
    return DONE


def _reports(args: argparse.Namespace, settings: Settings) -> Iterable[ScannerReport]:
    table = ReportTable()
    with connected(args, settings) as cluster:
        seconds = args.timeout.total_seconds()
        config = client_config(settings.kafka, settings.topics.name("cli-scanners"))
        whole = stretches(cluster, settings.topics.scanner_status, timeout=seconds)
        for batch in read(config, whole, patience=seconds):
            for record in batch:
                table.apply(record.key(), record.value(), headers_of(record), record.offset() or 0)
    return table.snapshot().values()


def _rule_row(rule: Mapping[str, Any]) -> Mapping[str, object]:
    errors = "; ".join(f"{one['node']}: {one['error']}" for one in rule["errors"])
    return {**rule, "workload": rule["workload"] or "(all)", "error": errors or None}


def _scanner_row(one: Mapping[str, Any]) -> Mapping[str, object]:
    sources = one["sources"]
    trouble = "; ".join(f"{source['name']}: {source['trouble']}" for source in sources if source["trouble"])
    return {**one, "tails": sum(source["tails"] for source in sources), "trouble": trouble or None}
