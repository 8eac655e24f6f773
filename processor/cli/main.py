"""`tocsin`: find the command, read the settings, set up the logs, run it, and end with the right exit code.

A command is a module `processor.cli.<name>` (`_` for `-`) with

    def add_parser(subparsers: Subparsers) -> None    # subparsers.add_parser("<name>", help=...)
    def run(args: argparse.Namespace, settings: Settings) -> int    # the exit code

and a line in COMMANDS. Only the module of the command that was asked for is imported; `completion` asks for
all of them.
"""

import os
import sys
from argparse import Namespace
from collections.abc import Container, Mapping, Sequence
from importlib import import_module

from processor import __version__
from processor.cli.errors import DONE, FAILED, WRONG_USAGE, CommandError
from processor.cli.parser import GLOBAL_FLAGS, Parser

COMMANDS = (
    ("run", "run a role until SIGTERM or SIGINT, then drain"),
    ("rules", "check, apply, show, change and try trigger rules"),
    ("scan-rules", "check, apply, show, change and try scan rules"),
    ("deliveries", "look at deliveries, put dead jobs back, release waiting ones"),
    ("topics", "create and repair Tocsin's topics, or check them"),
    ("secrets", "make keys that seal the secrets in rules"),
    ("config", "check the settings, or show them with secrets hidden"),
    ("doctor", "look at connection, rights, transactions, topics and the newest events"),
    ("probe", "send one event the whole way and see its webhook arrive"),
    ("completion", "print a script that completes commands and flags in a shell"),
    ("demo", "the whole pipeline on this machine, with an embedded broker"),
)
"""Name and one-line help of each command."""


def entry_point() -> None:
    """What the installed command `tocsin` calls."""
    sys.exit(main(sys.argv[1:]))


def main(argv: Sequence[str], environ: Mapping[str, str] = os.environ) -> int:
    """Run `tocsin` with these arguments; the exit code. User errors are one line on standard error."""
    try:
        return _run(argv, environ)
    except CommandError as error:
        return _say(error, error.exit_code)
    except KeyboardInterrupt:
        return _say("interrupted", FAILED)
    except BrokenPipeError:
        # The reader has gone (`tocsin … | head`); what is still buffered would fail once more at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return FAILED
    except SystemExit as end:  # argparse, after --help and --version
        return end.code if isinstance(end.code, int) else DONE


def _run(argv: Sequence[str], environ: Mapping[str, str]) -> int:
    args = parse(argv)
    if args.command == "completion":  # a shell begins with it, whatever the settings are
        from processor.cli.completion import write_script

        return write_script(args.shell, whole_parser())
    # Only now: --version and --help need neither settings nor what they are made of.
    from processor.lifecycle import Refused
    from processor.observability.logging import set_up_logging
    from processor.settings import SettingsError, load_settings

    try:
        settings = load_settings(getattr(args, "config", None), environ)
        given = {
            key: getattr(args, f"log_{key}") for key in ("format", "level") if hasattr(args, f"log_{key}")
        }
        settings = settings.model_copy(update={"logging": settings.logging.model_copy(update=given)})
        set_up_logging(settings.logging.level, settings.logging.format)
        code: int = import_module(_module(args.command)).run(args, settings)
        sys.stdout.flush()
        return code
    except SettingsError as error:
        return _say(error, WRONG_USAGE)
    except Refused as error:
        return _say(error, FAILED)


def parse(argv: Sequence[str]) -> Namespace:
    """The command line as the command gets it; raises UsageError, and SystemExit after --help."""
    asked_for = _first_word(argv)
    return _parser({name for name, _ in COMMANDS if name == asked_for}).parse_args(argv)


def whole_parser() -> Parser:
    """The parser of all commands."""
    return _parser({name for name, _ in COMMANDS})


def _parser(whole: Container[str]) -> Parser:
    """A parser that knows all commands, and the arguments of those in `whole`."""
    parser = Parser(prog="tocsin", description="When an event like this appears on Kafka, call that URL.")
    parser.add_argument("--version", action="version", version=f"tocsin {__version__}")
    subparsers = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    for name, summary in COMMANDS:
        if name in whole:
            import_module(_module(name)).add_parser(subparsers)
        else:
            subparsers.add_parser(name, help=summary)
    return parser


def _module(command: str) -> str:
    return f"processor.cli.{command.replace('-', '_')}"


def _first_word(argv: Sequence[str]) -> str | None:
    """The first argument that is neither a flag nor the value of a global flag."""
    words = iter(argv)
    for word in words:
        if word in GLOBAL_FLAGS:
            next(words, None)
        elif not word.startswith("-"):
            return word
    return None


def _say(error: object, code: int) -> int:
    print(f"tocsin: {' '.join(str(error).split())}", file=sys.stderr)
    return code
