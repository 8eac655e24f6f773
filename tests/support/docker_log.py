"""What a Docker engine keeps of a container's output, and how it sends it: for tests without an engine.

Written from what engine 20.10 was seen to do (tests/e2e/test_scanner_docker.py compares with a real one).
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

PART = 16384


@dataclass(frozen=True)
class Entry:
    """A log entry: nanoseconds since the epoch, stream 1 or 2, at most PART bytes, if it ends its line."""

    time: int
    stream: int
    text: bytes
    ends: bool


def stamp(time: int) -> bytes:
    """As the engine writes it."""
    second = datetime.fromtimestamp(time // 10**9, UTC)
    return f"{second:%Y-%m-%dT%H:%M:%S}.{time % 10**9:09d}Z".encode()


def entries(time: int, stream: int, line: bytes) -> list[Entry]:
    """A line as the engine logs it: all parts have the time of the first."""
    parts = [line[at : at + PART] for at in range(0, len(line), PART)] or [b""]
    if len(parts[-1]) == PART:
        parts.append(b"")
    return [Entry(time, stream, part, number + 1 == len(parts)) for number, part in enumerate(parts)]


def multiplexed(log: Sequence[Entry], since: int = 0, *, newline_after_parts: bool = True) -> bytes:
    """A container's log without a terminal, from the second `since` on; the local driver doesn't write the
    newline of a line of several parts.
    """
    sent = []
    for number, entry in enumerate(log):
        is_last_part = number > 0 and not log[number - 1].ends and log[number - 1].stream == entry.stream
        newline = b"\n" if entry.ends and (newline_after_parts or not is_last_part) else b""
        payload = stamp(entry.time) + b" " + entry.text + newline
        if entry.time >= since * 10**9:
            sent.append(struct.pack(">BxxxI", entry.stream, len(payload)) + payload)
    return b"".join(sent)


def terminal(log: Sequence[Entry], since: int = 0, *, newline_after_parts: bool = True) -> bytes:
    """The same of a container with a terminal."""
    sent = []
    for number, entry in enumerate(log):
        is_last_part = number > 0 and not log[number - 1].ends
        newline = b"\n" if entry.ends and (newline_after_parts or not is_last_part) else b""
        if entry.time >= since * 10**9:
            sent.append(stamp(entry.time) + b" " + entry.text + (b"\r" if entry.ends else b"") + newline)
    return b"".join(sent)
