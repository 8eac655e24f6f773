"""What the API answers besides rules, as models: answers are made from them, and so are their schemas."""

from __future__ import annotations

from typing import Any, Final

from pydantic import BaseModel, ConfigDict, Field

from processor.rules.schema import RuleDraft


class Shown(BaseModel):
    """The base: fixed, and with no field that isn't described."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class WrongField(Shown):
    """A field and what is wrong with it."""

    path: str = Field(description="delivery.headers.X-Team, action_secret[1].not_after; empty: all of it.")
    message: str = Field(description="For people; never with a value.")


class ProblemDetails(Shown):
    """RFC 9457."""

    type: str = Field(description="urn:tocsin:problem:…, stable.")
    title: str = Field(description="What kind of problem it is.")
    status: int = Field(description="The HTTP status.")
    detail: str = Field(description="What happened here, for people.")
    errors: tuple[WrongField, ...] | None = Field(
        default=None, description="Every field that is wrong, where fields are."
    )


class TestEvent(Shown):
    """What a test sends."""

    event: dict[str, Any] = Field(default={}, description="Absent: one that says it is a test.")


class TestResult(Shown):
    """What came of a test."""

    delivered: bool = Field(description="Whether the receiver answered 2xx.")
    webhook_id: str = Field(description="The webhook-id of the request.")
    reason: str | None = Field(description="blocked: egress refused the target.")
    stage: str | None = Field(
        description="Where it failed: render, resolve, connect, tls, write, read or status."
    )
    status: int | None = Field(description="The receiver's HTTP status.")
    duration_ms: int = Field(description="From resolving the name to the answer's headers, or the failure.")
    error: str = Field(description="What went wrong, in one line.")
    snippet: str = Field(description="The start of the answer's body.")


class Draft(Shown):
    """A rule that was never written, and an event to judge."""

    rule: RuleDraft
    event: dict[str, Any]


class Judgement(Shown):
    """What an event does to a rule."""

    fires: bool
    filter: str | None = Field(description="The first filter that says no.")
    reason: str | None = Field(description="Why, for people.")
    severity: str = Field(description="As the matcher reads it from the event.")
    source: str
    message: str


class DeliveryRecord(Shown):
    """One attempt, or one decision about a job."""

    job_id: str = Field(description="The webhook-id.")
    rule_id: int
    rule_uid: str
    rule_name: str = Field(description="As it was at the time.")
    attempt: int
    outcome: str = Field(description="delivered, failed, dead, cancelled or deferred.")
    reason: str | None = Field(description="Why it is dead or cancelled.")
    stage: str | None = Field(description="Where the attempt failed.")
    status: int | None = Field(description="The receiver's HTTP status.")
    started_at_ms: int = Field(description="ms since 1970.")
    duration_ms: int
    origin: str = Field(description="Scheme, host and port of the target.")
    next_attempt_at_ms: int | None
    error: str
    snippet: str = Field(description="The start of the receiver's answer.")


class Job(Shown):
    """A job: where it is and why, and what was tried."""

    job_id: str
    rule_id: int | None
    rule_name: str
    state: str = Field(description="waiting, delivered, dead, cancelled or unknown.")
    why: str = Field(description="What it waits for, or what it died of.")
    detail: str
    next_attempt: int | None
    due_ms: int | None = Field(description="When that attempt is due, ms since 1970.")
    topic: str | None = Field(description="Where it waits.")
    partition: int | None
    offset: int | None
    deferrals: int | None
    redelivered: int | None = Field(description="How often it was put back.")
    attempts: tuple[DeliveryRecord, ...]


class Redeliver(Shown):
    """How to put a job back."""

    again: bool = Field(default=False, description="Also if this death was put back before.")


class Redelivered(Shown):
    """What became of a dead job."""

    job_id: str
    rule_id: int | None
    action: str = Field(description="redelivered or skipped.")
    reason: str = Field(description="What it had died of, or why it was left alone.")


class TopicState(Shown):
    """One of the installation's topics, or an event topic."""

    name: str
    partitions: int | None = Field(description="null: it is missing.")


class GroupState(Shown):
    """A consumer group."""

    name: str
    members: int = Field(description="Running processes of the role.")
    lag: dict[str, int | None] = Field(
        description="By topic, the records not yet committed; null where nothing is committed."
    )


class InvalidState(Shown):
    """A record that is no valid rule."""

    key: str
    offset: int
    reason: str


class TableState(Shown):
    """This process's rule table."""

    topic_id: str | None
    next_offset: int
    waiting_for: str | None = Field(description="Why it isn't whole; null: it is.")
    valid: int
    invalid: int
    invalid_rules: tuple[InvalidState, ...] = Field(description="The first hundred.")


class IndexState(Shown):
    """What /api/v1/deliveries is answered from."""

    records: int
    complete_since: str | None = Field(description="null: all that the topic held.")
    waiting_for: str | None


class ScannerSeen(Shown):
    """A log scanner that reported."""

    node: str
    stale: bool = Field(description="It missed its last three reports.")
    reported_at: str


class Status(Shown):
    """The installation as this process sees it."""

    version: str
    table: TableState
    scan_table: TableState = Field(description="The same of the scan rules.")
    scanners: tuple[ScannerSeen, ...]
    topics: tuple[TopicState, ...]
    groups: tuple[GroupState, ...]
    deliveries: IndexState
    sender: dict[str, Any] | None = Field(
        description="Jobs in hand and circuits of the sender in this process; null where it runs elsewhere."
    )


ALL: Final[tuple[type[Shown], ...]] = (
    WrongField,
    ProblemDetails,
    TestEvent,
    TestResult,
    Draft,
    Judgement,
    DeliveryRecord,
    Job,
    Redeliver,
    Redelivered,
    Status,
)
