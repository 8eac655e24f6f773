"""Events to feed: NDJSON files, plain or gzipped, and where the demo's own files are."""

from collections.abc import Iterator
from pathlib import Path
from typing import Final

from processor.demo.errors import DemoError, InputError
from processor.events import EventDecoder, EventFields, Unreadable
from processor.events.files import EventFileError, event_lines

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
    try:
        yield from event_lines(path)
    except EventFileError as failure:
        raise InputError(str(failure)) from None
