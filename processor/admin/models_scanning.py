"""What the API answers about log scanning, as models."""

from __future__ import annotations

from typing import Final, Literal

from pydantic import Field

from processor.admin.models import Shown
from processor.scanning.rule import ScanDraft

Sample = Field(description="A line of a log, without its end and time stamp.")
Stream = Literal["stdout", "stderr"]


class ScanSample(Shown):
    """A line to try a rule on."""

    sample_line: str = Sample
    stream: Stream = "stdout"
    workload: str | None = Field(default=None, description="Whose line; null: the rule's own, or an example.")


class ScanDraftSample(ScanSample):
    """A scan rule that was never written, and a line to try it on."""

    rule: ScanDraft


class ScanEventMetadata(Shown):
    """Where an event comes from."""

    container: str
    image: str
    stream: Stream
    rule: str = Field(description="The rule's name.")
    captures: dict[str, str] = Field(description="What the pattern's named groups matched.")
    suppressed: int = Field(description="Hits that the cooldown held back since the event before.")
    node: str


class ScannedEvent(Shown):
    """An event as a scanner writes it to the event log."""

    severity: str
    source: str = Field(description="The workload.")
    message: str
    metadata: ScanEventMetadata
    created_at: str = Field(description="The line's own time, RFC 3339.")


class ScanTrial(Shown):
    """What a rule makes of a line."""

    matched: bool
    reason: str | None = Field(description="Why not, for people.")
    captures: dict[str, str]
    event: ScannedEvent | None


class RuleError(Shown):
    """A scanner can't use a rule."""

    node: str
    error: str
    at: str


class ScanCounts(Shown):
    """One rule's counts, of all scanners together."""

    id: int
    name: str
    workload: str | None
    hits: int = Field(description="Events made.")
    suppressed: int = Field(description="Hits that the cooldown held back.")
    dropped: int = Field(description="Hits that a container's bucket held back.")
    errors: tuple[RuleError, ...]


class CountsOnScanner(Shown):
    """One rule's counts on one scanner."""

    node: str
    stale: bool
    started_at: str = Field(description="The counts are since then.")
    hits: int
    suppressed: int
    dropped: int
    tails: int = Field(description="Logs that it is looked for in.")


class ScanRuleStats(ScanCounts):
    """One rule's counts."""

    tails: int = Field(description="Logs that it is looked for in, on all scanners.")
    scanners: tuple[CountsOnScanner, ...]


class LogSource(Shown):
    """A source of logs."""

    name: str = Field(description="docker, cri or file.")
    tails: int = Field(description="Logs being read.")
    trouble: str = Field(description="Why it can't read; empty when it can.")


class Scanner(Shown):
    """What a scanner last reported."""

    node: str
    version: str
    stale: bool = Field(description="It missed its last three reports.")
    started_at: str
    reported_at: str
    rules_offset: int = Field(description="The next offset of the rule table that it works by.")
    lines: int
    cut_lines: int
    lost_bytes: int = Field(description="Of logs that went away before they were read.")
    lag_ms: int | None = Field(
        description="Age of the oldest line that is read and not acknowledged by Kafka."
    )
    sources: tuple[LogSource, ...]
    workloads_left_out: int = Field(description="Workloads that had no room in its report.")
    rules_left_out: int = Field(description="Rules with counts that had no room in its report.")


class OnNode(Shown):
    """A workload's logs on one node."""

    node: str
    tails: int
    stale: bool


class WorkloadState(Shown):
    """A workload."""

    id: str
    tails: int = Field(description="Its logs that are being read.")
    nodes: tuple[OnNode, ...]
    rules: int = Field(description="How many rules its lines are judged by.")


ALL: Final[tuple[type[Shown], ...]] = (
    ScanSample,
    ScanDraftSample,
    ScanTrial,
    ScanCounts,
    ScanRuleStats,
    Scanner,
    WorkloadState,
)
