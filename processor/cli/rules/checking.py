"""`tocsin rules|scan-rules validate`: whether rules files are right, without Kafka."""

import argparse
import logging
import sys
from collections.abc import Callable, Iterable, Mapping

from processor.cli.errors import DONE, CommandFailed, UsageError
from processor.cli.output import add_output_flag, print_rows
from processor.cli.parser import Subparsers
from processor.cli.rules.kind import AnyFiles, Kind, kind_of
from processor.egress import EgressPolicy
from processor.rules import files
from processor.rules.files import (
    DocumentProblem,
    FileKind,
    Files,
    M,
    RuleFiles,
    UnreadableFile,
)
from processor.rules.reach import target_refusal
from processor.settings import Settings

log = logging.getLogger(__name__)

_COLUMNS = ("status", "name", "place", "reason")


def add_actions(actions: Subparsers, _: Kind) -> None:
    """Add `validate`."""
    parser = actions.add_parser("validate", help="check rules files; needs no Kafka")
    parser.add_argument("files", nargs="*", metavar="FILE|DIR|-", help="rules files, or directories of them")
    add_file_flag(parser)
    add_output_flag(parser)
    parser.set_defaults(run_action=_run)


def add_file_flag(parser: argparse.ArgumentParser) -> None:
    """`-f FILE|DIR|-`, as the list `args.file`."""
    parser.add_argument(
        "-f",
        "--file",
        action="append",
        default=[],
        metavar="FILE|DIR|-",
        help="a rules file (YAML or JSON), a directory of them, or - for standard input; may be repeated",
    )


def read_files_of(
    kind: FileKind[M], sources: Iterable[str], report: Callable[[int], None] = lambda _: None
) -> Files[M]:
    """Read them all; CommandFailed when one isn't there. `report` is told how many documents were read."""
    try:
        return files.read_files(kind, sources, sys.stdin, report)
    except UnreadableFile as failure:
        raise CommandFailed(str(failure)) from None


def warn_of_targets(read: RuleFiles, settings: Settings) -> None:
    """One line for each rule whose webhooks would be blocked by these settings.

    No error: the sender's own settings decide, and may be others.
    """
    policy = EgressPolicy.of(settings.sender.egress)
    for sourced in read.wanted.drafts:
        if refusal := target_refusal(sourced.draft.action_target, policy):
            log.warning(
                "the sender would call no such target",
                extra={
                    "fields": {
                        "rule": sourced.draft.name,
                        "place": sourced.place,
                        "reason": refusal.message,
                    }
                },
            )


def refuse(problems: Iterable[DocumentProblem], total: int, then: str) -> CommandFailed:
    """The error that ends a command over invalid rules."""
    count = len({problem.place for problem in problems})
    return CommandFailed(f"invalid documents: {count} of {total}{then}")


def _run(args: argparse.Namespace, settings: Settings) -> int:
    sources = [*args.files, *args.file]
    kind = kind_of(args)
    if not sources:
        raise UsageError(f"{kind.command} validate takes files, directories or -")
    read = read_files_of(kind.files, sources)
    kind.warn(read, settings)
    print_rows(list(_rows(read, args.output)), _COLUMNS, args.output)
    if read.problems:
        raise refuse(read.problems, read.documents, "")
    if not read.documents:
        raise CommandFailed(f"there are no rules in {', '.join(sources)}")
    return DONE


def _rows(read: AnyFiles, output: str) -> Iterable[Mapping[str, object]]:
    wrong = {problem.place for problem in read.problems}
    for sourced in read.wanted.drafts:
        if sourced.place not in wrong:
            yield {"status": "valid", "name": sourced.draft.name, "place": sourced.place, "reason": None}
    for problem in read.problems:
        row = {"status": "invalid", "name": problem.name, "place": problem.place}
        if output == "json":
            yield {**row, "reason": "; ".join(map(str, problem.errors))}
        else:
            yield from ({**row, "reason": str(error)} for error in problem.errors)
