"""The kinds of values a rule's fields take, as pydantic types: what is accepted, and the words when it isn't.

No message repeats a value that may be secret. `null` counts as absent wherever absence has one meaning.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Annotated, Any, TypeVar

from pydantic import AfterValidator, BeforeValidator, Field, WithJsonSchema
from pydantic_core import PydanticCustomError

from processor.filters import FilterError, compile_filter
from processor.patterns import PatternError, compile_pattern
from processor.rules.headers import check_header_name, check_header_value
from processor.rules.identity import check_uid
from processor.rules.lists import GO_SPACE, split_list
from processor.rules.rate import Rate, parse_rate
from processor.rules.target import parse_target
from processor.rules.values import (
    PLACEHOLDER,
    Reference,
    Secret,
    SecretTarget,
    SecretValue,
    SecretWindow,
    check_secret,
    read_value,
)

MAX_ID = 2**53 - 1
"""The largest integer that every JSON reader keeps exact (RFC 8259, 6)."""
MAX_NAME = 255
MAX_SECRETS = 8
"""In one list: each that is valid costs a signature per webhook."""

_RFC3339 = re.compile(r"\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d:\d\d(\.\d{1,9})?([Zz]|[+-]\d\d:\d\d)")
_T = TypeVar("_T")


def wrong(message: str) -> PydanticCustomError:
    """A field's error with exactly these words."""
    return PydanticCustomError("rule_field", "{message}", {"message": message})


def wrong_at(message: str, *place: int | str) -> PydanticCustomError:
    """The same, of a part of the field: a place in its list, a name in that."""
    return PydanticCustomError("rule_field", "{message}", {"message": message, "place": place})


def without_kind(record: object, kind: str) -> object:
    """A record's fields without `kind`, which may be left out but not be another one."""
    if not isinstance(record, dict) or "kind" not in record:
        return record
    if record["kind"] != kind:
        raise wrong(f"kind must be {kind}, or be left out")
    return {name: value for name, value in record.items() if name != "kind"}


def format_time(moment: datetime) -> str:
    """RFC 3339 in UTC, with a fraction only where there is one."""
    return moment.astimezone(UTC).isoformat().replace("+00:00", "Z")


def format_ms(at_ms: int) -> str:
    """A time in ms since 1970 as RFC 3339 in UTC, to the millisecond."""
    return datetime.fromtimestamp(at_ms / 1000, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _checked(check: Callable[[_T], object]) -> Callable[[_T], _T]:
    """`check` as a validator: its ValueError becomes the field's error, word for word."""

    def validate(value: _T) -> _T:
        try:
            check(value)
        except ValueError as error:
            raise wrong(str(error)) from None
        return value

    return validate


def null_as(default: Callable[[], object]) -> BeforeValidator:
    """Takes null as `default()`."""
    return BeforeValidator(lambda value: default() if value is None else value)


def _read_list(value: object) -> object:
    if value is None:
        return ()
    if isinstance(value, str):
        return split_list(value)
    if isinstance(value, list | tuple):
        return tuple(value)
    raise wrong("expected a list of strings, or one string with commas")


def _read_time(value: object) -> object:
    if isinstance(value, str) and _RFC3339.fullmatch(value):
        try:
            return datetime.fromisoformat(value.upper()).astimezone(UTC)
        except (ValueError, OverflowError):
            pass
    if value is None or (isinstance(value, datetime) and value.tzinfo is not None):
        return value
    raise wrong("expected a time such as 2026-11-23T10:00:00Z")


def _check_name(name: str) -> None:
    if not name.strip(GO_SPACE):
        raise ValueError("is empty")
    if len(name) > MAX_NAME:
        raise ValueError(f"is longer than {MAX_NAME} characters")


def _check_pattern(pattern: str) -> None:
    try:
        compile_pattern(pattern)
    except PatternError as error:
        raise ValueError(str(error)) from None


def _check_filter(value: object) -> object:
    if value is None:
        return None
    try:
        compile_filter(value)
    except FilterError as error:
        raise wrong_at(error.message, *error.place) from None
    return value


def _read_secret(value: object) -> object:
    if value is None or value == "":
        return None
    if isinstance(value, list | tuple):
        return _read_windows(value)
    if isinstance(value, str):
        value = {"secret": value}
    if isinstance(value, dict | Secret | Reference):
        return read_value(value)
    raise wrong("expected text, a secret or a ref")


def _read_windows(values: list[object] | tuple[object, ...]) -> tuple[SecretWindow, ...]:
    if not values:
        raise wrong("is an empty list; leave it out to send without a signature")
    if len(values) > MAX_SECRETS:
        raise wrong(f"has more than {MAX_SECRETS} secrets")
    return tuple(
        value if isinstance(value, SecretWindow) else _read_window(value, place)
        for place, value in enumerate(values)
    )


def _read_window(value: object, place: int) -> SecretWindow:
    if isinstance(value, str):
        value = {"secret": value}
    if not isinstance(value, Mapping):
        raise wrong_at(
            "expected text, a secret or a ref, with not_before and not_after if it has them", place
        )
    times: dict[str, object] = {}
    for name in ("not_before", "not_after"):
        try:
            times[name] = _read_time(value.get(name))
        except PydanticCustomError as error:
            raise wrong_at(error.message(), place, name) from None
    begins, ends = times["not_before"], times["not_after"]
    if isinstance(begins, datetime) and isinstance(ends, datetime) and begins >= ends:
        raise wrong_at("is not later than not_before", place, "not_after")
    try:
        read = read_value({name: held for name, held in value.items() if name not in times})
    except PydanticCustomError as error:
        raise wrong_at(error.message(), place) from None
    return SecretWindow.model_validate({"value": read, **times})


def _read_rate(value: object) -> object:
    if value is None or isinstance(value, Rate):
        return value
    try:
        return parse_rate(value)
    except ValueError as error:
        raise wrong(str(error)) from None


def _read_target(value: object) -> object:
    if value == PLACEHOLDER:
        return SecretTarget(secret=PLACEHOLDER)
    if not isinstance(value, str | dict | Secret | Reference):
        raise wrong("expected a URL, a secret or a ref")
    return read_value(value, SecretTarget)


def _check_target(value: str | SecretValue) -> None:
    if isinstance(value, str):
        parse_target(value)
    elif isinstance(value, Secret) and value.is_plain:
        parse_target(value.secret)


def _read_header(value: object) -> object:
    if value == PLACEHOLDER:
        return Secret(secret=PLACEHOLDER)
    if not isinstance(value, str | dict | Secret | Reference):
        raise wrong("expected text, a secret or a ref; a number, true and false need quotes")
    return read_value(value)


def _check_header(value: str | SecretValue) -> None:
    if isinstance(value, str):
        check_header_value(value)
    elif isinstance(value, Secret) and value.is_plain:
        check_header_value(check_secret(value.secret))


# What JSON Schema says of a field: the forms that are taken, and no more than it can say of them.
_TEXT: dict[str, Any] = {"type": "string"}
_NULL: dict[str, Any] = {"type": "null"}
_TIME: dict[str, Any] = {"type": "string", "format": "date-time"}
_REF: dict[str, Any] = {
    "type": "string",
    "description": "env:TOCSIN_SECRET_… or file:… (a path below secrets.directory)",
    "pattern": "^(env:TOCSIN_SECRET_|file:)",
}
_SECRET: dict[str, Any] = {
    "type": "string",
    "minLength": 1,
    "description": "Sealed when it is written; reads show ***, and *** written back changes nothing.",
}


def _secret_forms(**more: Any) -> list[dict[str, Any]]:
    """`{secret: …}` and `{ref: …}`, each with `more` fields."""
    return [
        {
            "type": "object",
            "properties": {name: schema, **more},
            "required": [name],
            "additionalProperties": False,
        }
        for name, schema in (("secret", _SECRET), ("ref", _REF))
    ]


_WINDOWS: dict[str, Any] = {
    "type": "array",
    "minItems": 1,
    "maxItems": MAX_SECRETS,
    "items": {"anyOf": [_TEXT, *_secret_forms(not_before=_TIME, not_after=_TIME)]},
}

RuleId = Annotated[int, Field(ge=1, le=MAX_ID)]
Uid = Annotated[str, AfterValidator(_checked(check_uid))]
Name = Annotated[str, AfterValidator(_checked(_check_name))]
Text = Annotated[str, null_as(str)]
Labels = Annotated[dict[str, str], null_as(dict)]
Accepted = Annotated[
    tuple[str, ...],
    BeforeValidator(_read_list),
    WithJsonSchema({"anyOf": [{"type": "array", "items": _TEXT}, _TEXT, _NULL]}),
]
"""The values a filter accepts; none is any."""
PatternText = Annotated[str, AfterValidator(_checked(_check_pattern)), null_as(str)]
EventPattern = Annotated[dict[str, Any] | None, BeforeValidator(_check_filter)]
"""An event pattern as it was written (processor.filters)."""
Moment = Annotated[datetime, BeforeValidator(_read_time), WithJsonSchema(_TIME)]
SigningSecret = Annotated[
    Secret | Reference | tuple[SecretWindow, ...] | None,
    BeforeValidator(_read_secret),
    WithJsonSchema({"anyOf": [_TEXT, *_secret_forms(), _WINDOWS, _NULL]}),
]
RateLimit = Annotated[
    Rate | None,
    BeforeValidator(_read_rate),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "string", "pattern": "^[0-9]+(/[smh])?$", "examples": ["20/s"]},
                {"type": "integer", "minimum": 1},
                _NULL,
            ]
        }
    ),
]
TargetValue = Annotated[
    str | SecretTarget | Reference,
    AfterValidator(_checked(_check_target)),
    BeforeValidator(_read_target),
    WithJsonSchema({"anyOf": [_TEXT, _secret_forms(origin=_TEXT)[0], _secret_forms()[1]]}),
]
HeaderName = Annotated[str, AfterValidator(_checked(check_header_name))]
HeaderValue = Annotated[
    str | Secret | Reference,
    AfterValidator(_checked(_check_header)),
    BeforeValidator(_read_header),
    WithJsonSchema({"anyOf": [_TEXT, *_secret_forms()]}),
]
