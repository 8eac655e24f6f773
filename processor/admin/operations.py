"""Everything that is served, as a table: the routes are made from it, and so is the OpenAPI document."""

from __future__ import annotations

from typing import Final

from processor.admin import operations_scanning, problems
from processor.admin.operation import (
    CURSOR,
    DELIVERIES,
    ENABLED_STATUS,
    ETAG_HEADER,
    ID,
    IF_MATCH,
    JSON,
    LIMIT,
    MERGE_PATCH,
    PREFIX,
    RULES,
    Answer,
    Operation,
    Parameter,
)
from processor.delivery.outcome import Kind as Outcomes

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
        *ENABLED_STATUS,
        LIMIT,
        CURSOR,
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
        {**ETAG_HEADER, "Location": "The rule's path."},
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
    Answer(200, "The rule, secrets as the placeholder.", "Rule", ETAG_HEADER),
    "read",
    parameters=(ID,),
    kinds=(problems.NO_RULE, problems.UNAVAILABLE),
)
REPLACE_RULE = Operation(
    "replaceRule",
    "PUT",
    f"{RULES}/{{id}}",
    "Replace a rule",
    Answer(200, "The rule as it was written. It is in force.", "Rule", ETAG_HEADER),
    "write",
    "What the body does not say goes back to its default; the placeholder keeps a secret.",
    parameters=(ID, IF_MATCH),
    body="RuleDraft",
    kinds=(problems.NO_RULE, problems.CHANGED, problems.UNAVAILABLE),
)
PATCH_RULE = Operation(
    "patchRule",
    "PATCH",
    f"{RULES}/{{id}}",
    "Change fields of a rule",
    Answer(200, "The rule as it was written. It is in force.", "Rule", ETAG_HEADER),
    "write",
    "A merge patch (RFC 7396): what is absent stays, null clears. A target, a secret and a header's value are"
    " replaced whole.",
    parameters=(ID, IF_MATCH),
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
    parameters=(ID, IF_MATCH),
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
    parameters=(ID,),
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
        LIMIT,
        CURSOR,
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
    *operations_scanning.ALL,
    STATUS,
    OPENAPI,
    DOCS,
)
