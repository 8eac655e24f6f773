"""From pydantic's errors to ours: the path as a user would write it, and words that never repeat a value."""

from __future__ import annotations

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from processor.rules.errors import FieldError, InvalidFields

_QUOTE = "; put it in quotes"
_MESSAGES = {
    "extra_forbidden": "unknown field",
    "missing": "is missing",
    "bool_type": "expected true or false",
    "int_type": "expected a whole number",
    "dict_type": "expected a map",
    "model_type": "expected a map",
    "model_attributes_type": "expected a map",
    "recursion_loop": "refers to itself",
}
_SHOWN = 100


def invalid_fields(failure: ValidationError) -> InvalidFields:
    """Every error of `failure`, in the order of the fields."""
    return InvalidFields([_error(error) for error in failure.errors(include_input=True, include_url=False)])


def _error(error: ErrorDetails) -> FieldError:
    place = (*error["loc"], *error.get("ctx", {}).get("place", ()))
    kind, given = error["type"], error.get("input")
    if kind in ("string_type", "string_unicode"):
        message = f"expected text, not {_kind_of(given)}" if kind == "string_type" else "is not valid Unicode"
    elif kind == "literal_error" and place == ("action_type",):
        message = "unknown action type, expected webhook"
    else:
        message = _MESSAGES.get(kind) or str(error["msg"]).removeprefix("Value error, ").removeprefix(
            "Input should be "
        )
    return FieldError(_path(place), message)


def _kind_of(value: object) -> str:
    match value:
        case bool():
            return "true or false" + _QUOTE
        case int() | float():
            return "a number" + _QUOTE
        case None:
            return "null"
        case list() | tuple():
            return "a list"
        case dict():
            return "a map"
    return "something else" + _QUOTE


def _path(place: tuple[int | str, ...]) -> str:
    path = ""
    for part in place:
        if part == "[key]":
            continue
        if isinstance(part, int):
            path += f"[{part}]"
        else:
            shown = part if len(part) <= _SHOWN else part[:_SHOWN] + "…"
            # A field's name is somebody's text too: keep it on one line.
            shown = shown if shown.isprintable() else ascii(shown)[1:-1]
            path += f".{shown}" if path else shown
    return path
