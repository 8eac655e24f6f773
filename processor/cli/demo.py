"""`tocsin demo`: the whole pipeline on one machine, with an embedded broker and a receiver that prints."""

import argparse
import logging
import math
import os
import shutil
import sys
from pathlib import Path

from processor.cli.errors import DONE, CommandFailed
from processor.cli.parser import Subparsers
from processor.demo.errors import DemoError
from processor.demo.run import INPUT_RATE, SAMPLE_RATE, Interrupted, Options, run_demo
from processor.demo.screen import screen_for
from processor.settings import Settings

SHOWN = 100


def add_parser(subparsers: Subparsers) -> None:
    """Add `demo` with its flags."""
    parser = subparsers.add_parser(
        "demo",
        help="the whole pipeline on this machine, with an embedded broker",
        description="Starts an embedded broker, a matcher, a sender and a receiver, feeds events, prints "
        "each webhook as it arrives, and ends by itself. Settings, broker and data are its own: "
        "yours are not touched, and nobody outside this machine is called.",
    )
    parser.add_argument(
        "--input", type=Path, metavar="FILE", help="events as NDJSON, may be gzipped (default: a sample)"
    )
    parser.add_argument(
        "--rules", type=Path, metavar="FILE|DIR", help="rules to apply (default: config/rules)"
    )
    parser.add_argument(
        "--rate",
        type=_rate,
        metavar="N",
        help=f"events a second, 0 as fast as it goes (default: {SAMPLE_RATE:g}, with --input {INPUT_RATE:g})",
    )
    parser.add_argument("--limit", type=_count, metavar="N", help="feed only the first N events")
    parser.add_argument(
        "--show",
        type=_count,
        default=SHOWN,
        metavar="N",
        help=f"print the first N webhooks, count those after them (default: {SHOWN})",
    )
    parser.add_argument(
        "--keep", action="store_true", help="leave it running, and say how to add a rule and send an event"
    )


def run(args: argparse.Namespace, _: Settings) -> int:
    """Run the demo with settings of its own; DONE when every webhook was delivered."""
    if not hasattr(args, "log_level"):
        # The steps are printed; what the parts in this process log is only worth a line when it is bad.
        logging.getLogger("processor").setLevel(logging.WARNING)
    columns = shutil.get_terminal_size().columns
    screen = screen_for(sys.stdout, os.environ, columns, args.show)
    options = Options(args.input, args.rules, args.rate, args.limit, args.keep)
    try:
        run_demo(options, screen)
    except DemoError as failure:
        screen.settle()
        raise CommandFailed(str(failure)) from None
    except Interrupted:
        screen.settle()
        raise CommandFailed("interrupted") from None
    return DONE


def _count(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError("expected a whole number from 1 on")
    return int(text)


def _rate(text: str) -> float:
    try:
        rate = float(text)
    except ValueError:
        rate = -1.0
    if not (math.isfinite(rate) and rate >= 0):
        raise argparse.ArgumentTypeError("expected a number, 0 or more")
    return rate
