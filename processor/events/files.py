"""Events in files: one JSON object a line, plain or gzipped, from a file or standard input.

The one module of this package that reads anything; what a line is worth the decoder says.
"""

from __future__ import annotations

import gzip
import os
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Final

MAX_LINE: Final = 64 << 20
"""Bytes of the longest line taken: more than any broker takes as one record."""

_GZIP: Final = b"\x1f\x8b"


class EventFileError(ValueError):
    """There is no such file, or it can't be read on; the text begins with `FILE` or `FILE, after line N`."""


def event_lines(path: Path) -> Iterator[tuple[int, bytes]]:
    """Each line that isn't blank, stripped, with its number from 1. Raises EventFileError."""
    try:
        with path.open("rb", buffering=1 << 16) as file:
            yield from _lines(file, os.fspath(path))
    except OSError as failure:
        raise EventFileError(f"{path}: {failure.strerror or failure}") from None


def stdin_lines(stdin: IO[bytes]) -> Iterator[tuple[int, bytes]]:
    """The same of a stream that is open already and buffered, as `sys.stdin.buffer` is."""
    yield from _lines(stdin, "stdin")


def _lines(file: IO[bytes], name: str) -> Iterator[tuple[int, bytes]]:
    number = 0
    try:
        start = file.peek(2)[:2]  # type: ignore[attr-defined]  # of buffered readers, which these are
        unpacked = gzip.GzipFile(fileobj=file) if start == _GZIP else file
        while line := unpacked.readline(MAX_LINE + 1):
            number += 1
            if len(line) > MAX_LINE:
                raise EventFileError(
                    f"{name}, after line {number - 1}: the line is over {MAX_LINE} bytes long"
                )
            if stripped := line.strip():
                yield number, stripped
    except (EOFError, zlib.error, gzip.BadGzipFile) as failure:
        raise EventFileError(f"{name}, after line {number}: broken gzip file: {failure}") from None
