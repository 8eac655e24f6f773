"""`tocsin deliveries get`: one job, what was tried, where it is now and why."""

import argparse
from collections.abc import Mapping

from processor.cli.connecting import connected
from processor.cli.errors import DONE, CommandFailed
from processor.cli.output import add_output_flag, print_fields, print_json, print_rows
from processor.cli.parser import Subparsers
from processor.cli.rules.store import rule_store
from processor.cli.times import format_ms, now_ms
from processor.cli.waiting import add_timeout_flag
from processor.delivery.finding import find_job
from processor.delivery.lookup import Lookup
from processor.settings import Settings

_COLUMNS = ("time", "attempt", "outcome", "reason", "stage", "status", "duration_ms", "origin", "error")


def add_action(actions: Subparsers) -> None:
    """Add `get`."""
    parser = actions.add_parser("get", help="one job: its attempts, where it is now, and why it waits")
    parser.add_argument("job", metavar="JOB", help="the job's id, which receivers get as webhook-id")
    add_output_flag(parser)
    add_timeout_flag(parser)
    parser.set_defaults(run_action=_run)


def _run(args: argparse.Namespace, settings: Settings) -> int:
    with rule_store(args, settings) as store:
        snapshot = store.read()
    with connected(args, settings) as cluster:
        lookup = Lookup(settings, cluster, args.timeout)
        found = find_job(lookup, args.job, snapshot, now_ms)
    if found is None:
        raise CommandFailed(
            f"nothing is known of a job {args.job}: it waits nowhere, and neither the audit trail nor the"
            " dead letters go back to it"
        )
    fields, attempts = found.fields(snapshot), found.attempts()
    if args.output == "json":
        print_json({**fields, "attempts": attempts})
        return DONE
    print_fields(_for_people(fields))
    if attempts:
        print()
        rows = [{**record, "time": format_ms(record["started_at_ms"])} for record in attempts]
        print_rows(rows, _COLUMNS, "table")
    return DONE


def _for_people(fields: Mapping[str, object]) -> dict[str, object]:
    rule, name, why = fields["rule_id"], fields["rule_name"], fields["why"]
    shown = {
        "job": fields["job_id"],
        "rule": f"{rule} ({name})" if rule is not None and name else rule,
        "state": f"{fields['state']}: {why}" if why else fields["state"],
        "because": fields["detail"] or None,
    }
    due = fields["due_ms"]
    if isinstance(due, int):
        what = "due since" if due <= now_ms() else "due at"
        shown["next"] = f"attempt {fields['next_attempt']}, {what} {format_ms(due)}"
    if fields["topic"] is not None:
        shown["in"] = f"{fields['topic']}, partition {fields['partition']}, offset {fields['offset']}"
    return {name: value for name, value in shown.items() if value is not None}
