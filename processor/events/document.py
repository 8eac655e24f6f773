"""A whole event decoded, for those who look at more than the three fields."""

from __future__ import annotations

import json
from typing import Any, Final

import msgspec

from processor.events.text import replace_lone_surrogates

_LONGEST_INTEGER: Final = 4_000  # digits; Python reads no more than 4,300 (sys.get_int_max_str_digits)

_decode = msgspec.json.Decoder(dict[str, Any]).decode


def document(body: bytes) -> dict[str, Any]:
    """The members of an event's body (`Event.body`): dict, list, str, int, float, bool and None.

    Never fails on the body of a readable event. Whole numbers are exact, others are doubles; one beyond the
    range of doubles is infinite. Half of a surrogate pair is U+FFFD.
    """
    try:
        return _decode(body)
    except msgspec.MsgspecError:
        return _carefully(body)


def _carefully(body: bytes) -> dict[str, Any]:
    """What msgspec refuses although it is JSON: numbers out of range and lone surrogates."""
    found: dict[str, Any] = json.loads(replace_lone_surrogates(body), parse_int=_integer)
    return found


def _integer(digits: str) -> int | float:
    return int(digits) if len(digits) <= _LONGEST_INTEGER else float(digits)
