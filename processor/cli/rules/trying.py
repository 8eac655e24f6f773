"""What `test` and `backtest` share: the rules to try, and how events are read."""

import argparse
import logging
import sys
from collections.abc import Sequence

from processor.cli.errors import CommandFailed
from processor.cli.rules.checking import read_files_of, refuse
from processor.cli.rules.store import rule_store
from processor.events import EventDecoder, EventFields
from processor.matching.trial import as_rules
from processor.rules import TriggerRule
from processor.rules.files import TRIGGER_RULES, FileKind, M
from processor.rules.planning import SourcedDraft
from processor.settings import Settings

log = logging.getLogger(__name__)


def add_rule_flag(parser: argparse.ArgumentParser, help_text: str) -> None:
    """`--rule FILE|DIR|-`, as the list `args.rule`."""
    parser.add_argument("--rule", action="append", default=[], metavar="FILE|DIR|-", help=help_text)


def rules_of_files(sources: Sequence[str]) -> list[TriggerRule]:
    """The rules in these files; if one is invalid, says what is wrong with each and fails the command."""
    return as_rules(sourced.draft for sourced in drafts_of_files(TRIGGER_RULES, sources))


def drafts_of_files(kind: FileKind[M], sources: Sequence[str]) -> Sequence[SourcedDraft[M]]:
    """The same for any kind of rules, as drafts; at least one."""
    read = read_files_of(kind, sources)
    if read.problems:
        for problem in read.problems:
            for line in problem.lines():
                print(line, file=sys.stderr)
        raise refuse(read.problems, read.documents, "")
    if not read.wanted.drafts:
        raise CommandFailed(f"there are no rules in {', '.join(sources)}")
    return read.wanted.drafts


def rules_of_table(args: argparse.Namespace, settings: Settings) -> list[TriggerRule]:
    """The valid rules of the live table, in the order of their ids."""
    with rule_store(args, settings) as store:
        snapshot = store.read()
    if snapshot.invalid:
        log.warning(
            "invalid records of the table fire nothing and are left out",
            extra={"fields": {"records": len(snapshot.invalid)}},
        )
    if not snapshot.rules:
        raise CommandFailed("there is no rule in the table: apply some, or give files with --rule")
    return list(snapshot.rules.values())


def decoder_of(settings: Settings) -> EventDecoder:
    """Reads events as the matcher with these settings does."""
    fields = settings.matcher.event_fields
    return EventDecoder(EventFields(fields.severity, fields.source, fields.message))
