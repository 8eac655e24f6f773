"""Plain values of JSON: which a pattern may hold, how they are compared, and how they are shown."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Sequence
from typing import Any, Final, TypeAlias

from processor.filters.errors import FilterError, Place

Scalar: TypeAlias = str | int | float | bool | None
Test: TypeAlias = Callable[[Any], bool]

_CLIP: Final = 60  # characters of a value that are shown
_MAX_BITS: Final = 1024  # as large as a double; beyond, readers of JSON differ


def show(value: object) -> str:
    """A value for people: JSON, on one line, cut where it is long."""
    text = json.dumps(value[: _CLIP + 1] if isinstance(value, str) else value, ensure_ascii=False)
    text = text if text.isprintable() else ascii(text)[1:-1]
    return text if len(text) <= _CLIP + 2 else f"{text[:_CLIP]}…"


def scalar(said: object, place: Place) -> Scalar:
    """The value, if it is neither list nor object. Raises FilterError."""
    match said:
        case None | bool():
            return said
        case str():
            return text_of(said, place)
        case int() | float():
            return finite(said, place)
    raise FilterError("expected text, a number, true, false or null", place)


def text_of(said: object, place: Place) -> str:
    """The value, if it is text. Raises FilterError."""
    if not isinstance(said, str):
        raise FilterError(f"expected text, not {kind(said)}", place)
    if not said.isascii():
        try:
            said.encode()
        except UnicodeEncodeError:
            raise FilterError("is not valid Unicode", place) from None
    return said


def finite(number: int | float, place: Place) -> int | float:
    """The number, if all readers of JSON agree on it. Raises FilterError."""
    if isinstance(number, float) and not math.isfinite(number):
        raise FilterError("is not a number that JSON has", place)
    if isinstance(number, int) and number.bit_length() > _MAX_BITS:
        raise FilterError("is a number that is too large", place)
    return number


def kind(value: object) -> str:
    """What sort of value it is, for people."""
    match value:
        case None:
            return "null"
        case bool():
            return "true or false"
        case str():
            return "text"
        case int() | float():
            return "a number"
        case list() | tuple():
            return "a list"
    return "an object"


def one_of(values: Sequence[Scalar]) -> Test:
    """Whether a value is one of these, numbers compared as numbers; true is not 1 and "1" is not 1."""
    texts = frozenset(value for value in values if isinstance(value, str))
    numbers = frozenset(v for v in values if isinstance(v, int | float) and not isinstance(v, bool))
    names = tuple(value for value in values if value is None or isinstance(value, bool))
    tests: list[Test] = []
    if texts:
        # A set of texts holds nothing that equals a number, a boolean or null.
        tests.append(texts.__contains__)
    if numbers:
        tests.append(lambda v: type(v) is not bool and v in numbers)
    if names:
        tests.append(lambda v: any(v is name for name in names))
    return any_of(tests)


def any_of(tests: Sequence[Test]) -> Test:
    """Whether a value passes one of them."""
    if len(tests) == 1:
        return tests[0]
    frozen = tuple(tests)

    def test(value: Any) -> bool:
        for one in frozen:  # noqa: SIM110  (any() with a generator costs twice as much)
            if one(value):
                return True
        return False

    return test
