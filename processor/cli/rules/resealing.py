"""`tocsin rules reseal`: after a new key was put in front of secrets.keys, seal every secret with it."""

import argparse
import logging
from collections.abc import Sequence

from processor.cli.errors import DONE, CommandFailed
from processor.cli.output import add_output_flag, print_rows
from processor.cli.parser import Subparsers
from processor.cli.rules.store import rule_store
from processor.cli.waiting import add_timeout_flag
from processor.rules import Change, KeyRing, RuleSnapshot
from processor.rules.reseal import ResealPlan, ResealStep, plan_reseal
from processor.settings import Settings

log = logging.getLogger(__name__)

_COLUMNS = ("action", "name", "id", "reason")
_NAMED = 20


def add_actions(actions: Subparsers) -> None:
    """Add `reseal`."""
    parser = actions.add_parser(
        "reseal",
        help="seal all secrets with the first key of secrets.keys",
        description="Opens every sealed secret with any key of secrets.keys and seals it with the first one;"
        " so does it with secrets that plain producers left open. Once it succeeds, the other keys are no"
        " longer needed. Exits 1 and names the rules if some can't be opened; the others are sealed all the"
        " same.",
    )
    parser.add_argument("--dry-run", action="store_true", help="say what would be done, change nothing")
    add_output_flag(parser)
    add_timeout_flag(parser)
    parser.set_defaults(run_action=_run)


def _run(args: argparse.Namespace, settings: Settings) -> int:
    keys = KeyRing.of(settings)
    if not keys.can_seal:
        raise CommandFailed(
            "there is no key in secrets.keys to seal with; make one with `tocsin secrets new-key`"
        )
    plan = ResealPlan()
    invalid = 0
    done: set[int] = set()

    def planner(snapshot: RuleSnapshot) -> Sequence[Change]:
        nonlocal plan, invalid
        plan, invalid = plan_reseal(snapshot, keys), len(snapshot.invalid)
        return plan.changes

    with rule_store(args, settings) as store:
        if args.dry_run:
            planner(store.read())
        else:
            # A large table takes several transactions and is planned again after each; what those before the
            # last have written is unchanged in the last plan.
            done = {one.id for one in store.transact(planner) if one.id is not None}
    print_rows([_row(step, step.id in done) for step in plan.steps], _COLUMNS, args.output)
    if invalid:
        log.warning("invalid records are left as they are", extra={"fields": {"records": invalid}})
    if plan.failed:
        raise CommandFailed(f"rules with secrets that can't be opened: {_names(plan.failed)}")
    return DONE


def _row(step: ResealStep, done: bool) -> dict[str, object]:
    action = "resealed" if done and step.action == "unchanged" else step.action
    return {"action": action, "name": step.name, "id": step.id, "reason": step.reason or None}


def _names(failed: Sequence[ResealStep]) -> str:
    named = ", ".join(f"{step.name} ({step.id})" for step in failed[:_NAMED])
    return named if len(failed) <= _NAMED else f"{named} and {len(failed) - _NAMED} more"
