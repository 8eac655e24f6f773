"""The store as a command uses it: opened for one command, its errors in one line."""

import argparse
import getpass
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from processor.cli.errors import CommandFailed
from processor.cli.rules.kind import AnyStore, OpenStore, kind_of
from processor.cli.rules.progress import Progress
from processor.rules import RuleFailure, RuleStore, Writer
from processor.settings import Settings


@contextmanager
def rule_store(args: argparse.Namespace, settings: Settings) -> Iterator[RuleStore]:
    """The store of trigger rules, as table_store() opens it."""
    with _opened(RuleStore, args, settings) as store:
        assert isinstance(store, RuleStore)  # noqa: S101 - what was asked for; the type says less
        yield store


@contextmanager
def table_store(args: argparse.Namespace, settings: Settings) -> Iterator[AnyStore]:
    """The store of the command's kind of rules, waiting `--timeout` for a broker; what it or the block raises
    of the rules' errors fails the command. On a terminal it is shown how far a long read or write is.
    """
    with _opened(kind_of(args).open_store, args, settings) as store:
        yield store


@contextmanager
def _opened(open_store: OpenStore, args: argparse.Namespace, settings: Settings) -> Iterator[AnyStore]:
    try:
        with (
            Progress(sys.stderr) as progress,
            open_store(
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
