"""Times on the command line: `--since`, and ms since 1970 for people."""

import argparse
import time
from datetime import UTC, datetime

from processor.durations import parse_duration


def add_since(parser: argparse._ActionsContainer, help_text: str) -> None:
    """`--since 1h|TIME`, as `args.since` in ms since 1970; None where it isn't given."""
    parser.add_argument("--since", type=since_ms, metavar="DURATION|TIME", help=help_text)


def since_ms(text: str) -> int:
    """A duration before now, or a time in RFC 3339, as ms since 1970."""
    try:
        return now_ms() - int(parse_duration(text).total_seconds() * 1000)
    except ValueError:
        pass
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        moment = None
    if moment is None or moment.tzinfo is None:
        raise argparse.ArgumentTypeError(
            f"expected a duration such as 1h or a time such as 2026-11-23T10:00:00Z (got {text[:40]!r})"
        )
    return int(moment.timestamp() * 1000)


def now_ms() -> int:
    """Milliseconds since 1970."""
    return time.time_ns() // 1_000_000


def format_ms(at_ms: int | None) -> str:
    """A time in ms since 1970 in RFC 3339, UTC, whole seconds; empty for None."""
    if at_ms is None:
        return ""
    return datetime.fromtimestamp(at_ms // 1000, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
