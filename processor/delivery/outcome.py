"""What came of one attempt, or of a decision not to make one.

One value from which the log line, the audit record, the metrics and the next step are all made.
"""

from dataclasses import dataclass
from enum import StrEnum

from msgspec import Struct


class Kind(StrEnum):
    """The audit record's `outcome`."""

    DELIVERED = "delivered"
    FAILED = "failed"
    DEAD = "dead"
    CANCELLED = "cancelled"
    DEFERRED = "deferred"


class Reason(StrEnum):
    """The audit record's `reason`: why a job is dead (the first five) or cancelled (the others)."""

    EXHAUSTED = "exhausted"
    GONE = "gone"
    REFUSED = "refused"
    EXPIRED = "expired"
    BLOCKED = "blocked"
    DELETED = "deleted"
    DISABLED = "disabled"
    REPLACED = "replaced"
    MUTED = "muted"


def was_attempted(reason: str | None) -> bool:
    """Whether a job that died of this reason died in an attempt, which its attempt number then counts.

    One that expired, or that was no job to begin with, had not been tried under that number.
    """
    return bool(reason) and reason != Reason.EXPIRED


class Stage(StrEnum):
    """How far an attempt came before it failed.

    render: the request could not be made (secret, target, header); resolve, connect, tls, write, read: on
    the way; status: an answer came, and it was no.
    """

    RENDER = "render"
    RESOLVE = "resolve"
    CONNECT = "connect"
    TLS = "tls"
    WRITE = "write"
    READ = "read"
    STATUS = "status"


class Outcome(Struct, frozen=True, gc=False):
    """kind and, where it has one, reason; the rest describes the attempt.

    stage: where it failed, None when it didn't. status: the HTTP status if one came. error: one short line,
    never with a URL's path. snippet: the start of the answer's body, printable. started_at_ms: ms since
    1970; duration_ms: 0 where nothing was attempted. retry_after: the answer's Retry-After header as it
    came.
    """

    kind: Kind
    started_at_ms: int
    duration_ms: int = 0
    reason: Reason | None = None
    stage: Stage | None = None
    status: int | None = None
    error: str = ""
    snippet: str = ""
    retry_after: str | None = None


@dataclass(frozen=True, slots=True)
class Dead:
    """A decision: the job goes to the dead topic, with this reason."""

    reason: Reason
