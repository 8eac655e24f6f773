"""The store as a command uses it: opened for one command, its errors in one line."""

import argparse
import getpass
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from processor.cli.errors import CommandFailed
from processor.cli.rules.progress import Progress
from processor.rules import RuleFailure, RuleStore, Writer
from processor.settings import Settings


@contextmanager
def rule_store(args: argparse.Namespace, settings: Settings) -> Iterator[RuleStore]:
    """The store, waiting `--timeout` for a broker; what it or the block raises of the rules' errors fails
    the command. On a terminal it is shown how far a long read or write is.
    """
    try:
        with (
            Progress(sys.stderr) as progress,
            RuleStore(
                settings, Writer.of(settings, who()), timeout=args.timeout, report=progress.report
            ) as store,
        ):
            yield store
    except RuleFailure as failure:
        raise CommandFailed(str(failure)) from None


def who() -> str:
    """Who runs the command, for `updated_by`."""
    try:
        return getpass.getuser()
    except (OSError, KeyError, ImportError):  # no such user in this container
        return "cli"
