"""Everything the API can answer instead of what was asked for: problem details as of RFC 9457.

    {"type": "urn:tocsin:problem:invalid-fields", "title": "…", "status": 422, "detail": "…",
     "errors": [{"path": "delivery.headers.X-Team", "message": "…"}]}

`type` is stable, and so are the paths in `errors`; titles and details are for people. None of it ever holds a
secret, a full target or a stack trace.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from processor.kafka.errors import KafkaFailure
from processor.rules.errors import (
    FieldError,
    InvalidFields,
    NameTaken,
    NoSuchRule,
    RevisionConflict,
    RuleFailure,
    RuleTooLarge,
    SecretError,
    StoreUnavailable,
)

CONTENT_TYPE: Final = "application/problem+json"
_PREFIX: Final = "urn:tocsin:problem:"


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of problem: its stable name, its HTTP status and its title."""

    name: str
    status: int
    title: str

    @property
    def type(self) -> str:
        """The `type` of its problem details."""
        return f"{_PREFIX}{self.name}"


NOT_JSON = Kind("not-json", 400, "The body is not JSON in UTF-8")
BAD_REQUEST = Kind("bad-request", 400, "The request is not HTTP as it should be")
UNAUTHENTICATED = Kind("unauthenticated", 401, "A bearer token is needed")
FORBIDDEN = Kind("forbidden", 403, "The token may not do this")
NO_ROUTE = Kind("no-route", 404, "There is nothing under this path")
NO_RULE = Kind("no-such-rule", 404, "There is no such rule")
NO_JOB = Kind("no-such-job", 404, "Nothing is known of this job")
WRONG_METHOD = Kind("wrong-method", 405, "This path takes other methods")
CHANGED = Kind("changed", 412, "It has changed since it was read")
TOO_LARGE = Kind("too-large", 413, "The body is too large")
WRONG_TYPE = Kind("wrong-content-type", 415, "The body has a content type that is not taken here")
INVALID = Kind("invalid-fields", 422, "Fields of the request can't be taken")
TOO_MANY = Kind("too-many-requests", 429, "Too many requests")
INTERNAL = Kind("internal", 500, "A fault of Tocsin's own")
UNAVAILABLE = Kind("unavailable", 503, "Kafka, or what is read from it, is not there now")

ALL: Final = (
    NOT_JSON,
    BAD_REQUEST,
    UNAUTHENTICATED,
    FORBIDDEN,
    NO_ROUTE,
    NO_RULE,
    NO_JOB,
    WRONG_METHOD,
    CHANGED,
    TOO_LARGE,
    WRONG_TYPE,
    INVALID,
    TOO_MANY,
    INTERNAL,
    UNAVAILABLE,
)


class Problem(Exception):  # noqa: N818  (what RFC 9457 calls it)
    """Ends a request with this problem. `headers` go along with it."""

    def __init__(
        self,
        kind: Kind,
        detail: str,
        errors: Sequence[FieldError] = (),
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(detail)
        self.kind = kind
        self.detail = detail
        self.errors = tuple(errors)
        self.headers = dict(headers or {})

    def as_json(self) -> dict[str, Any]:
        """The problem details."""
        body: dict[str, Any] = {
            "type": self.kind.type,
            "title": self.kind.title,
            "status": self.kind.status,
            "detail": self.detail,
        }
        if self.errors:
            body["errors"] = [{"path": one.field, "message": one.message} for one in self.errors]
        return body


def invalid(path: str, message: str) -> Problem:
    """One wrong field."""
    return invalid_fields([FieldError(path, message)])


def invalid_fields(errors: Sequence[FieldError]) -> Problem:
    """Several."""
    return Problem(INVALID, str(InvalidFields(errors)), errors)


def unavailable(detail: str) -> Problem:
    """Something that comes back by itself."""
    return Problem(UNAVAILABLE, detail, headers={"Retry-After": "2"})


def problem_of(failure: RuleFailure | KafkaFailure) -> Problem:
    """What a failure of the rules' store, or of Kafka, is to whoever asked."""
    match failure:
        case InvalidFields():
            return invalid_fields(failure.errors)
        case SecretError():
            return invalid(failure.place, failure.message)
        case NameTaken():
            return invalid("name", str(failure))
        case RuleTooLarge():
            return invalid("", str(failure))
        case NoSuchRule():
            return Problem(NO_RULE, str(failure))
        case RevisionConflict():
            return Problem(CHANGED, str(failure))
        case StoreUnavailable() | KafkaFailure():
            return unavailable(str(failure))
        case _:
            # What stands in the topic keeps every write away until somebody mends it; the text says how.
            return unavailable(str(failure))
