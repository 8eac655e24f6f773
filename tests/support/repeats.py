"""Which repeated requests at-least-once delivery excuses, worked out from what happened. Pure.

A webhook-id may come again with the same attempt number only if the earlier copy was in flight, or had
finished since its sender's last commit, when that sender was killed, was frozen, or lost its broker.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

COLLECTED_WITHIN = 1.5
"""Seconds from a request's arrival until its outcome must be in the next commit, on a busy machine."""

COMMITTED_WITHIN = 6.0
"""Seconds before an interruption in which anything may be uncommitted: a transaction may last 5 s."""


class AttemptKey(NamedTuple):
    """One attempt of a job."""

    job_id: str
    number: int


@dataclass(frozen=True, slots=True)
class Copy:
    """A request as it arrived. Times are seconds since 1970; `begun` is a whole second, cut off."""

    key: AttemptKey
    sender: str
    begun: int
    arrived: float


@dataclass(frozen=True, slots=True)
class Committed:
    """An attempt's audit record, as a read_committed reader finds it; `written` is its time in Kafka."""

    key: AttemptKey
    outcome: str
    started: float
    written: float


@dataclass(frozen=True, slots=True)
class Interruption:
    """A process was killed (`until` None) or frozen, or every process was cut off from its broker."""

    sender: str
    what: str
    at: float
    until: float | None = None


def unexcused(
    copies: Iterable[Copy], committed: Iterable[Committed], interruptions: Sequence[Interruption]
) -> list[str]:
    """What at-least-once delivery does not explain, one line each."""
    by_key: dict[AttemptKey, list[Copy]] = defaultdict(list)
    for copy in copies:
        by_key[copy.key].append(copy)
    stands: dict[AttemptKey, Copy] = {}
    commits: dict[str, list[float]] = defaultdict(list)
    faults: list[str] = []
    for record in committed:
        if record.key not in by_key:
            faults.append(f"{record.key}: committed and never sent")
            continue
        copy = min(by_key[record.key], key=lambda one: abs(one.arrived - record.started))
        stands[record.key] = copy
        commits[copy.sender].append(record.written)
    for key, sent in by_key.items():
        if key not in stands:
            faults.append(f"{key}: sent and never committed")
        for copy in sent:
            if copy is stands.get(key):
                continue
            reasons = [why_not(copy, one, commits[copy.sender]) for one in of_sender(copy, interruptions)]
            if "" not in reasons:
                faults.append(f"{copy} of {len(sent)}: {'; '.join(reasons) or 'its sender was left alone'}")
    return faults


def of_sender(copy: Copy, interruptions: Sequence[Interruption]) -> list[Interruption]:
    """Those of the copy's sender, and those of all (an empty name)."""
    return [one for one in interruptions if one.sender in (copy.sender, "")]


def why_not(copy: Copy, interruption: Interruption, commits: Iterable[float]) -> str:
    """Why this interruption doesn't excuse the copy; empty if it does.

    commits: when its sender's transactions were written.
    """
    name = f"{interruption.what} at {interruption.at:.3f}"
    # While cut off from the broker a sender goes on; a frozen or killed one begins nothing.
    last = interruption.until or interruption.at if interruption.sender == "" else interruption.at
    if copy.begun > last:
        return f"begun after {name}"
    if copy.begun < interruption.at - COMMITTED_WITHIN:
        return f"long before {name}"
    if any(copy.arrived + COLLECTED_WITHIN < commit < interruption.at for commit in commits):
        return f"not in a commit made after it and before {name}"
    return ""


def broken_histories(committed: Iterable[Committed], job_ids: Iterable[str]) -> list[str]:
    """Jobs whose committed attempts are not 1..n, each once, all failed but the last, which ends the job."""
    history: dict[str, list[Committed]] = {job_id: [] for job_id in job_ids}
    faults = []
    for record in committed:
        if record.key.job_id in history:
            history[record.key.job_id].append(record)
        else:
            faults.append(f"{record.key}: not a job of this test")
    for job_id, records in history.items():
        records.sort(key=lambda record: record.key.number)
        numbers = [record.key.number for record in records]
        outcomes = [record.outcome for record in records]
        if (
            numbers != list(range(1, len(records) + 1))
            or set(outcomes[:-1]) - {"failed"}
            or outcomes[-1:] not in (["delivered"], ["dead"])
        ):
            faults.append(f"{job_id}: {list(zip(numbers, outcomes, strict=True))}")
    return faults
