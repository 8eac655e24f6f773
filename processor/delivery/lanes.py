"""The partitions a sender owns and the jobs it has taken from each. Pure: nothing here waits or asks.

A lane is one partition of one topic. Lanes of the same number (webhook-jobs and every retry topic) come and
go together, because a retry record stays on the partition number it came from.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from enum import Enum

from processor.delivery.http import WebhookRequest
from processor.delivery.watermark import Watermark
from processor.jobs import JobHeaders
from processor.kafka.records import Commit, Position
from processor.kafka.starting import metadata_for
from processor.rules.schema import TriggerRule

BATCH = 500
"""How many records one fetch may bring; there must be room for them in a lane that isn't paused."""

HELD_RECORDS = 1_000
HELD_BYTES = 16 * 1_048_576
"""How much of one retry partition waits in memory; the rest waits in the topic."""


class State(Enum):
    """Where a job in hand is."""

    WAITING = "due"  # until its time
    RULES = "rules"  # until the rule table is as new as the job
    READY = "slot"  # for a place among those in flight
    SENDING = "sending"
    FINISHED = "finished"  # its outcome waits for the next transaction


@dataclass(slots=True, eq=False)
class JobInHand:
    """One record of a lane, from its fetch to the commit of what became of it."""

    lane: Lane
    offset: int
    key: bytes | None
    body: bytes
    headers: JobHeaders
    appended_ms: int
    """When its record was appended (LogAppendTime on retry topics), ms since 1970."""
    state: State = State.WAITING
    rule: TriggerRule | None = None
    """The rule it is being sent by."""
    rule_name: str = ""
    origin: str = ""
    request: WebhookRequest | None = None
    """What will be sent, by that rule."""
    judged_by: object = None
    """The snapshot of the rules that `rule` is of."""
    judged_at_ms: int = 0
    """When that was, ms since 1970."""
    has_place: bool = False
    """Whether it waits for a place in the queue of its destination."""
    in_line: bool = False
    """Whether it waits for a token of its rule's limit."""

    @property
    def gone(self) -> bool:
        """True once its partition belongs to somebody else: nothing of it may be sent or written any more."""
        return self.lane.closed


@dataclass(slots=True, eq=False)
class Lane:
    """One owned partition."""

    position: Position
    topic_id: str
    tier_ms: int
    """The delay of a retry topic; 0 for webhook-jobs."""
    watermark: Watermark
    committed: Commit
    """What the group holds for it, as far as this process knows."""
    jobs: dict[int, JobInHand] = field(default_factory=dict)
    held_bytes: int = 0
    started: bool = False
    """Whether something has been fetched since it was assigned: pausing before loses the offset to start
    at (librdkafka #2190)."""
    paused: bool = False
    closed: bool = False
    blocked: str | None = None
    """Why nothing more is taken, if something there can't be passed: a job of a newer format."""
    changed: bool = False
    """Whether there may be something to commit since `committed`."""

    def take(self, job: JobInHand) -> None:
        """Hold a job from now on."""
        self.jobs[job.offset] = job
        self.held_bytes += len(job.body)

    def finish(self, job: JobInHand) -> None:
        """Let go of a job whose outcome is ready to be written."""
        del self.jobs[job.offset]
        self.held_bytes -= len(job.body)
        self.watermark.finish(job.offset)
        self.changed = True

    def end(self, next_offset: int) -> None:
        """Read to its end, past transaction markers."""
        self.watermark.end(next_offset)
        self.changed = True

    def commit(self) -> Commit:
        """What is to be committed now."""
        return Commit(self.watermark.next_offset, metadata_for(self.topic_id, self.watermark.runs()))

    def wants_pause(self, busy: bool) -> bool:
        """Whether fetching should stop (or stay stopped). `busy`: the whole sender has enough to send."""
        if not self.started:
            return False
        if self.blocked is not None or not self.watermark.room(BATCH):
            return True
        if not self.tier_ms:
            return busy
        share = 2 if self.paused else 1  # resume at half of what pauses
        return len(self.jobs) >= HELD_RECORDS // share or self.held_bytes >= HELD_BYTES // share


class Lanes:
    """All owned lanes, by partition."""

    def __init__(self) -> None:
        self._lanes: dict[Position, Lane] = {}

    def open(self, lane: Lane) -> None:
        """Own one more."""
        self._lanes[lane.position] = lane

    def close(self, positions: Iterable[Position]) -> list[Lane]:
        """Own these no longer; their jobs are `gone`."""
        closed = [self._lanes.pop(p) for p in positions if p in self._lanes]
        for lane in closed:
            lane.closed = True
        return closed

    @property
    def blocked(self) -> str | None:
        """Where and why a lane stands still, None if none does."""
        return next((f"{lane.position}: {lane.blocked}" for lane in self if lane.blocked is not None), None)

    def get(self, position: Position) -> Lane | None:
        """The lane of a partition, None if it is not owned."""
        return self._lanes.get(position)

    def numbered(self, numbers: Iterable[int]) -> list[Lane]:
        """All lanes of these partition numbers."""
        wanted = set(numbers)
        return [lane for lane in self._lanes.values() if lane.position.partition in wanted]

    def __iter__(self) -> Iterator[Lane]:
        return iter(self._lanes.values())

    def __len__(self) -> int:
        return len(self._lanes)
