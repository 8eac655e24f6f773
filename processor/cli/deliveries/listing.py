"""`tocsin deliveries list`: the audit trail."""

import argparse
import logging
from collections.abc import Iterable, Iterator, Mapping
from datetime import timedelta
from itertools import chain

import msgspec

from processor.cli.connecting import connected
from processor.cli.errors import DONE
from processor.cli.output import add_output_flag, print_rows, print_stream
from processor.cli.parser import Subparsers
from processor.cli.times import add_since, format_ms, now_ms
from processor.cli.waiting import add_timeout_flag
from processor.delivery.lookup import Lookup, audit_entry
from processor.delivery.outcome import Kind
from processor.delivery.trail import AuditRecord, Newest, Place, Wanted
from processor.kafka.records import InRecord
from processor.settings import Settings

log = logging.getLogger(__name__)

COLUMNS = {
    "time": 20,
    "job_id": 36,
    "rule": 16,
    "attempt": 7,
    "outcome": 9,
    "reason": 9,
    "status": 6,
    "duration_ms": 11,
    "origin": 28,
    "next_attempt": 20,
    "error": 0,
}
"""And how wide each is while following, where what is to come isn't known."""

_DAY = timedelta(days=1) // timedelta(milliseconds=1)


def add_action(actions: Subparsers) -> None:
    """Add `list`."""
    parser = actions.add_parser("list", help="what became of jobs: attempts and decisions, the newest last")
    parser.add_argument("--rule", metavar="ID|NAME", help="only of this rule; a name as it was at the time")
    parser.add_argument("--job", metavar="JOB", help="only of this job")
    parser.add_argument(
        "--outcome",
        action="append",
        default=[],
        choices=[kind.value for kind in Kind],
        help="only with this outcome; may be repeated",
    )
    add_since(parser, "from then on (default: 24h; with --job: all there is)")
    parser.add_argument(
        "-f", "--follow", action="store_true", help="go on with what comes, until interrupted"
    )
    parser.add_argument(
        "--limit", type=_limit, default=1_000, metavar="N", help="the newest N (default: 1000), 0 for all"
    )
    add_output_flag(parser)
    add_timeout_flag(parser)
    parser.set_defaults(run_action=_run)


def _run(args: argparse.Namespace, settings: Settings) -> int:
    wanted = Wanted(args.rule, args.job, frozenset(args.outcome))
    since = args.since
    if since is None:
        since = 0 if args.job else now_ms() - _DAY
    with connected(args, settings) as cluster:
        lookup = Lookup(settings, cluster, args.timeout)
        # One job's records are on one partition, most likely; following starts where all of them end now.
        whole = lookup.audit(since) if args.follow or not args.job else []
        entries = _entries(lookup.read(whole)) if whole else lookup.trail(args.job)
        newest = Newest(args.limit)
        for place, record in entries:
            if place.at_ms >= since and wanted.takes(record):
                newest.add(place, record)
        found = [record for _, record in newest.records()]
        if newest.left_out:
            log.warning(
                "older records are left out: raise --limit", extra={"fields": {"records": newest.left_out}}
            )
        if not args.follow:
            print_rows([_row(record, args.output) for record in found], list(COLUMNS), args.output)
            return DONE
        later = (record for _, record in _entries(lookup.follow(whole)) if wanted.takes(record))
        try:
            print_stream((_row(record, args.output) for record in chain(found, later)), COLUMNS, args.output)
        except KeyboardInterrupt:
            pass  # that is how following ends
    return DONE


def _entries(records: Iterable[InRecord]) -> Iterator[tuple[Place, AuditRecord]]:
    return (entry for record in records if (entry := audit_entry(record)) is not None)


def _row(record: AuditRecord, output: str) -> Mapping[str, object]:
    """The record as it is; for a table, times and the rule in a form for people."""
    fields: dict[str, object] = msgspec.to_builtins(record)
    if output == "json":
        return fields
    return {
        **fields,
        "time": format_ms(record.started_at_ms),
        "rule": record.rule_name or record.rule_id,
        "next_attempt": format_ms(record.next_attempt_at_ms),
    }


def _limit(text: str) -> int:
    if not (text.isascii() and text.isdigit()):
        raise argparse.ArgumentTypeError(f"expected a whole number from 0 (got {text[:40]!r})")
    return int(text)
