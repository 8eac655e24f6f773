"""`tocsin secrets new-key`: a key that seals the secrets in rules."""

import argparse
import re
import secrets

from processor.cli.errors import DONE, UsageError
from processor.cli.parser import Subparsers
from processor.rules.sealing import new_key
from processor.settings import Settings

_KEY_ID = re.compile(r"[a-zA-Z0-9_.-]{1,64}")


def add_parser(subparsers: Subparsers) -> None:
    """Add `secrets` with its action."""
    parser = subparsers.add_parser("secrets", help="make keys that seal the secrets in rules")
    actions = parser.add_subparsers(dest="action", metavar="new-key", required=True)
    key = actions.add_parser(
        "new-key",
        help="print a new entry for secrets.keys",
        description="Prints a new entry for secrets.keys. The first entry seals, all of them open: put a new"
        " key in front, restart the senders with both, run `tocsin rules reseal`, and take the old one away.",
    )
    key.add_argument("--id", metavar="ID", help="the key's id; random if not given")


def run(args: argparse.Namespace, settings: Settings) -> int:
    """Print the key."""
    del settings
    key_id = args.id if args.id is not None else f"k{secrets.token_hex(3)}"
    if not _KEY_ID.fullmatch(key_id):
        raise UsageError("a key's id is made of letters, digits, '.', '_' and '-'")
    print(new_key(key_id))
    return DONE
