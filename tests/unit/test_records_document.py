"""docs/records.md, docs/schemas and docs/asyncapi.yaml: what the code writes is what they say."""

import json
from collections.abc import Iterable
from typing import Any

import jsonschema_rs
import pytest
import yaml

from processor.delivery.audit import audit_record, dead_headers
from processor.delivery.dead import REDELIVERED_FROM
from processor.delivery.outcome import Kind, Outcome, Reason, Stage
from processor.events import EventDecoder, EventFields
from processor.jobs import EventJobs, JobError, JobHeaders
from processor.jobs.build import RuleJobs
from processor.jobs.record import _KNOWN
from processor.kafka.records import Position
from processor.matching.engine import RuleSet
from processor.matching.judge import Judge, Version
from processor.rules import Change, Create, RaiseNextId, Release, TriggerRule
from processor.rules.changes import build
from processor.rules.codec import InvalidRule, read_record
from processor.scanning.codec import read_record as read_scan_rule
from processor.scanning.codec import to_record as to_scan_record
from processor.scanning.report import (
    CompileError,
    RuleCounts,
    ScannerReport,
    SourceState,
    WorkloadState,
    encode,
)
from processor.scanning.rule import ScanRule
from processor.settings import Settings
from tests.support.fakes import FakeRecord
from tests.support.record_schemas import JOB_HEADERS, REQUIRED_JOB_HEADERS, schemas
from tests.support.records_reference import (
    ASYNCAPI_FILE,
    RECORDS_FILE,
    SCHEMAS_DIRECTORY,
    asyncapi_file,
    channels,
    records_file,
    schema_files,
)
from tests.support.rules import draft, fields, snapshot_of, writer

AGAIN = "after a change: python -m tests.support.records_reference"

JOB = JobHeaders(*("msg_" + "a" * 32, 7, "U7", 41, "T", "event-log", 3, 4711, 1_795_428_000_000, 1, 5))
MUCH = JobHeaders(
    *("msg_" + "b" * 32, 7, "", 41, "T", "event-log", 0, 0, 1, 5, 2),
    deferrals=2,
    first_attempt=4,
    redelivered=1,
    redelivered_at_ms=3,
    traceparent=f"00-{'1' * 32}-{'2' * 16}-01",
)


def wrong(name: str, value: Any) -> list[str]:
    """What the schema has against it."""
    validator = jsonschema_rs.validator_for(schemas()[name])
    return [error.message for error in validator.iter_errors(value)]


def texts(headers: Iterable[tuple[str, bytes | None]]) -> dict[str, str]:
    return {name: (value or b"").decode("ascii") for name, value in headers}


def test_the_documents_are_those_that_the_code_makes() -> None:
    assert RECORDS_FILE.read_text(encoding="utf-8") == records_file(), AGAIN
    assert ASYNCAPI_FILE.read_text(encoding="utf-8") == asyncapi_file(), AGAIN
    there = {file.name: file.read_text(encoding="utf-8") for file in SCHEMAS_DIRECTORY.iterdir()}
    assert there == schema_files(), AGAIN


@pytest.mark.parametrize("name", list(schemas()))
def test_each_schema_is_one_and_every_field_has_a_meaning(name: str) -> None:
    schema = schemas()[name]

    jsonschema_rs.meta.validate(schema)
    assert [field for field, held in schema["properties"].items() if not held.get("description")] == []
    assert set(schema.get("required", ())) <= set(schema["properties"])


def test_every_topic_that_is_written_has_its_channel() -> None:
    topics = Settings().topics
    addresses = {channel.address for channel in channels()}

    written = {name for name in Settings().output_topics if not name.startswith(topics.retry_prefix)}
    assert addresses == {*written, f"{topics.retry_prefix}{{delay}}", *Settings().matcher.event_topics}


def test_all_references_of_the_asyncapi_document_lead_somewhere() -> None:
    document = yaml.safe_load(ASYNCAPI_FILE.read_text(encoding="utf-8"))
    found: list[str] = []

    def walk(value: Any) -> None:
        if isinstance(value, dict):
            found.extend(held for name, held in value.items() if name == "$ref")
            value = list(value.values())
        if isinstance(value, list):
            for inner in value:
                walk(inner)

    walk(document)

    assert len(found) > 30
    for reference in found:
        if reference.startswith("./"):
            assert (ASYNCAPI_FILE.parent / reference).is_file(), reference
        else:
            place = document
            for part in reference.removeprefix("#/").split("/"):
                place = place[part]


RULES: list[dict[str, Any]] = [
    fields("a"),
    fields("b", action_secret="whsec_c2VjcmV0", filter_severity="error, fatal", labels={"team": "shop"}),
    fields(
        "c",
        action_target={"secret": "https://h.example/T0KEN"},
        action_secret=[{"ref": "env:TOCSIN_SECRET_A", "not_after": "2030-01-01T00:00:00Z"}, {"secret": "s"}],
        filter_pattern={"detail": {"n": [{"numeric": [">", 3]}]}},
        muted_until="2030-01-01T00:00:00Z",
        paused=True,
        set="shop",
        delivery={
            "timeout": "10s",
            "headers": {"X-A": "1", "X-B": {"secret": "s"}, "X-C": {"ref": "file:x"}},
            "rate_limit": "20/s",
            "max_attempts": 3,
            "expires_after": "2h",
            "retry_4xx": False,
        },
    ),
]


def test_records_of_the_rule_table_that_are_written_fit() -> None:
    creates = [Create(draft(**rule)) for rule in RULES]
    changes: list[Change] = [*creates, RaiseNextId(9), Release(5, (1,), ("https://h.example",))]

    records = build(changes, snapshot_of(), writer()).records

    kinds = {b"_table": "table", b"_release": "release"}
    assert {key for key, _ in records} == {b"1", b"2", b"3", *kinds}
    for key, value in records:
        assert value is not None
        assert wrong(kinds.get(key, "trigger-rule"), json.loads(value)) == []


@pytest.mark.parametrize(
    "rule", [*RULES, {**RULES[0], "kind": "TriggerRule", "id": 7, "filter_source": None}]
)
def test_what_a_plain_producer_may_write_fits(rule: dict[str, Any]) -> None:
    assert isinstance(read_record(b"7", json.dumps(rule).encode(), None, 0), TriggerRule)
    assert wrong("trigger-rule", rule) == []


@pytest.mark.parametrize(
    "changes",
    [
        {"foo": 1},
        {"name": None},
        {"enabled": "yes"},
        {"action_type": "email"},
        {"action_target": 7},
        {"action_secret": []},
        {"kind": "Other"},
        {"id": 0},
        {"delivery": {"max_attempts": 0}},
        {"delivery": {"timeout": "10"}},
        {"delivery": {"foo": 1}},
        {"delivery": {"headers": {"X-A": 1}}},
    ],
)
def test_what_is_no_rule_does_not_fit(changes: dict[str, Any]) -> None:
    rule = {**RULES[0], **changes}

    assert isinstance(read_record(b"7", json.dumps(rule).encode(), None, 0), InvalidRule)
    assert wrong("trigger-rule", rule) != []


SCAN_RULES: list[dict[str, Any]] = [
    {"name": "a", "pattern": "x"},
    {"name": "b", "workload": "shop/api", "overrides": "a", "enabled": False, "kind": "LogScanRule"},
    {
        "name": "c",
        "pattern": r"(?P<pid>\d+)",
        "severity": "error",
        "message_template": "killed ${pid}",
        "cooldown": "60s",
        "streams": "stderr",
        "workload": "shop/api",
        "overrides": 3,
        "labels": {"team": "shop"},
        "set": "shop",
    },
]


@pytest.mark.parametrize("rule", SCAN_RULES)
def test_a_scan_rule_fits_as_it_is_given_and_as_it_is_written(rule: dict[str, Any]) -> None:
    read = read_scan_rule(b"7", json.dumps(rule).encode(), None, 0)

    assert isinstance(read, ScanRule)
    assert wrong("scan-rule", rule) == []
    assert wrong("scan-rule", json.loads(to_scan_record(read))) == []


@pytest.mark.parametrize(
    "changes",
    [
        {"foo": 1},
        {"name": None},
        {"pattern": 1},
        {"streams": "all"},
        {"cooldown": 60},
        {"overrides": 0},
        {"overrides": ""},
        {"overrides": True},
        {"kind": "TriggerRule"},
    ],
)
def test_what_is_no_scan_rule_does_not_fit(changes: dict[str, Any]) -> None:
    rule = {**SCAN_RULES[2], **changes}

    assert isinstance(read_scan_rule(b"7", json.dumps(rule).encode(), None, 0), InvalidRule)
    assert wrong("scan-rule", rule) != []


def test_the_report_of_a_scanner_fits() -> None:
    report = ScannerReport(
        *("node-1", "1.0", 1, 2, 10_000),
        lag_ms=5,
        sources=(SourceState("cri", 1, "no such directory"),),
        workloads=(WorkloadState("shop/api", 2),),
        rules=(RuleCounts(7, 3, 2, 1),),
        errors=(CompileError(8, "too large", 4),),
    )

    assert wrong("scanner-report", json.loads(encode(report))) == []
    assert wrong("scanner-report", {**json.loads(encode(report)), "lines": "many"}) != []


@pytest.mark.parametrize("job", [JOB, MUCH])
def test_the_headers_of_a_job_fit(job: JobHeaders) -> None:
    headers = texts(job.encode())

    assert wrong("job-headers", headers) == []
    assert set(headers) <= set(JOB_HEADERS)
    for name in REQUIRED_JOB_HEADERS:
        rest = {key: value for key, value in headers.items() if key != name}
        assert wrong("job-headers", rest) != []
        with pytest.raises(JobError):
            JobHeaders.decode([(key, value.encode()) for key, value in rest.items()])
    for name in set(headers) - set(REQUIRED_JOB_HEADERS):
        JobHeaders.decode([(key, value.encode()) for key, value in headers.items() if key != name])


def test_every_header_of_a_job_is_described() -> None:
    assert set(JOB_HEADERS) == set(_KNOWN)


def test_the_job_of_a_match_and_its_body_fit() -> None:
    matched = EventJobs(
        topic="event-log",
        topic_id="T",
        partition=0,
        offset=0,
        rules_topic_id="R",
        rules_offset=3,
        matched_at_ms=1_795_428_000_123,
    )

    _, value, headers = matched.job(RuleJobs(7, "U7", "deploys", 0), b'{"severity": "error"}')

    assert wrong("webhook-body", json.loads(value)) == []
    assert wrong("job-headers", texts(headers)) == []


@pytest.mark.parametrize("reason", list(Reason))
@pytest.mark.parametrize("stage", [None, *Stage])
def test_every_end_of_a_job_fits(reason: Reason, stage: Stage | None) -> None:
    outcome = Outcome(Kind.DEAD, 5, 7, reason, stage, 503, "HTTP 503", "busy")

    assert wrong("dead-headers", texts([*JOB.encode(), *dead_headers(outcome, 9)])) == []
    record = json.loads(audit_record(JOB, outcome, rule_name="a", origin="https://h.example"))
    assert wrong("delivery", record) == []
    assert list(record) == list(schemas()["delivery"]["properties"])


@pytest.mark.parametrize("kind", list(Kind))
def test_every_outcome_fits(kind: Kind) -> None:
    record = audit_record(JOB, Outcome(kind, 5), rule_name="", origin="", next_attempt_at_ms=9)

    assert wrong("delivery", json.loads(record)) == []
    assert wrong("delivery", {**json.loads(record), "outcome": "lost"}) != []


def test_a_marker_of_the_dead_topic_fits() -> None:
    marker = {"tocsin-job-id": JOB.job_id, REDELIVERED_FROM: "3@4711", "write-id": "0af3"}

    assert wrong("redelivered-headers", marker) == []
    assert wrong("redelivered-headers", {**marker, REDELIVERED_FROM: "3"}) != []


@pytest.mark.parametrize("value", [None, b"", b"{", b"[1]", b'{"a":' * 600])
def test_the_headers_of_an_unreadable_event_fit(value: bytes | None) -> None:
    judge = Judge(EventDecoder(EventFields()), "jobs", "dead")
    version = Version(RuleSet({}, 0), "R", 3)
    seen = dict(judge.look([value], version.rules))

    (letter,) = judge.judge(seen[0], FakeRecord(value), Position("event-log", 0), "T", version, 5).records

    assert wrong("unreadable-event-headers", texts(letter.headers)) == []
