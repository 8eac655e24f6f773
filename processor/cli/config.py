"""`tocsin config check|show`: whether the settings are right, and what they come to.

Reaching either means that they are right: `main` has read them, and a wrong one ends there with exit code 2.
"""

import argparse
import sys

import yaml

from processor.cli.errors import DONE
from processor.cli.output import print_json
from processor.cli.parser import Subparsers
from processor.kafka.tokens import token_callback
from processor.observability.tracing import check_tracing
from processor.settings import Settings


def add_parser(subparsers: Subparsers) -> None:
    """Add `config` with its two actions."""
    parser = subparsers.add_parser("config", help="check the settings, or show them with secrets hidden")
    actions = parser.add_subparsers(dest="action", metavar="check|show", required=True)
    actions.add_parser("check", help="say whether the settings are right; exit code 2 and one line if not")
    show = actions.add_parser("show", help="print the settings in force as a settings file, secrets hidden")
    show.add_argument("-o", "--output", choices=("yaml", "json"), default="yaml", help="default: yaml")


def run(args: argparse.Namespace, settings: Settings) -> int:
    """Print the verdict or the settings."""
    if args.action == "check":
        check_tracing(settings)
        if settings.kafka.oauth_callback is not None:
            token_callback(settings.kafka.oauth_callback)
        print("settings ok")
        return DONE
    shown = settings.model_dump(mode="json")
    if args.output == "json":
        print_json(shown)
    else:
        yaml.safe_dump(shown, sys.stdout, sort_keys=False, allow_unicode=True)
    return DONE
