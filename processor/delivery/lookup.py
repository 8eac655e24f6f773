"""Looks jobs up in the topics, for commands: the audit trail, where a job waits, the dead letters.

Reads only, joins no group, and disturbs no sender. Every call blocks, for as long as there is something to
read; it raises BrokerUnavailable when nothing comes for `timeout`, FatalKafkaError when a topic is missing.
"""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta

from processor.delivery.dead import DeadLetter, DeadLetters, Selection
from processor.delivery.trail import AuditRecord, Place, TrailError, read_audit
from processor.delivery.unfinished import Unfinished, unfinished
from processor.durations import parse_duration
from processor.jobs import JobHeaders, JobRecordError, job_key, shard
from processor.jobs.record import JOB_ID
from processor.kafka.cluster import Cluster, TopicInfo
from processor.kafka.config import client_config
from processor.kafka.partitioner import partition_of
from processor.kafka.records import Headers, InRecord, Position, headers_of, place_of, position_of
from processor.kafka.scan import Stretch, follow, read, stretches
from processor.settings import Settings

log = logging.getLogger(__name__)

_LOOKS = 3  # at where a job waits: it may move on between looking and asking whether it is still there
_CLOCKS_MS = 600_000  # by which the time of an audit record and that of a dead one may differ


@dataclass(frozen=True, slots=True)
class Waiting:
    """A record of a job that is not finished.

    tier_ms: the delay of its retry topic, 0 in webhook-jobs. appended_ms: its timestamp. job: None where the
    record can't be read, and `problem` says why.
    """

    job_id: str
    position: Position
    offset: int
    tier_ms: int
    appended_ms: int
    job: JobHeaders | None
    problem: str = ""


@dataclass(frozen=True, slots=True)
class Death:
    """The last dead record of a job: where it stands, its headers, and whether it was put back since."""

    letter: DeadLetter
    headers: Headers
    put_back: bool


Trail = Sequence[tuple[Place, AuditRecord]]


class Lookup:
    """One command's look-ups; not thread-safe."""

    def __init__(self, settings: Settings, cluster: Cluster, timeout: timedelta) -> None:
        """Opens connections as they are needed, and closes them."""
        self._topics = settings.topics
        self._cluster = cluster
        self._timeout = timeout.total_seconds()
        self._delays: dict[str, int] = {}
        self._config = client_config(settings.kafka, settings.topics.name("lookup"))

    def trail(self, job_id: str) -> Trail:
        """What the audit trail says of a job, oldest first."""
        topic, key, found = self._topics.deliveries, job_id.encode(), list[tuple[Place, AuditRecord]]()
        for numbers in self._likely_first(topic, key):
            for record in self._read(
                stretches(self._cluster, topic, partitions=numbers, timeout=self._timeout)
            ):
                if record.key() == key and (entry := audit_entry(record)) is not None:
                    found.append(entry)
            if found:
                break
        return sorted(found, key=lambda entry: entry[0])

    def trails(self, job_ids: Collection[str]) -> Iterator[AuditRecord]:
        """What the audit trail says of several jobs, in no order."""
        keys = {job_id.encode() for job_id in job_ids}
        for record in self._read(stretches(self._cluster, self._topics.deliveries, timeout=self._timeout)):
            if record.key() in keys and (entry := audit_entry(record)) is not None:
                yield entry[1]

    def place_of(self, job_id: str, rule_id: int | None) -> Waiting | None:
        """Where a job waits now (or is being sent from), None if nowhere.

        rule_id: None where it isn't known; then more has to be read.
        """
        for _ in range(_LOOKS):
            moved = False
            for waiting in self._candidates(job_id, rule_id):
                if self._stands(waiting):
                    return waiting
                moved = True
            if not moved:
                break
        return None

    def waiting(
        self,
        job_ids: Collection[str],
        selection: Selection,
        numbers: Iterable[int] | None = None,
    ) -> Iterator[Waiting]:
        """Every record of these jobs that was unfinished when the call was made.

        A job that waits all the while is found, whatever topic it moves to meanwhile; maybe in two places.
        numbers: only in these partitions (None: in all).
        """
        lanes = self._unfinished(None if numbers is None else set(numbers))
        for record in self._read([lane.stretch for lane, _ in lanes.values()]):
            if not selection.may_take(record.key()):
                continue
            headers = headers_of(record)
            if _job_id(headers) not in job_ids:
                continue
            lane, tier_ms = lanes[position_of(record)]
            if lane.holds(record.offset() or 0):
                yield _waiting(record, headers, tier_ms)

    def dead(self, letters: DeadLetters, selection: Selection, wanted: Sequence[Stretch]) -> None:
        """Read these stretches of the dead topic into `letters`."""
        for record in self._read(wanted):
            if selection.may_take(record.key()):
                letters.take(
                    position_of(record),
                    record.offset() or 0,
                    headers_of(record),
                    empty=record.value() is None,
                )

    def death(self, job_id: str, rule_id: int | None, died_at_ms: int | None) -> Death | None:
        """The last dead record of a job. died_at_ms: when it died, if that is known."""
        topic, selection = self._topics.dead, Selection(job_id, rule_id)
        since = None if died_at_ms is None else max(0, died_at_ms - _CLOCKS_MS)
        key = None if rule_id is None else job_key(rule_id, shard(job_id))
        for numbers in self._likely_first(topic, key):
            letters = DeadLetters(selection)
            whole = stretches(self._cluster, topic, partitions=numbers, since_ms=since, timeout=self._timeout)
            self.dead(letters, selection, whole)
            letter = letters.latest().get(job_id)
            if letter is not None:
                place = Stretch(Position(topic, letter.partition), letter.offset, letter.offset + 1)
                headers = next((headers_of(record) for record in self._read([place])), ())
                return Death(letter, headers, letters.is_put_back(job_id, letter))
        return None

    def senders(self) -> int:
        """How many senders are running."""
        return self._cluster.group_members(self._topics.group("sender"), timeout=self._timeout)

    def audit(self, since_ms: int) -> list[Stretch]:
        """The whole audit trail from that time on (ms since 1970; 0: all there is)."""
        topic, since = self._topics.deliveries, since_ms or None
        return stretches(self._cluster, topic, since_ms=since, timeout=self._timeout)

    def follow(self, after: Sequence[Stretch]) -> Iterator[InRecord]:
        """What comes behind these stretches, without end."""
        starts = {stretch.position: max(stretch.start, stretch.end) for stretch in after}
        for batch in follow(self._config, self._cluster, starts):
            yield from batch

    def read(self, wanted: Sequence[Stretch]) -> Iterator[InRecord]:
        """The records of these stretches; in order within a partition."""
        return self._read(wanted)

    def _candidates(self, job_id: str, rule_id: int | None) -> Iterator[Waiting]:
        selection = Selection(job_id, rule_id)
        key = None if rule_id is None else job_key(rule_id, shard(job_id))
        for numbers in self._likely_first(self._topics.jobs, key):
            yield from self.waiting({job_id}, selection, numbers)

    def _stands(self, waiting: Waiting) -> bool:
        lane, _ = self._unfinished({waiting.position.partition}).get(waiting.position, (None, 0))
        return lane is not None and lane.holds(waiting.offset)

    def _unfinished(self, numbers: set[int] | None) -> dict[Position, tuple[Unfinished, int]]:
        """What isn't finished in webhook-jobs and every retry topic, each with its delay in ms."""
        topics = self._job_topics()
        positions = [
            Position(info.name, number)
            for info, _ in topics.values()
            for number in range(info.partitions)
            if numbers is None or number in numbers
        ]
        # In this order: a job that moves on after the commits were read has its old record below the ends.
        low = self._cluster.low_offsets(positions, timeout=self._timeout)
        group = self._topics.group("sender")
        commits = self._cluster.group_offsets(group, positions, timeout=self._timeout)
        ends = self._cluster.end_offsets(positions, timeout=self._timeout)
        return {
            p: (unfinished(p, topics[p.topic][0].id, commits[p], low[p], ends[p]), topics[p.topic][1])
            for p in positions
        }

    def _job_topics(self) -> dict[str, tuple[TopicInfo, int]]:
        """webhook-jobs and every retry topic there is, also those of an earlier schedule."""
        # A schedule's change while a command runs is not worth listing a large cluster's topics again.
        found = self._cluster.topics(self._delays or None, timeout=self._timeout)
        if not self._delays:
            delays = ((name, _tier_ms(name, self._topics.retry_prefix)) for name in found)
            self._delays = {self._topics.jobs: 0} | {name: ms for name, ms in delays if ms is not None}
        return {name: (info, self._delays[name]) for name, info in found.items() if name in self._delays}

    def _likely_first(self, topic: str, key: bytes | None) -> Iterator[Sequence[int]]:
        """A topic's partitions: first the one on which records with this key are, then the others.

        Those others hold what was written while there were fewer partitions, or under a key of another shard.
        """
        info = self._cluster.topic(topic, timeout=self._timeout)
        if info is None or key is None:
            yield range(info.partitions if info is not None else 1)
            return
        likely = partition_of(key, info.partitions)
        yield [likely]
        if others := [number for number in range(info.partitions) if number != likely]:
            yield others

    def _read(self, wanted: Sequence[Stretch]) -> Iterator[InRecord]:
        for batch in read(self._config, wanted, patience=self._timeout):
            yield from batch


def _waiting(record: InRecord, headers: Headers, tier_ms: int) -> Waiting:
    job, problem = None, ""
    try:
        job = JobHeaders.decode(headers)
    except JobRecordError as failure:
        problem = str(failure)
    at = record.timestamp()[1]
    return Waiting(_job_id(headers), position_of(record), record.offset() or 0, tier_ms, at, job, problem)


def audit_entry(record: InRecord) -> tuple[Place, AuditRecord] | None:
    """What a record of the audit topic says; None, with a warning, for one that can't be read."""
    place = Place(record.timestamp()[1], record.partition() or 0, record.offset() or 0)
    try:
        return place, read_audit(record.value(), headers_of(record))
    except TrailError as failure:
        fields = {"at": place_of(record), "reason": str(failure)}
        log.warning("an audit record can't be read", extra={"fields": fields})
        return None


def _job_id(headers: Headers) -> str:
    return (dict(headers).get(JOB_ID) or b"").decode("ascii", "replace")


def _tier_ms(topic: str, prefix: str) -> int | None:
    """The delay of a retry topic, None for any other."""
    if not topic.startswith(prefix):
        return None
    try:
        return parse_duration(topic.removeprefix(prefix)) // timedelta(milliseconds=1)
    except ValueError:
        return None
