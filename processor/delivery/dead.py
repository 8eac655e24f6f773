"""The dead topic: which of its records are jobs that can be put back, and the records that put one back.

A dead job is put back by two records in one transaction: the job, in the job topic, and in the dead topic a
marker that names the dead record, has its key and no value, and lies in the same partition behind it. So
whoever reads the dead topic to its end knows what has been put back. A job dies again with a new record,
behind that marker. Pure.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final, NamedTuple

from msgspec.structs import replace

from processor.delivery.intake import DEAD_HEADERS
from processor.delivery.outcome import was_attempted
from processor.jobs import JobError, JobHeaders, NewerFormat
from processor.jobs.record import JOB_ID
from processor.kafka.records import Headers, OutRecord, Position

REDELIVERED_FROM: Final = "tocsin-redelivered-from"
"""Header of a marker: `<partition>@<offset>` of the dead record that was put back."""

WRITE_ID: Final = "write-id"
"""Header of a marker: whoever wrote it finds it by that after a lost answer."""

_FROM = re.compile(rb"([0-9]{1,10})@([0-9]{1,19})")


class DeadLetter(NamedTuple):
    """A dead job, as far as needed to choose; its record is read again to put it back.

    attempt: the number of the last attempt made, 0 for none. died_at_ms: ms since 1970.
    """

    attempt: int
    died_at_ms: int
    partition: int
    offset: int
    rule_id: int
    reason: str
    redelivered: int

    @property
    def place(self) -> tuple[int, int]:
        """Partition and offset."""
        return self.partition, self.offset


class Marker(NamedTuple):
    """A note that a dead job was put back: where it stands, where the dead record stood, who wrote it."""

    partition: int
    offset: int
    dead: tuple[int, int]
    write_id: bytes


@dataclass(frozen=True, slots=True)
class Selection:
    """Which dead jobs are meant: one job, or those of a rule (both: the job, of that rule).

    since_ms: only jobs that died then or later; 0 for all.
    """

    job_id: str | None = None
    rule_id: int | None = None
    since_ms: int = 0

    def may_take(self, key: bytes | None) -> bool:
        """Whether a record with this key can be meant; a quick look that spares decoding the others."""
        return self.rule_id is None or key is None or key.startswith(b"%d/" % self.rule_id)


class DeadLetters:
    """What the dead topic says about the jobs of a selection; its records go in, in order per partition."""

    def __init__(self, selection: Selection) -> None:
        self._selection = selection
        self._letters: dict[str, list[DeadLetter]] = {}
        self._markers: dict[str, list[Marker]] = {}
        self.unusable: Counter[tuple[int | None, str]] = Counter()
        """Records that can't be put back, by rule (None: it isn't known) and what is wrong with them."""

    def take(self, position: Position, offset: int, headers: Headers, *, empty: bool) -> None:
        """One more record; `empty`: it has no value."""
        found = dict(headers)
        job_id = (found.get(JOB_ID) or b"").decode("ascii", "replace")
        if self._selection.job_id not in {None, job_id}:
            return
        if is_marker(headers):
            if names := _FROM.fullmatch(found.get(REDELIVERED_FROM) or b""):
                dead, write_id = (int(names[1]), int(names[2])), found.get(WRITE_ID) or b""
                marker = Marker(position.partition, offset, dead, write_id)
                self._markers.setdefault(job_id, []).append(marker)
            return
        try:
            job = read_dead(headers)
        except NewerFormat as failure:
            self._refuse(None, str(failure))
            return
        except JobError as failure:
            # Of which rule it was can't be told, so it is nobody's unless somebody asks for everything.
            if self._selection.rule_id is None:
                self._refuse(None, str(failure))
            return
        if self._selection.rule_id not in {None, job.rule_id}:
            return
        if empty:
            self._refuse(job.rule_id, "its body was too large to be kept")
            return
        reason = (found.get("tocsin-reason") or b"").decode("ascii", "replace")
        letter = DeadLetter(
            job.attempt if was_attempted(reason) else job.attempt - 1,
            _number(found.get("tocsin-died-at")),
            position.partition,
            offset,
            job.rule_id,
            reason,
            job.redelivered,
        )
        self._letters.setdefault(job_id, []).append(letter)

    def latest(self) -> Mapping[str, DeadLetter]:
        """The last death of each job; of two records of one death (a job that was written twice) one."""
        since = self._selection.since_ms
        last = ((job_id, max(letters)) for job_id, letters in self._letters.items())
        return {job_id: letter for job_id, letter in last if letter.died_at_ms >= since}

    def is_put_back(self, job_id: str, letter: DeadLetter) -> bool:
        """Whether this death is settled: the job was put back after it."""
        return any(
            marker.dead == letter.place
            or (marker.partition == letter.partition and marker.offset > letter.offset)
            for marker in self._markers.get(job_id, ())
        )

    def times_put_back(self, job_id: str) -> int:
        """How many markers there are of the job."""
        return len(self._markers.get(job_id, ()))

    def is_put_back_by(self, job_id: str, write_id: str) -> bool:
        """Whether there is a marker of this write."""
        return any(marker.write_id == write_id.encode() for marker in self._markers.get(job_id, ()))

    def _refuse(self, rule_id: int | None, why: str) -> None:
        self.unusable[rule_id, why] += 1


def read_dead(headers: Headers) -> JobHeaders:
    """The job in a dead record, without what says how it died. Raises JobError, NewerFormat."""
    return JobHeaders.decode((name, value) for name, value in headers if name not in DEAD_HEADERS)


def is_marker(headers: Iterable[tuple[str, bytes | None]]) -> bool:
    """Whether a record of the dead topic is no job but a note that one was put back."""
    return any(name == REDELIVERED_FROM for name, _ in headers)


@dataclass(frozen=True, slots=True)
class PutBack:
    """A dead job to write to the job topic again.

    dead, offset: where its dead record stands. attempt: the number of its next attempt. redelivered: how
    often it was put back, this time included. reason: what it had died of.
    """

    key: bytes | None
    body: bytes
    job: JobHeaders
    dead: Position
    offset: int
    attempt: int
    redelivered: int
    reason: str

    def again(self, now_ms: int) -> JobHeaders:
        """The job as it begins anew: due at `now_ms`, with its whole schedule before it."""
        return replace(
            self.job,
            attempt=self.attempt,
            first_attempt=self.attempt,
            not_before_ms=now_ms,
            deferrals=0,
            redelivered=self.redelivered,
            redelivered_at_ms=now_ms,
        )

    def records(self, jobs_topic: str, now_ms: int, write_id: str) -> tuple[OutRecord, OutRecord]:
        """The job and the marker, for one transaction."""
        marker = [
            (JOB_ID, self.job.job_id.encode()),
            (REDELIVERED_FROM, b"%d@%d" % (self.dead.partition, self.offset)),
            (WRITE_ID, write_id.encode()),
        ]
        return (
            OutRecord(jobs_topic, self.key, self.body, self.again(now_ms).encode()),
            OutRecord(self.dead.topic, self.key, None, marker, self.dead.partition),
        )


def _number(value: bytes | None) -> int:
    return int(value) if value is not None and value.isdigit() and len(value) < 20 else 0
