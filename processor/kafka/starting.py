"""Where a group starts to read each partition it is assigned.

A topic of which the group has no commit starts where the settings say, all its partitions committed at once
by the owner of its lowest partition, so that members never mix two ideas of "now". A partition without a
commit in a topic that has some was added later and starts at its earliest offset. The commit's metadata
begins with the topic's id: a topic that was deleted and made again is noticed and read from its start.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from processor.kafka.cluster import Cluster, TopicInfo
from processor.kafka.consumer import GroupConsumer
from processor.kafka.errors import BrokerUnavailable, FatalKafkaError, MembershipLost
from processor.kafka.records import Commit, Position

log = logging.getLogger(__name__)

StartFrom = Literal["latest", "earliest"] | datetime

PATIENCE = 10.0
"""Seconds a rebalance callback may try before the member gives its place up: the group's next rebalance waits
for the callback to end, and that rebalance may be what is needed (somebody else takes the lowest partition).
"""

_FORMAT = "1"


def metadata_for(topic_id: str, rest: str = "") -> str:
    """Commit metadata: `1;<topic id>;<rest>`."""
    return f"{_FORMAT};{topic_id};{rest}"


def split_metadata(metadata: str) -> tuple[str | None, str]:
    """(topic id, rest); (None, "") for commits that a tool made without metadata of ours.

    Raises FatalKafkaError for those of a newer version: going on without what they say would send jobs again.
    """
    parts = metadata.split(";", 2)
    if len(parts) > 1 and parts[0].isdecimal() and int(parts[0][:9]) > int(_FORMAT):
        raise FatalKafkaError(
            "the group's offsets were committed by a newer version of Tocsin"
            f" (format {parts[0][:9]}, this one knows {_FORMAT}): upgrade"
        )
    if len(parts) != 3 or parts[0] != _FORMAT:
        return None, ""
    return parts[1], parts[2]


@dataclass(frozen=True, slots=True)
class Start:
    """Where a partition begins, in which topic, and the rest of its commit's metadata."""

    topic_id: str
    next_offset: int
    rest: str
    why: Literal[
        "committed", "new partition", "topic made again", "group is new", "records deleted", "records missing"
    ]
    lost: int = 0
    """How many offsets between the commit and the start are gone."""


def decide(
    topic: TopicInfo,
    commits: Mapping[int, Commit | None],
    low: Mapping[int, int],
    end: Mapping[int, int],
) -> dict[int, Start]:
    """The start of each partition in `commits`, where one without a commit is read from its start.

    `low`, `end`: the earliest offset of each of them, and the one that the next record will get. A commit
    outside of these can't be followed: records were deleted before they were read, or the partition lost its
    end (with the broker that had it).
    """
    starts: dict[int, Start] = {}
    for partition, commit in commits.items():
        if commit is None:
            starts[partition] = Start(topic.id, low[partition], "", "new partition")
            continue
        topic_id, rest = split_metadata(commit.metadata)
        if topic_id is not None and topic_id != topic.id:
            starts[partition] = Start(topic.id, low[partition], "", "topic made again")
        elif commit.next_offset < low[partition]:
            lost = low[partition] - commit.next_offset
            starts[partition] = Start(topic.id, low[partition], "", "records deleted", lost)
        elif commit.next_offset > end[partition]:
            starts[partition] = Start(topic.id, low[partition], "", "records missing")
        else:
            starts[partition] = Start(topic.id, commit.next_offset, rest, "committed")
    return starts


class StartingOffsets:
    """Looks up, decides and commits the starts of assigned partitions; called from a rebalance listener."""

    def __init__(
        self, consumer: Callable[[], GroupConsumer], cluster: Cluster, start_from: StartFrom
    ) -> None:
        self._consumer = consumer
        self._cluster = cluster
        self._start_from = start_from

    def patiently(
        self, positions: Sequence[Position], waiting: Callable[[str], None], stopped: Callable[[], bool]
    ) -> dict[Position, Start] | None:
        """Starts of `positions`, which have just been assigned; tried again while no broker answers.

        None when it took too long, when the group has gone on without this member meanwhile, or when
        `stopped` says so. `waiting` is told the reason of each try that failed. Raises FatalKafkaError when a
        topic is gone.
        """
        deadline = time.monotonic() + PATIENCE
        while True:
            try:
                return self.of(positions)
            except MembershipLost as failure:
                waiting(str(failure))
                return None
            except BrokerUnavailable as failure:
                waiting(str(failure))
                if stopped() or time.monotonic() > deadline:
                    return None

    def of(self, positions: Sequence[Position], *, again: bool = True) -> dict[Position, Start]:
        """Starts of `positions`, which this member owns. Those that are new are committed on the way.

        `again`: the others are, too, which keeps the broker from forgetting offsets of quiet partitions.
        Raises BrokerUnavailable, MembershipLost, or FatalKafkaError when a topic is gone.
        """
        starts: dict[Position, Start] = {}
        for name in sorted({p.topic for p in positions}):
            topic = self._cluster.topic(name)
            if topic is None:
                raise FatalKafkaError(f"topic {name} does not exist")
            found = self._of_topic(topic, [p for p in positions if p.topic == name])
            for position, start in found.items():
                self._tell(position, start)
            if again or any(start.why != "committed" for start in found.values()):
                self._keep(found, topic)
            starts |= found
        return starts

    def _of_topic(self, topic: TopicInfo, mine: list[Position]) -> dict[Position, Start]:
        deadline = time.monotonic() + PATIENCE / 2
        while True:
            commits = self._consumer().committed(mine)
            # Every member's idea of the earliest is the same, so there is nothing to agree on.
            if self._start_from == "earliest" or self._has_begun(topic, commits):
                starts = decide(
                    topic,
                    {p.partition: c for p, c in commits.items()},
                    {p.partition: o for p, o in self._cluster.low_offsets(mine).items()},
                    {p.partition: o for p, o in self._cluster.end_offsets(mine).items()},
                )
                return {p: starts[p.partition] for p in mine if p.partition in starts}
            if Position(topic.name, 0) in mine:
                offsets = self._begin(topic)
                return {p: Start(topic.id, offsets[p], "", "group is new") for p in mine}
            if time.monotonic() > deadline:
                raise BrokerUnavailable(f"no member has committed the first offsets of {topic.name} yet")
            time.sleep(0.05)

    def _has_begun(self, topic: TopicInfo, mine: Mapping[Position, Commit | None]) -> bool:
        """Whether the group has a commit of any partition of the topic."""
        if any(commit is not None for commit in mine.values()):
            return True
        everything = (Position(topic.name, n) for n in range(topic.partitions))
        # One at a time: the answer waits for the transactions that are open on the offsets asked for, and all
        # those of a busy group are never closed at once.
        return any(self._consumer().committed([p])[p] is not None for p in everything if p not in mine)

    def _begin(self, topic: TopicInfo) -> dict[Position, int]:
        everything = [Position(topic.name, n) for n in range(topic.partitions)]
        if isinstance(self._start_from, datetime):
            offsets = self._cluster.offsets_for_time(everything, int(self._start_from.timestamp() * 1000))
        else:
            offsets = self._cluster.end_offsets(everything)
        self._consumer().commit({p: Commit(o, metadata_for(topic.id)) for p, o in offsets.items()})
        return offsets

    def _keep(self, starts: Mapping[Position, Start], topic: TopicInfo) -> None:
        try:
            self._consumer().commit(
                {p: Commit(s.next_offset, metadata_for(topic.id, s.rest)) for p, s in starts.items()}
            )
        except BrokerUnavailable as failure:
            if any(s.why != "committed" for s in starts.values()):
                raise
            log.info(
                "offsets not committed again on assignment",
                extra={"fields": {"topic": topic.name, "error": str(failure)}},
            )

    def _tell(self, position: Position, start: Start) -> None:
        fields = {"partition": str(position), "next_offset": start.next_offset}
        if start.why == "topic made again":
            log.warning("topic was made again: reading it from its start", extra={"fields": fields})
        elif start.why == "records deleted":
            log.error(
                "records were deleted before they were read: going on with the earliest there is",
                extra={"fields": fields | {"lost": start.lost}},
            )
        elif start.why == "records missing":
            log.error(
                "the partition ends before what the group has committed: reading it from its start",
                extra={"fields": fields},
            )
        elif start.why == "new partition":
            log.info("partition is new to the group: reading it from its start", extra={"fields": fields})
        else:
            log.debug("partition starts", extra={"fields": fields | {"why": start.why}})
