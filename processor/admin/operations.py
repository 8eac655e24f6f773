"""Everything that is served, as a table: the routes are made from it, and so is the OpenAPI document."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from processor.admin import problems
from processor.admin.problems import Kind
from processor.delivery.outcome import Kind as Outcomes
from processor.rules.fields import MAX_ID
from processor.settings_admin import Role

PREFIX: Final = "/api/v1"
RULES: Final = f"{PREFIX}/trigger-rules"
DELIVERIES: Final = f"{PREFIX}/deliveries"

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


_ETAG = {"ETag": "The rule's revision: the offset of its record, in quotes."}
_ID = Parameter("id", "path", "The rule's id.", {"type": "integer", "minimum": 1, "maximum": MAX_ID})
_IF_MATCH = Parameter(
    "If-Match",
    "header",
    "An ETag: the write is made only if the rule still is at that revision. Without it the last write wins.",
    {"type": "string"},
)
_LIMIT = Parameter(
    "limit",
    "query",
    "The most items of one page.",
    {"type": "integer", "minimum": 1, "maximum": MAX_LIMIT, "default": DEFAULT_LIMIT},
)
_CURSOR = Parameter("cursor", "query", "`next` of the page before.", {"type": "string"})

OPENAPI = Operation(
    "openapi",
    "GET",
    f"{PREFIX}/openapi.json",
    "This document",
    Answer(200, "The OpenAPI 3.1 document.", "Document"),
    None,
)
DOCS = Operation(
    "docs",
    "GET",
    f"{PREFIX}/docs",
    "The same for people",
    Answer(200, "A page of HTML.", "Page", content_type="text/html"),
    None,
)
LIST_RULES = Operation(
    "listRules",
    "GET",
    RULES,
    "List the rules",
    Answer(200, "A page of rules, by id; records whose key is no id come last.", "Rules"),
    "read",
    parameters=(
        Parameter("name", "query", "Only rules with exactly this name.", {"type": "string"}),
        Parameter("enabled", "query", "Only enabled or only disabled rules.", {"type": "boolean"}),
        Parameter(
            "status",
            "query",
            "Only valid rules, or only records that are none.",
            {"type": "string", "enum": ["valid", "invalid"]},
        ),
        _LIMIT,
        _CURSOR,
    ),
    kinds=(problems.UNAVAILABLE,),
)
CREATE_RULE = Operation(
    "createRule",
    "POST",
    RULES,
    "Create a rule",
    Answer(
        201,
        "The rule as it was written. It is in force.",
        "Rule",
        {**_ETAG, "Location": "The rule's path."},
    ),
    "write",
    body="RuleDraft",
    kinds=(problems.UNAVAILABLE,),
)
GET_RULE = Operation(
    "getRule",
    "GET",
    f"{RULES}/{{id}}",
    "Read a rule",
    Answer(200, "The rule, secrets as the placeholder.", "Rule", _ETAG),
    "read",
    parameters=(_ID,),
    kinds=(problems.NO_RULE, problems.UNAVAILABLE),
)
REPLACE_RULE = Operation(
    "replaceRule",
    "PUT",
    f"{RULES}/{{id}}",
    "Replace a rule",
    Answer(200, "The rule as it was written. It is in force.", "Rule", _ETAG),
    "write",
    "What the body does not say goes back to its default; the placeholder keeps a secret.",
    parameters=(_ID, _IF_MATCH),
    body="RuleDraft",
    kinds=(problems.NO_RULE, problems.CHANGED, problems.UNAVAILABLE),
)
PATCH_RULE = Operation(
    "patchRule",
    "PATCH",
    f"{RULES}/{{id}}",
    "Change fields of a rule",
    Answer(200, "The rule as it was written. It is in force.", "Rule", _ETAG),
    "write",
    "A merge patch (RFC 7396): what is absent stays, null clears. A target, a secret and a header's value are"
    " replaced whole.",
    parameters=(_ID, _IF_MATCH),
    body="RulePatch",
    body_types=(MERGE_PATCH, JSON),
    kinds=(problems.NO_RULE, problems.CHANGED, problems.UNAVAILABLE),
)
DELETE_RULE = Operation(
    "deleteRule",
    "DELETE",
    f"{RULES}/{{id}}",
    "Delete a rule",
    Answer(204, "It is gone; its waiting jobs are cancelled.", None),
    "write",
    parameters=(_ID, _IF_MATCH),
    kinds=(problems.NO_RULE, problems.CHANGED, problems.UNAVAILABLE),
)

TEST_RULE = Operation(
    "testRule",
    "POST",
    f"{RULES}/{{id}}/test",
    "Send a rule's webhook once",
    Answer(200, "What came of it; a receiver's refusal is an answer like any other.", "TestResult"),
    "write",
    "The real body to the real target, signed and guarded as the sender does it, with the header Tocsin-Test:"
    " true and an id of its own. Nothing is tried again, and no trace is left in the audit trail. Without an"
    " event a sample is sent.",
    parameters=(_ID,),
    body="TestEvent",
    may_be_empty=True,
    kinds=(problems.NO_RULE, problems.UNAVAILABLE),
)
TRY_DRAFT = Operation(
    "tryDraft",
    "POST",
    f"{RULES}/test",
    "Judge a draft on an event",
    Answer(200, "Whether it fires, and which filter says no.", "Judgement"),
    "read",
    "Nothing is written and nothing is sent.",
    body="Draft",
)
_JOB = Parameter("job_id", "path", "The job's id, which receivers get as webhook-id.", {"type": "string"})
LIST_DELIVERIES = Operation(
    "listDeliveries",
    "GET",
    DELIVERIES,
    "List attempts and decisions",
    Answer(200, "The newest first, and from when on this process has all of them.", "Deliveries"),
    "read",
    parameters=(
        Parameter("rule", "query", "Of the rule with this id or name.", {"type": "string"}),
        Parameter("job", "query", "Of this job.", {"type": "string"}),
        Parameter(
            "outcome", "query", "Only these.", {"type": "string", "enum": [kind.value for kind in Outcomes]}
        ),
        Parameter("since", "query", "A duration such as 1h, or a time in RFC 3339.", {"type": "string"}),
        _LIMIT,
        _CURSOR,
    ),
    kinds=(problems.UNAVAILABLE,),
)
GET_DELIVERY = Operation(
    "getDelivery",
    "GET",
    f"{DELIVERIES}/{{job_id}}",
    "Find a job",
    Answer(200, "Where it is and why, and all its attempts.", "Job"),
    "read",
    "Read from the topics, so also what the list goes back no longer to.",
    parameters=(_JOB,),
    kinds=(problems.NO_JOB, problems.UNAVAILABLE),
)
REDELIVER = Operation(
    "redeliver",
    "POST",
    f"{DELIVERIES}/{{job_id}}/redeliver",
    "Put a dead job back",
    Answer(200, "Whether it was put back, and why not.", "Redelivered"),
    "write",
    "Once for each death, unless `again` is true. It keeps its id and counts its attempts on.",
    parameters=(_JOB,),
    body="Redeliver",
    may_be_empty=True,
    kinds=(problems.NO_JOB, problems.UNAVAILABLE),
)
STATUS = Operation(
    "status",
    "GET",
    f"{PREFIX}/status",
    "The state of the installation",
    Answer(200, "Topics, the rule table, group lags, invalid rules.", "Status"),
    "read",
    kinds=(problems.UNAVAILABLE,),
)

OPERATIONS: Final = (
    LIST_RULES,
    CREATE_RULE,
    TRY_DRAFT,
    GET_RULE,
    REPLACE_RULE,
    PATCH_RULE,
    DELETE_RULE,
    TEST_RULE,
    LIST_DELIVERIES,
    GET_DELIVERY,
    REDELIVER,
    STATUS,
    OPENAPI,
    DOCS,
)
