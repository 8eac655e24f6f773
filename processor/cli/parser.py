"""The parser of the command line: argparse with one-line errors, and the global flags at every level.

`tocsin --config FILE rules list` and `tocsin rules list --config FILE` mean the same. Command modules get a
`Parser` from `subparsers.add_parser(...)` like any argparse one; flags are never abbreviated, so that a new
flag can't change an old script.
"""

import argparse
from pathlib import Path
from typing import Any, NoReturn, TypeAlias

from processor.cli.errors import UsageError

LOG_FORMATS = ("text", "json")
LOG_LEVELS = ("debug", "info", "warning", "error")

GLOBAL_FLAGS = ("--config", "--log-format", "--log-level")
"""Each takes a value."""


class Parser(argparse.ArgumentParser):
    """Raises UsageError where argparse would print its usage and exit."""

    def __init__(self, **options: Any) -> None:  # argparse's own, passed through
        super().__init__(**{"allow_abbrev": False, **options})
        # Suppressed rather than None: a subparser's default would hide what was given before the command.
        flags = self.add_argument_group("global options")
        unset = argparse.SUPPRESS
        flags.add_argument("--config", type=Path, metavar="FILE", default=unset, help="settings, as YAML")
        flags.add_argument("--log-format", choices=LOG_FORMATS, default=unset, help="over logging.format")
        flags.add_argument("--log-level", choices=LOG_LEVELS, default=unset, help="over logging.level")

    def error(self, message: str) -> NoReturn:
        raise UsageError(f"{message}; see `{self.prog} --help`")


Subparsers: TypeAlias = "argparse._SubParsersAction[Parser]"
"""What `add_subparsers` returns, which argparse gives no public name."""
