"""When an event happened, where one of its fields says so."""

from __future__ import annotations

import math
from datetime import datetime
from typing import Final

import msgspec

from processor.events.lookup import FieldPath, members

_MILLISECONDS_FROM: Final = 1e11
"""A number as large is in ms since 1970, a smaller one in seconds: the year 1973 or 5138."""
_END: Final = 253_402_300_800_000  # the year 10000


class TimeField:
    """The field with an event's time. Immutable."""

    def __init__(self, path: str) -> None:
        """`path`: dotted, as those of severity, source and message."""
        self._path = FieldPath.parse(path)

    def of(self, value: bytes) -> int | None:
        """The time of the event in a record's value, in ms since 1970; None where none can be read.

        A text in RFC 3339, or a number of seconds or milliseconds since 1970.
        """
        try:
            raw = self._path.find(members(value))
            said = None if raw is None else msgspec.json.decode(raw)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            return None
        if isinstance(said, str):
            return _written(said)
        if isinstance(said, bool) or not isinstance(said, int | float) or not math.isfinite(said):
            return None
        at = said if said >= _MILLISECONDS_FROM else said * 1000
        return int(at) if 0 < at < _END else None


def _written(text: str) -> int | None:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    return None if moment.tzinfo is None else int(moment.timestamp() * 1000)
