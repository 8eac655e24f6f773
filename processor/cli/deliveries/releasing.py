"""`tocsin deliveries release`: what was put off is tried at once."""

import argparse

from processor.cli.errors import DONE, UsageError
from processor.cli.output import add_output_flag, print_rows
from processor.cli.parser import Subparsers
from processor.cli.rules.finding import rule_id_of
from processor.cli.rules.store import rule_store
from processor.cli.times import format_ms, now_ms
from processor.cli.waiting import add_timeout_flag
from processor.observability.logging import origin
from processor.rules import Release
from processor.settings import Settings

_COLUMNS = ("action", "what", "at")


def add_action(actions: Subparsers) -> None:
    """Add `release`."""
    parser = actions.add_parser(
        "release", help="have jobs that were put off tried at once; scheduled retries keep their time"
    )
    parser.add_argument("--rule", metavar="ID|NAME", help="those of this rule")
    parser.add_argument("--destination", metavar="ORIGIN", help="those to this origin: https://host[:port]")
    add_output_flag(parser)
    add_timeout_flag(parser)
    parser.set_defaults(run_action=_run)


def _run(args: argparse.Namespace, settings: Settings) -> int:
    if (args.rule is None) == (args.destination is None):
        raise UsageError("deliveries release takes either --rule or --destination")
    destination = None if args.destination is None else _origin(args.destination)
    with rule_store(args, settings) as store:
        if destination is not None:
            what, at_ms = destination, now_ms()
            release = Release(at_ms, destinations=(destination,))
        else:
            rule_id = rule_id_of(store.read(), args.rule)
            what, at_ms = f"rule {rule_id}", now_ms()
            release = Release(at_ms, rules=(rule_id,))
        store.apply([release])
    print_rows([{"action": "released", "what": what, "at": format_ms(at_ms)}], _COLUMNS, args.output)
    return DONE


def _origin(text: str) -> str:
    """A destination as audit records name it; of a longer URL nothing but its origin is used."""
    found = origin(text)
    if not found.startswith(("http://", "https://")):
        raise UsageError(
            f"--destination takes an origin such as https://hooks.example.com, not {text[:60]!r}"
        )
    return found
