"""Times on the command line: `--since`, and ms since 1970 for people."""

import argparse
import time
from datetime import UTC, datetime, timedelta

from processor.durations import parse_duration

LONGEST = timedelta(days=3_650)


def add_since(parser: argparse._ActionsContainer, help_text: str) -> None:
    """`--since 1h|TIME`, as `args.since` in ms since 1970; None where it isn't given."""
    parser.add_argument("--since", type=since_ms, metavar="DURATION|TIME", help=help_text)


def since_ms(text: str) -> int:
    """A duration before now, or a time in RFC 3339, as ms since 1970."""
    try:
        return now_ms() - int(parse_duration(text).total_seconds() * 1000)
    except ValueError:
        pass
    return int(_moment(text, "a duration such as 1h or ").timestamp() * 1000)


def moment(text: str) -> datetime:
    """A time in RFC 3339."""
    return _moment(text, "")


def span(text: str) -> timedelta:
    """A duration longer than nothing and no longer than LONGEST."""
    try:
        duration = parse_duration(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None
    if not timedelta(0) < duration <= LONGEST:
        raise argparse.ArgumentTypeError(f"expected a duration of up to {LONGEST.days}d (got {text[:40]!r})")
    return duration


def _moment(text: str, or_else: str) -> datetime:
    try:
        read = datetime.fromisoformat(text)
    except ValueError:
        read = None
    if read is None or read.tzinfo is None:
        raise argparse.ArgumentTypeError(
            f"expected {or_else}a time such as 2026-11-23T10:00:00Z (got {text[:40]!r})"
        )
    return read


def now_ms() -> int:
    """Milliseconds since 1970."""
    return time.time_ns() // 1_000_000


def format_ms(at_ms: int | None) -> str:
    """A time in ms since 1970 in RFC 3339, UTC, whole seconds; empty for None."""
    if at_ms is None:
        return ""
    return datetime.fromtimestamp(at_ms // 1000, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
