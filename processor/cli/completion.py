"""`tocsin completion SHELL`: a script that completes Tocsin's commands, flags and files in a shell.

The script is made from the parsers by shtab; it knows nothing of what is on Kafka. It needs no settings.
"""

import argparse
from collections.abc import Iterator

from processor.cli.errors import DONE
from processor.cli.parser import Parser, Subparsers

SHELLS = ("bash", "zsh", "fish")


def add_parser(subparsers: Subparsers) -> None:
    """Add `completion`."""
    parser = subparsers.add_parser(
        "completion",
        help="print a script that completes commands and flags in a shell",
        description='bash: eval "$(tocsin completion bash)" in ~/.bashrc; zsh: write it to a file _tocsin in'
        " a directory of $fpath; fish: write it to ~/.config/fish/completions/tocsin.fish.",
    )
    parser.add_argument("shell", choices=SHELLS)


def write_script(shell: str, parser: Parser) -> int:
    """Print the script for `shell` that completes what `parser` takes; the exit code."""
    import shtab

    for action in _actions(parser):
        # What takes a file says so in its metavar; directories are files to a shell.
        if isinstance(action.metavar, str) and action.metavar.startswith("FILE"):
            action.complete = shtab.FILE  # type: ignore[attr-defined]  # shtab looks for it there
    print(shtab.complete(parser, shell))
    return DONE


def _actions(parser: argparse.ArgumentParser) -> Iterator[argparse.Action]:
    for action in parser._actions:
        yield action
        if isinstance(action, argparse._SubParsersAction):
            for inner in action.choices.values():
                yield from _actions(inner)
