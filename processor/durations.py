"""Durations as people write them: `<int>(ms|s|m|h|d)`, for settings, rules and the names of retry topics.

One grammar everywhere, so that `1m` in a setting, in a rule and at the end of a topic's name are the same
thing. A written form holds one number and one unit; the form written by `format_duration` has the largest
unit that leaves a whole number.
"""

import re
from datetime import timedelta
from typing import Annotated

from pydantic import AfterValidator, BeforeValidator, PlainSerializer, WithJsonSchema

_MILLISECOND = timedelta(milliseconds=1)
_UNITS = {
    "d": timedelta(days=1),
    "h": timedelta(hours=1),
    "m": timedelta(minutes=1),
    "s": timedelta(seconds=1),
    "ms": _MILLISECOND,
}
_WRITTEN = re.compile(r"([0-9]+)(ms|s|m|h|d)")
_EXPECTED = "a duration is a whole number and one of ms, s, m, h, d, such as 30s"


def parse_duration(text: str) -> timedelta:
    """The duration that `text` writes; raises ValueError with the expected form when it is none."""
    written = _WRITTEN.fullmatch(text)
    if written is None:
        raise ValueError(f"{_EXPECTED} (got {text[:40]!r})")
    number, unit = written.groups()
    try:
        return int(number) * _UNITS[unit]
    except (OverflowError, ValueError):
        raise ValueError(f"the duration {text[:40]!r} is too long") from None


def format_duration(duration: timedelta) -> str:
    """The written form with the largest whole unit: 60 s is `1m`, 90 s is `90s`, nothing is `0s`.

    Raises ValueError for what has no written form: a negative duration, or a fraction of a millisecond.
    """
    if duration < timedelta(0) or duration % _MILLISECOND:
        raise ValueError(f"{duration!r} is not a whole number of milliseconds from 0 up")
    if not duration:
        return "0s"
    unit = next(name for name, size in _UNITS.items() if not duration % size)
    return f"{duration // _UNITS[unit]}{unit}"


def _accept(value: object) -> timedelta:
    # A bare number would leave the unit to guesswork, so it is refused even though pydantic would take it as
    # seconds.
    if isinstance(value, timedelta):
        format_duration(value)
        return value
    if isinstance(value, str):
        return parse_duration(value)
    raise ValueError(_EXPECTED)


def _positive(value: timedelta) -> timedelta:
    if not value:
        raise ValueError("must be longer than 0s")
    return value


Duration = Annotated[
    timedelta,
    BeforeValidator(_accept),
    PlainSerializer(format_duration, return_type=str),
    WithJsonSchema({"type": "string", "pattern": f"^{_WRITTEN.pattern}$", "examples": ["30s"]}),
]
"""A field of a model: takes the written form (or a timedelta), is dumped in the written form."""

PositiveDuration = Annotated[Duration, AfterValidator(_positive)]
"""A `Duration` of more than nothing: timeouts, delays."""
