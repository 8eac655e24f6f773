"""How long a one-shot command waits for a broker: `--timeout`."""

import argparse
from datetime import timedelta

from processor.durations import parse_duration


def add_timeout_flag(parser: argparse.ArgumentParser) -> None:
    """`--timeout 10s`, as `args.timeout`, a timedelta."""
    parser.add_argument(
        "--timeout",
        type=duration,
        default=timedelta(seconds=10),
        metavar="DURATION",
        help="how long to wait for a broker, such as 30s (default: 10s)",
    )


def duration(text: str) -> timedelta:
    """A duration on the command line, for argparse."""
    try:
        return parse_duration(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None
