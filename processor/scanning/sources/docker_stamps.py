"""Time stamps as the Docker engine puts them in front of log entries, and what is computed with them."""

from __future__ import annotations

import re
from datetime import datetime
from functools import lru_cache
from typing import Final

STAMP: Final = re.compile(
    rb"[0-9]{4}-(?:(?:0[13578]|1[02])-(?:0[1-9]|[12][0-9]|3[01])"
    rb"|(?:0[469]|11)-(?:0[1-9]|[12][0-9]|30)|02-(?:0[1-9]|1[0-9]|2[0-9]))"
    rb"T(?:[01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9]\.[0-9]{9}(?:Z|[+-](?:[01][0-9]|2[0-3]):[0-5][0-9]) "
)
"""A valid time of RFC 3339 with nanoseconds, and the space behind it. (The engine writes all nine digits; the
local logging driver writes them in the engine's time zone.)
"""

SECONDS: Final = 19
"""The characters of a stamp before its fraction."""

_FRACTION_END: Final = 29


def second_of(stamp: bytes) -> int:
    """The whole second of a stamp without its space, since the epoch."""
    return _second(stamp[:SECONDS] + stamp[_FRACTION_END:])


def nanoseconds_of(stamp: bytes) -> int:
    """A stamp without its space, in nanoseconds since the epoch."""
    return second_of(stamp) * 1_000_000_000 + int(stamp[SECONDS + 1 : _FRACTION_END])


@lru_cache(maxsize=1024)
def _second(text: bytes) -> int:
    try:
        return int(datetime.fromisoformat(text.decode("ascii")).timestamp())
    except ValueError:  # the 29th of February of a year without one
        return 0
