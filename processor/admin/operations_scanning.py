"""The operations on scan rules and workloads."""

from __future__ import annotations

from typing import Final

from processor.admin import problems
from processor.admin.operation import (
    CURSOR,
    ENABLED_STATUS,
    ETAG_HEADER,
    ID,
    IF_MATCH,
    JSON,
    LIMIT,
    MERGE_PATCH,
    SCAN_RULES,
    WORKLOADS,
    Answer,
    Operation,
    Parameter,
)

LIST_SCAN_RULES = Operation(
    "listScanRules",
    "GET",
    SCAN_RULES,
    "List the scan rules",
    Answer(200, "A page of scan rules, by id; records whose key is no id come last.", "ScanRules"),
    "read",
    parameters=(
        Parameter("name", "query", "Only rules with exactly this name.", {"type": "string"}),
        Parameter("workload", "query", "Only this workload's own rules.", {"type": "string"}),
        *ENABLED_STATUS,
        LIMIT,
        CURSOR,
    ),
    kinds=(problems.UNAVAILABLE,),
)
CREATE_SCAN_RULE = Operation(
    "createScanRule",
    "POST",
    SCAN_RULES,
    "Create a scan rule",
    Answer(201, "The rule as it was written.", "ScanRule", {**ETAG_HEADER, "Location": "The rule's path."}),
    "write",
    "`overrides` may say the name or the id of a global rule; the answer has the id.",
    body="ScanRuleDraft",
    kinds=(problems.UNAVAILABLE,),
)
SCAN_STATS = Operation(
    "scanStats",
    "GET",
    f"{SCAN_RULES}/stats",
    "Read what the scanners count",
    Answer(200, "A page of rules with their counts, by id; and every scanner.", "ScanStats"),
    "read",
    "Counts are since each scanner's start, added up. A scanner that missed three reports is stale; one that"
    " was silent for a week is left out.",
    parameters=(LIMIT, CURSOR),
    kinds=(problems.UNAVAILABLE,),
)
TRY_SCAN_DRAFT = Operation(
    "tryScanDraft",
    "POST",
    f"{SCAN_RULES}/test",
    "Try a scan rule on a line",
    Answer(200, "Whether it matches, what its groups captured, and the event it would make.", "ScanTrial"),
    "read",
    "Nothing is written. Cooldown, bucket and whether the rule is enabled are left out of account.",
    body="ScanDraftSample",
)
GET_SCAN_RULE = Operation(
    "getScanRule",
    "GET",
    f"{SCAN_RULES}/{{id}}",
    "Read a scan rule",
    Answer(200, "The rule.", "ScanRule", ETAG_HEADER),
    "read",
    parameters=(ID,),
    kinds=(problems.NO_RULE, problems.UNAVAILABLE),
)
REPLACE_SCAN_RULE = Operation(
    "replaceScanRule",
    "PUT",
    f"{SCAN_RULES}/{{id}}",
    "Replace a scan rule",
    Answer(200, "The rule as it was written.", "ScanRule", ETAG_HEADER),
    "write",
    "What the body does not say goes back to its default.",
    parameters=(ID, IF_MATCH),
    body="ScanRuleDraft",
    kinds=(problems.NO_RULE, problems.CHANGED, problems.UNAVAILABLE),
)
PATCH_SCAN_RULE = Operation(
    "patchScanRule",
    "PATCH",
    f"{SCAN_RULES}/{{id}}",
    "Change fields of a scan rule",
    Answer(200, "The rule as it was written.", "ScanRule", ETAG_HEADER),
    "write",
    "A merge patch (RFC 7396): what is absent stays, null clears.",
    parameters=(ID, IF_MATCH),
    body="ScanRulePatch",
    body_types=(MERGE_PATCH, JSON),
    kinds=(problems.NO_RULE, problems.CHANGED, problems.UNAVAILABLE),
)
DELETE_SCAN_RULE = Operation(
    "deleteScanRule",
    "DELETE",
    f"{SCAN_RULES}/{{id}}",
    "Delete a scan rule",
    Answer(204, "It is gone, and with a global rule all that override it.", None),
    "write",
    parameters=(ID, IF_MATCH),
    kinds=(problems.NO_RULE, problems.CHANGED, problems.UNAVAILABLE),
)
TEST_SCAN_RULE = Operation(
    "testScanRule",
    "POST",
    f"{SCAN_RULES}/{{id}}/test",
    "Try a stored scan rule on a line",
    Answer(200, "Whether it matches, what its groups captured, and the event it would make.", "ScanTrial"),
    "read",
    "Nothing is written. Cooldown, bucket and whether the rule is enabled are left out of account.",
    parameters=(ID,),
    body="ScanSample",
    kinds=(problems.NO_RULE, problems.UNAVAILABLE),
)
SCAN_RULE_STATS = Operation(
    "scanRuleStats",
    "GET",
    f"{SCAN_RULES}/{{id}}/stats",
    "Read what the scanners count of one rule",
    Answer(200, "Its counts on each scanner, and how many logs it is looked for in.", "ScanRuleStats"),
    "read",
    parameters=(ID,),
    kinds=(problems.NO_RULE, problems.UNAVAILABLE),
)
LIST_WORKLOADS = Operation(
    "listWorkloads",
    "GET",
    WORKLOADS,
    "List the workloads",
    Answer(200, "A page of what has logs on a scanner, or rules of its own; by name.", "Workloads"),
    "read",
    parameters=(LIMIT, CURSOR),
    kinds=(problems.UNAVAILABLE,),
)
EFFECTIVE_RULES = Operation(
    "effectiveRules",
    "GET",
    f"{WORKLOADS}/{{id}}/effective-rules",
    "List the rules of a workload",
    Answer(200, "The rules that its lines are judged by, by id.", "EffectiveRules"),
    "read",
    "The enabled global rules, without those that a rule of the workload overrides, and its own. Also for one"
    " that has no logs yet.",
    parameters=(
        Parameter(
            "id",
            "path",
            "The workload; a slash in it is %2F.",
            {"type": "string", "minLength": 1},
        ),
    ),
    kinds=(problems.UNAVAILABLE,),
)

ALL: Final = (
    LIST_SCAN_RULES,
    CREATE_SCAN_RULE,
    SCAN_STATS,
    TRY_SCAN_DRAFT,
    GET_SCAN_RULE,
    REPLACE_SCAN_RULE,
    PATCH_SCAN_RULE,
    DELETE_SCAN_RULE,
    TEST_SCAN_RULE,
    SCAN_RULE_STATS,
    LIST_WORKLOADS,
    EFFECTIVE_RULES,
)
