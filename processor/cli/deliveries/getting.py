"""`tocsin deliveries get`: one job, what was tried, where it is now and why."""

import argparse
from collections.abc import Mapping
from dataclasses import dataclass

import msgspec

from processor.cli.connecting import connected
from processor.cli.errors import DONE, CommandFailed
from processor.cli.output import add_output_flag, print_fields, print_json, print_rows
from processor.cli.parser import Subparsers
from processor.cli.rules.store import rule_store
from processor.cli.times import format_ms, now_ms
from processor.cli.waiting import add_timeout_flag
from processor.delivery.decide import decide
from processor.delivery.lookup import Death, Lookup, Trail, Waiting
from processor.delivery.outcome import Kind
from processor.delivery.whereabouts import Whereabouts, ended, waits
from processor.rules import RuleSnapshot
from processor.settings import Settings

_COLUMNS = ("time", "attempt", "outcome", "reason", "stage", "status", "duration_ms", "origin", "error")
_LOOKS = 2  # a job may be delivered between reading the trail and looking where it waits


def add_action(actions: Subparsers) -> None:
    """Add `get`."""
    parser = actions.add_parser("get", help="one job: its attempts, where it is now, and why it waits")
    parser.add_argument("job", metavar="JOB", help="the job's id, which receivers get as webhook-id")
    add_output_flag(parser)
    add_timeout_flag(parser)
    parser.set_defaults(run_action=_run)


@dataclass(frozen=True, slots=True)
class _Found:
    """Everything that was found of a job."""

    trail: Trail
    waiting: Waiting | None
    death: Death | None
    known: Whereabouts

    @property
    def rule_id(self) -> int | None:
        if self.waiting is not None and self.waiting.job is not None:
            return self.waiting.job.rule_id
        if self.trail:
            return self.trail[-1][1].rule_id
        return self.death.letter.rule_id if self.death is not None else None


def _run(args: argparse.Namespace, settings: Settings) -> int:
    with rule_store(args, settings) as store:
        snapshot = store.read()
    with connected(args, settings) as cluster:
        lookup = Lookup(settings, cluster, args.timeout)
        for _ in range(_LOOKS):
            found = _look(lookup, args.job, snapshot)
            if found.known.state != "unknown":
                break
    fields = _fields(args.job, found, snapshot)
    attempts = [msgspec.to_builtins(record) for _, record in found.trail]
    if args.output == "json":
        print_json({**fields, "attempts": attempts})
        return DONE
    print_fields(_for_people(fields))
    if attempts:
        print()
        rows = [{**record, "time": format_ms(record["started_at_ms"])} for record in attempts]
        print_rows(rows, _COLUMNS, "table")
    return DONE


def _look(lookup: Lookup, job_id: str, snapshot: RuleSnapshot) -> _Found:
    trail = lookup.trail(job_id)
    last = trail[-1][1] if trail else None
    rule_id = last.rule_id if last is not None else None
    waiting = lookup.place_of(job_id, rule_id)
    if waiting is not None:
        now = now_ms()
        decision = decide(snapshot, waiting.job, now) if waiting.job is not None else None
        why = waits(waiting, trail, decision, now_ms=now, senders=lookup.senders())
        return _Found(trail, waiting, None, why)
    death = None
    if last is None or last.outcome not in {Kind.DELIVERED, Kind.CANCELLED}:
        died_at = trail[-1][0].at_ms if last is not None and last.outcome == Kind.DEAD else None
        death = lookup.death(job_id, rule_id, died_at)
    known = ended(trail, death)
    if known is None:
        raise CommandFailed(
            f"nothing is known of a job {job_id}: it waits nowhere, and neither the audit trail nor the dead"
            " letters go back to it"
        )
    return _Found(trail, None, death, known)


def _fields(job_id: str, found: _Found, snapshot: RuleSnapshot) -> dict[str, object]:
    """What `-o json` prints, without the attempts."""
    waiting, known, rule_id = found.waiting, found.known, found.rule_id
    job = waiting.job if waiting is not None else None
    rule = snapshot.rules.get(rule_id) if rule_id is not None else None
    name = found.trail[-1][1].rule_name if found.trail else ""
    place = waiting.position if waiting is not None else None
    return {
        "job_id": job_id,
        "rule_id": rule_id,
        "rule_name": rule.name if rule is not None else name,
        "state": known.state,
        "why": known.why,
        "detail": known.detail,
        "next_attempt": known.next_attempt,
        "due_ms": known.due_ms,
        "topic": place.topic if place is not None else None,
        "partition": place.partition if place is not None else None,
        "offset": waiting.offset if waiting is not None else None,
        "deferrals": job.deferrals if job is not None else None,
        "redelivered": job.redelivered if job is not None else None,
    }


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
