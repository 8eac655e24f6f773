"""JSON Schemas (draft 7) of every record of Tocsin's own, made from the code that writes and reads them.

A record's headers are an object of texts: its key is a record's name with `-headers` behind it.
"""

from collections.abc import Mapping
from typing import Any, get_args

import msgspec
from pydantic import BaseModel

from processor.delivery.audit import dead_headers
from processor.delivery.dead import REDELIVERED_FROM, WRITE_ID
from processor.delivery.outcome import Kind, Outcome, Reason, Stage
from processor.delivery.trail import AuditRecord
from processor.events.event import Reason as Unreadable
from processor.jobs import record
from processor.matching import judge
from processor.rules.fields import MAX_ID
from processor.rules.schema import KIND, TriggerRule
from processor.scanning import rule as scan_rule
from processor.scanning.report import ScannerReport
from processor.scanning.rule import ScanRule

Schema = dict[str, Any]

DRAFT = "http://json-schema.org/draft-07/schema#"

_ID = "^[1-9][0-9]{0,15}$"
_NUMBER = "^(0|[1-9][0-9]{0,18})$"
_FROM_1 = "^[1-9][0-9]{0,18}$"
_TOKEN = "^[!-~]*$"
NUMBERS = frozenset({_ID, _NUMBER, _FROM_1})
"""The patterns of texts that are numbers."""

_JOB_ID = "^msg_[a-z2-7]{32}$"
_ORIGIN = "^https?://[^/]+$"


def _text(description: str, pattern: str | None = None, **more: Any) -> Schema:
    return {"type": "string", **({"pattern": pattern} if pattern else {}), "description": description, **more}


JOB_HEADERS: Mapping[str, Schema] = {
    record.FORMAT: _text("The record's format; absent is 1, a newer one stops the partition.", _FROM_1),
    record.JOB_ID: _text("The job's id, which is the webhook's `webhook-id`.", _JOB_ID),
    record.RULE_ID: _text("The rule's id.", _ID),
    record.RULE_UID: _text("The rule's uid; empty for a plain producer's rule.", _TOKEN),
    record.RULES_OFFSET: _text("The next offset of the rule table that the event was judged by.", _NUMBER),
    record.RULES_TOPIC_ID: _text("The id of the topic that table was read from.", _TOKEN),
    record.EVENT_TOPIC: _text("The event's topic.", _TOKEN),
    record.EVENT_PARTITION: _text("The event's partition.", _NUMBER),
    record.EVENT_OFFSET: _text("The event's offset.", _NUMBER),
    record.MATCHED_AT: _text("When it matched, in ms since 1970.", _NUMBER),
    record.ATTEMPT: _text("The number of the next attempt.", _FROM_1),
    record.NOT_BEFORE: _text("When that is due, in ms since 1970.", _NUMBER),
    record.DEFERRALS: _text("How often it was put off without an attempt since the last one.", _NUMBER),
    record.FIRST_ATTEMPT: _text("The attempt that its present schedule began with.", _FROM_1),
    record.REDELIVERED: _text("How often it was put back from the dead topic.", _FROM_1),
    record.REDELIVERED_AT: _text("When it was put back last, in ms since 1970.", _NUMBER),
    record.TRACEPARENT: _text("The event's W3C trace context, if it had one."),
}

REQUIRED_JOB_HEADERS = tuple(
    name
    for name in JOB_HEADERS
    if name
    not in {
        *(record.FORMAT, record.DEFERRALS, record.FIRST_ATTEMPT),
        *(record.REDELIVERED, record.REDELIVERED_AT, record.TRACEPARENT),
    }
)

_DEATH: Mapping[str, Schema] = {
    "tocsin-outcome": {"const": str(Kind.DEAD), "description": "Always dead."},
    "tocsin-reason": {
        "enum": ["", *(str(reason) for reason in Reason)],
        "description": "Why it was given up; empty for a record that was no job.",
    },
    "tocsin-stage": {
        "enum": ["", *(str(stage) for stage in Stage)],
        "description": "How far the last attempt came; empty without one.",
    },
    "tocsin-status": _text("The last HTTP status; empty without one.", "^([1-9][0-9]{2})?$"),
    "tocsin-error": _text("What went wrong, in ASCII, at most 300 bytes."),
    "tocsin-died-at": _text("When, in ms since 1970.", _NUMBER),
}

DEATH_HEADERS = {name: _DEATH[name] for name, _ in dead_headers(Outcome(Kind.DEAD, 0), 0)}
"""In the order in which they are written; a KeyError here is one that has no description yet."""


def schemas() -> dict[str, Schema]:
    """Every schema by name."""
    found = {
        "trigger-rule": _rule(),
        "table": _table(),
        "release": _release(),
        "webhook-body": _body(),
        "job-headers": _headers(
            "The headers of a job. Headers of other names travel along.", JOB_HEADERS, REQUIRED_JOB_HEADERS
        ),
        "dead-headers": _headers(
            "The headers of a job that was given up: the job's own, and how it died. (A record that was no"
            " job keeps the headers it had; this is about those that were.)",
            {**JOB_HEADERS, **DEATH_HEADERS},
            (*REQUIRED_JOB_HEADERS, *DEATH_HEADERS),
        ),
        "redelivered-headers": _redelivered(),
        "delivery": _delivery(),
        "unreadable-event-headers": _unreadable(),
        "scan-rule": _scan_rule(),
        "scanner-report": _report(),
    }
    return {name: {"$schema": DRAFT, "title": name, **schema} for name, schema in found.items()}


def _rule() -> Schema:
    schema = _rule_like(TriggerRule, KIND, ["name", "action_type", "action_target"])
    schema["description"] = "A trigger rule. A name that isn't here makes it invalid."
    return schema


def _scan_rule() -> Schema:
    schema = _rule_like(ScanRule, scan_rule.KIND, ["name"])
    schema["description"] = "A scan rule. A name that isn't here makes it invalid."
    return schema


def _rule_like(kind_of: type[BaseModel], kind: str, required: list[str]) -> Schema:
    model = kind_of.model_json_schema()
    schema: Schema = _inlined(model, model.pop("$defs", {}))
    schema["required"] = required
    schema["properties"]["kind"] = {"const": kind, "description": "What the record is; may be left out."}
    schema["properties"]["id"]["description"] = "The record's key; may be left out."
    schema["properties"]["updated_by"]["description"] = "Who wrote this version."
    schema["properties"]["updated_at"]["description"] = "When this version was written."
    return schema


def _inlined(schema: Any, definitions: Mapping[str, Schema]) -> Any:
    """Without titles (they repeat the names) and with every definition where it is used."""
    if isinstance(schema, list):
        return [_inlined(inner, definitions) for inner in schema]
    if not isinstance(schema, dict):
        return schema
    if "$ref" in schema:
        definition = definitions[schema["$ref"].rpartition("/")[2]]
        schema = {**definition, **{name: held for name, held in schema.items() if name != "$ref"}}
    return {
        name: (
            {inner: _inlined(held[inner], definitions) for inner in held}
            if name == "properties"
            else held
            if name in {"default", "examples", "const", "enum"}
            else _inlined(held, definitions)
        )
        for name, held in schema.items()
        if not (name == "title" and isinstance(held, str))
    }


def _table() -> Schema:
    next_id = {"type": "integer", "minimum": 1, "maximum": MAX_ID + 1}
    return {
        "type": "object",
        "description": "What the rule table keeps of itself.",
        "properties": {"next_id": {**next_id, "description": "No id below it is given out any more."}},
        "required": ["next_id"],
    }


def _release() -> Schema:
    at = {"type": "integer", "minimum": 0, "description": "ms since 1970"}
    return {
        "type": "object",
        "description": "When waiting jobs were last released: what was put off up to then is due.",
        "properties": {
            "rules": {
                "type": "object",
                "description": "By rule id.",
                "propertyNames": {"pattern": _ID},
                "additionalProperties": at,
            },
            "destinations": {
                "type": "object",
                "description": "By origin.",
                "propertyNames": {"pattern": _ORIGIN},
                "additionalProperties": at,
            },
        },
    }


def _body() -> Schema:
    return {
        "type": "object",
        "description": "What a receiver is sent, byte for byte.",
        "properties": {
            "type": {"const": "event_trigger", "description": "Always this."},
            "trigger_id": {
                "type": "integer",
                "minimum": 1,
                "maximum": MAX_ID,
                "description": "The rule's id.",
            },
            "trigger_name": _text("The rule's name when the event matched."),
            "event": {"type": "object", "description": "The event as it was logged."},
            "timestamp": _text(
                "The time of the match.", r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$", format="date-time"
            ),
        },
        "required": ["type", "trigger_id", "trigger_name", "event", "timestamp"],
        "additionalProperties": False,
    }


def _headers(description: str, headers: Mapping[str, Schema], required: tuple[str, ...]) -> Schema:
    return {
        "type": "object",
        "description": description,
        "properties": dict(headers),
        "required": list(required),
    }


def _redelivered() -> Schema:
    headers = {
        record.JOB_ID: JOB_HEADERS[record.JOB_ID],
        REDELIVERED_FROM: _text(
            "Which dead record was put back: `<partition>@<offset>`.", "^[0-9]{1,10}@[0-9]{1,19}$"
        ),
        WRITE_ID: _text("How its writer finds it again.", "^[0-9a-f]+$"),
    }
    return _headers(
        "The headers of a marker on the dead topic: it has no value and is no job.", headers, tuple(headers)
    )


_AUDIT: Mapping[str, Any] = {
    "job_id": {"pattern": _JOB_ID, "description": "The job's id, the record's key."},
    "rule_id": {"minimum": 1, "maximum": MAX_ID, "description": "The rule's id."},
    "rule_uid": {"description": "The rule's uid; empty for a plain producer's rule."},
    "rule_name": {"description": "The rule's name at the time; empty if the rule was gone."},
    "attempt": {"minimum": 1, "description": "The attempt's number, or that of the one not made."},
    "outcome": {"enum": [str(kind) for kind in Kind], "description": "What came of it."},
    "reason": {
        "enum": [*(str(reason) for reason in Reason), None],
        "description": "Why the job is dead or cancelled, null otherwise.",
    },
    "stage": {
        "enum": [*(str(stage) for stage in Stage), None],
        "description": "How far it came before it failed, null if it didn't.",
    },
    "status": {"description": "The HTTP status, null if none came."},
    "started_at_ms": {"minimum": 0, "description": "When it began, in ms since 1970."},
    "duration_ms": {"minimum": 0, "description": "How long it took; 0 where nothing was attempted."},
    "origin": {"description": "Scheme, host and port that were called; empty if not known."},
    "next_attempt_at_ms": {"description": "When the next one is due, null if there is none."},
    "error": {"description": "What went wrong, in a line."},
    "snippet": {"description": "The beginning of the answer, at most 1 KiB."},
}


def _delivery() -> Schema:
    schema = _inlined(msgspec.json.schema(AuditRecord)["$defs"]["AuditRecord"], {})
    for name, held in schema["properties"].items():
        held |= _AUDIT[name]
    schema["description"] = "One attempt to deliver a job, or one decision about it."
    return dict(schema)


_REPORT: Mapping[str, str] = {
    "node": "The machine's name, the record's key.",
    "version": "Tocsin's version.",
    "started_at_ms": "When the process started, in ms since 1970; all counts are since then.",
    "reported_at_ms": "When this was written, in ms since 1970, by the scanner's clock.",
    "interval_ms": "How often it reports; who misses three reports counts as silent.",
    "rules_offset": "The next offset of the rule table that it works by.",
    "lines": "Lines read.",
    "cut_lines": "Parts of lines that were too long.",
    "lost_bytes": "Bytes of logs that went away before they were read.",
    "lag_ms": "Age of the oldest line that is read and not acknowledged by Kafka, null if there is none.",
    "sources": "Each source of logs: `name`, `tails` (logs being read) and `trouble` (why it can't read).",
    "workloads": "The workloads with logs here: `name` and `tails`.",
    "workloads_left_out": "How many more there are.",
    "rules": "Each rule with a hit: `id`, `hits` (events), `suppressed` (by its cooldown), `dropped` (by a"
    " container's bucket).",
    "rules_left_out": "How many more there are.",
    "errors": "Rules that can't be used: `id`, `error` and `at_ms`.",
}


def _report() -> Schema:
    made = msgspec.json.schema(ScannerReport)["$defs"]
    schema: Schema = _inlined(made["ScannerReport"], made)
    for name, held in schema["properties"].items():
        held["description"] = _REPORT[name]
    schema["description"] = "What a scanner says of itself, about every ten seconds."
    return schema


def _unreadable() -> Schema:
    headers = {
        judge.REASON: {"enum": list(get_args(Unreadable)), "description": "Why it can't be read."},
        judge.EVENT_TOPIC: JOB_HEADERS[record.EVENT_TOPIC],
        judge.EVENT_PARTITION: JOB_HEADERS[record.EVENT_PARTITION],
        judge.EVENT_OFFSET: JOB_HEADERS[record.EVENT_OFFSET],
    }
    return _headers("What a dead event has besides its own headers.", headers, tuple(headers))
