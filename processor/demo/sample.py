"""Events to feed: NDJSON files, plain or gzipped, and where the demo's own files are."""

import gzip
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from processor.demo.errors import DemoError, InputError
from processor.events import EventDecoder, EventFields, Unreadable

MAX_EVENT: Final = 1_000_000
"""Bytes of the largest event taken: what fits with its headers into a record of Kafka's default size."""

_PACKAGE: Final = Path(__file__).resolve().parent


def own_file(name: str) -> Path:
    """A file or directory of config/ that the project brings along, such as `rules`.

    An installed package has them inside, a source tree where they are written. Raises DemoError when this
    installation has none.
    """
    places = (_PACKAGE / "config", _PACKAGE.parents[1] / "config")
    for place in places:
        if (place / name).exists():
            return place / name
    raise DemoError(f"config/{name} is not part of this installation: give --input and --rules")


def read_events(path: Path, limit: int | None = None) -> list[bytes]:
    """The events of a file, one JSON object a line, blank lines left out; the first `limit` of them.

    A file that begins like gzip is unpacked. Raises InputError for what can't be read and for the first line
    that is no event.
    """
    events: list[bytes] = []
    decode = EventDecoder(EventFields()).decode
    for number, line in _lines(path):
        if limit is not None and len(events) >= limit:
            break
        read = decode(line)
        if isinstance(read, Unreadable):
            raise InputError(f"{path}, line {number}: no event: {read.detail}")
        if len(line) > MAX_EVENT:
            raise InputError(f"{path}, line {number}: {len(line):,} bytes; the demo takes {MAX_EVENT:,}")
        events.append(line)
    if not events:
        raise InputError(f"{path}: no events in it")
    return events


def _lines(path: Path) -> Iterator[tuple[int, bytes]]:
    """Each line that isn't blank, with its number from 1."""
    number = 0
    try:
        with path.open("rb") as start:
            is_gzip = start.read(2) == b"\x1f\x8b"
        with gzip.open(path) if is_gzip else path.open("rb") as file:
            for number, line in enumerate(file, 1):
                if stripped := line.strip():
                    yield number, stripped
    except (EOFError, zlib.error, gzip.BadGzipFile) as failure:
        raise InputError(f"{path}, after line {number}: broken gzip file: {failure}") from None
    except OSError as failure:
        raise InputError(f"{path}: {failure.strerror or failure}") from None
