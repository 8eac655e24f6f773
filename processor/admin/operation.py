"""What an operation of the API is, and the parameters that several have."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from processor.admin import problems
from processor.admin.problems import Kind
from processor.rules.fields import MAX_ID
from processor.settings_admin import Role

PREFIX: Final = "/api/v1"
RULES: Final = f"{PREFIX}/trigger-rules"
DELIVERIES: Final = f"{PREFIX}/deliveries"
SCAN_RULES: Final = f"{PREFIX}/log-scan-rules"
WORKLOADS: Final = f"{PREFIX}/workloads"

MAX_LIMIT: Final = 1_000
DEFAULT_LIMIT: Final = 100

JSON: Final = "application/json"
MERGE_PATCH: Final = "application/merge-patch+json"


@dataclass(frozen=True, slots=True)
class Parameter:
    """A parameter of a request. place: path, query or header; schema: its JSON Schema."""

    name: str
    place: str
    description: str
    schema: Mapping[str, Any]

    @property
    def required(self) -> bool:
        """Whether it can't be left out."""
        return self.place == "path"


@dataclass(frozen=True, slots=True)
class Answer:
    """What comes back when all went well. model: the component of the body, None where there is none."""

    status: int
    description: str
    model: str | None
    headers: Mapping[str, str] = field(default_factory=dict)
    content_type: str = JSON


@dataclass(frozen=True, slots=True)
class Operation:
    """One method of one path. role: what the caller's token must be good for, None for anybody.

    body: the component that the request's body is, None where there is none.
    """

    id: str
    method: str
    path: str
    summary: str
    answer: Answer
    role: Role | None
    description: str = ""
    parameters: tuple[Parameter, ...] = ()
    body: str | None = None
    body_types: tuple[str, ...] = (JSON,)
    may_be_empty: bool = False
    kinds: tuple[Kind, ...] = ()

    @property
    def problems(self) -> tuple[Kind, ...]:
        """Everything it may answer instead."""
        found = list(self.kinds)
        if self.role is not None:
            found += [problems.UNAUTHENTICATED, problems.TOO_MANY]
        if self.role == "write":
            found.append(problems.FORBIDDEN)
        if self.body is not None:
            found += [problems.NOT_JSON, problems.TOO_LARGE, problems.WRONG_TYPE, problems.INVALID]
        if any(parameter.place == "query" for parameter in self.parameters):
            found.append(problems.INVALID)
        return tuple(sorted(set(found), key=lambda kind: (kind.status, kind.name)))

    @property
    def query(self) -> frozenset[str]:
        """The names of its query parameters."""
        return frozenset(one.name for one in self.parameters if one.place == "query")


ETAG_HEADER: Final = {"ETag": "The rule's revision: the offset of its record, in quotes."}
ID: Final = Parameter("id", "path", "The rule's id.", {"type": "integer", "minimum": 1, "maximum": MAX_ID})
IF_MATCH: Final = Parameter(
    "If-Match",
    "header",
    "An ETag: the write is made only if the rule still is at that revision. Without it the last write wins.",
    {"type": "string"},
)
LIMIT: Final = Parameter(
    "limit",
    "query",
    "The most items of one page.",
    {"type": "integer", "minimum": 1, "maximum": MAX_LIMIT, "default": DEFAULT_LIMIT},
)
CURSOR: Final = Parameter("cursor", "query", "`next` of the page before.", {"type": "string"})
ENABLED_STATUS: Final = (
    Parameter("enabled", "query", "Only enabled or only disabled rules.", {"type": "boolean"}),
    Parameter(
        "status",
        "query",
        "Only valid rules, or only records that are none.",
        {"type": "string", "enum": ["valid", "invalid"]},
    ),
)
