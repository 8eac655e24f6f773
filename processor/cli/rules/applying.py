"""`tocsin rules|scan-rules apply`: make the table what the files say."""

import argparse
import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from processor.cli.colours import coloured_diff, wants_colours
from processor.cli.errors import DONE, CommandFailed, UsageError
from processor.cli.output import add_output_flag, print_rows
from processor.cli.parser import Subparsers
from processor.cli.rules.checking import add_file_flag, read_files_of, refuse
from processor.cli.rules.kind import AnyFiles, AnyPlan, AnyStep, Kind, kind_of
from processor.cli.rules.progress import Progress
from processor.cli.rules.store import table_store
from processor.cli.waiting import add_timeout_flag
from processor.rules.building import Applied
from processor.rules.files import DocumentProblem
from processor.rules.planning import Plan, Step
from processor.settings import Settings

_COLUMNS = ("action", "name", "id", "reason")


def add_actions(actions: Subparsers, _: Kind) -> None:
    """Add `apply`."""
    parser = actions.add_parser(
        "apply",
        help="create and update the rules in files, matched by name; all of them or none",
        description="Creates and updates the rules in files, matched by name. If one of them is invalid,"
        " nothing is applied, unless --partial is given, and the exit code is 1 either way.",
    )
    add_file_flag(parser)
    parser.add_argument("--set", metavar="NAME", help="put every rule applied into this set")
    parser.add_argument(
        "--prune", action="store_true", help="delete the rules of the set (--set) that the files don't have"
    )
    parser.add_argument("--yes", action="store_true", help="let --prune leave the set empty")
    parser.add_argument(
        "--partial",
        action="store_true",
        help="apply the valid rules although others are invalid; nothing is pruned then",
    )
    parser.add_argument(
        "--dry-run", action="store_true", help="show what would be done, as a diff; change nothing"
    )
    add_output_flag(parser)
    add_timeout_flag(parser)
    parser.set_defaults(run_action=_run)


class _Stop(Exception):  # noqa: N818  (ends the planning from inside the store)
    """The plan can't be made so."""

    def __init__(self, plan: AnyPlan) -> None:
        super().__init__()
        self.plan = plan


def _run(args: argparse.Namespace, settings: Settings) -> int:
    _check_flags(args)
    kind = kind_of(args)
    with Progress(sys.stderr) as progress:
        read = read_files_of(kind.files, args.file, lambda done: progress.report("rules checked", done))
    if read.problems and args.partial:
        read = read.without_problems()
    problem_rows = list(_problem_rows(read.problems, args.output))
    if read.problems and not (args.partial and read.wanted.drafts):
        print_rows(problem_rows, _COLUMNS, args.output)
        raise refuse(read.problems, read.documents, ", nothing was applied")
    if not read.documents and not args.prune:
        raise CommandFailed(f"there are no rules in {', '.join(args.file)}")
    kind.warn(read, settings)
    try:
        steps = _steps(args, settings, read)
    except _Stop as stop:
        if not stop.plan.invalid:
            raise CommandFailed(
                f"this would delete every rule of the set {args.set}; add --yes if that is meant"
            ) from None
        print_rows([_row(step) for step in stop.plan.invalid], _COLUMNS, args.output)
        raise CommandFailed(
            f"invalid rules: {len(stop.plan.invalid)} of {len(stop.plan.steps)}, nothing was applied"
        ) from None
    if args.dry_run and args.output != "json":
        _print_differences(kind, steps)
    print_rows([*map(_row, steps), *problem_rows], _COLUMNS, args.output)
    invalid = len({problem.place for problem in read.problems}) + sum(s.action == "invalid" for s in steps)
    if invalid:
        then = "would be applied" if args.dry_run else "were applied"
        raise CommandFailed(f"invalid rules: {invalid} of {read.documents}, only the others {then}")
    return DONE


def _check_flags(args: argparse.Namespace) -> None:
    if not args.file:
        raise UsageError(f"{kind_of(args).command} apply takes -f FILE, a directory, or - for standard input")
    if args.set == "":
        raise UsageError("--set takes a name")
    if args.prune and args.set is None:
        raise UsageError("--prune needs --set NAME: it deletes only what was applied under the same set")


def _steps(args: argparse.Namespace, settings: Settings, read: AnyFiles) -> Sequence[AnyStep]:
    make_plan = kind_of(args).make_plan
    plan: AnyPlan = Plan((), ())
    # Whatever can't be read may be a rule of the set.
    prune = args.prune and not read.problems

    def planner(snapshot: Any) -> Sequence[Any]:
        nonlocal plan
        plan = make_plan(
            read.wanted, snapshot, settings, set_name=args.set, prune=prune, partial=args.partial
        )
        refused = plan.invalid and not args.partial
        if refused or (plan.empties_set and not args.yes and not args.dry_run):
            raise _Stop(plan)
        return plan.changes

    with table_store(args, settings) as store:
        if args.dry_run:
            planner(store.read())
            return plan.steps
        applied = store.transact(planner)
    return _as_applied(plan, applied)


def _as_applied(plan: AnyPlan, applied: Sequence[Applied[Any]]) -> Sequence[AnyStep]:
    """The steps as they came out: a large write is planned again after each of its transactions."""
    written = {one.rule.identity: one for one in applied if one.rule is not None}
    steps: list[AnyStep] = []
    for step in plan.steps:
        one = None if step.after is None else written.get(step.after.identity)
        if one is not None:
            steps.append(Step(one.action, step.name, one.id))
        elif step.action != "deleted":
            steps.append(step)
    return [*steps, *(Step("deleted", one.name, one.id) for one in applied if one.action == "deleted")]


def _print_differences(kind: Kind, steps: Iterable[AnyStep]) -> None:
    colours = wants_colours(sys.stdout)
    for step in steps:
        lines = list(kind.difference(step))
        if lines:
            print("\n".join(coloured_diff(lines) if colours else lines), end="\n\n")


def _row(step: AnyStep) -> Mapping[str, object]:
    return {"action": step.action, "name": step.name, "id": step.id, "reason": step.reason or None}


def _problem_rows(problems: Iterable[DocumentProblem], output: str) -> Iterable[Mapping[str, object]]:
    for problem in problems:
        lines = list(problem.lines())
        for line in ["; ".join(lines)] if output == "json" else lines:
            yield {"action": "invalid", "name": problem.name, "id": None, "reason": line}
