"""Where a group starts to read each partition it is assigned.

A topic of which the group has no commit starts where the settings say, all its partitions committed at once by the owner of
its lowest partition, so that members never mix two ideas of "now". A partition without a commit in a topic that
has some was added later and starts at its earliest offset. The commit's metadata begins with the topic's id:
a topic that was deleted and made again is noticed and read from its start.
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
from processor.kafka.errors import BrokerUnavailable, FatalKafkaError
from processor.kafka.records import Commit, Position

log = logging.getLogger(__name__)

StartFrom = Literal["latest", "earliest"] | datetime

_FORMAT = "1"


def metadata_for(topic_id: str, rest: str = "") -> str:
    """Commit metadata: `1;<topic id>;<rest>`."""
    return f"{_FORMAT};{topic_id};{rest}"


def split_metadata(metadata: str) -> tuple[str | None, str]:
    """(topic id, rest); (None, "") for commits that a tool made without metadata of ours."""
    parts = metadata.split(";", 2)
    if len(parts) != 3 or parts[0] != _FORMAT:
        return None, ""
    return parts[1], parts[2]


@dataclass(frozen=True, slots=True)
class Start:
    """Where a partition begins, in which topic, and the rest of its commit's metadata."""

    topic_id: str
    next_offset: int
    rest: str
    why: Literal["committed", "new partition", "topic made again", "group is new"]


def decide(
    topic: TopicInfo, commits: Mapping[int, Commit | None], low: Mapping[int, int]
) -> dict[int, Start] | None:
    """The start of each partition in `commits` (all of the topic's); None when the group has none at all."""
    if all(commit is None for commit in commits.values()):
        return None
    starts: dict[int, Start] = {}
    for partition, commit in commits.items():
        if commit is None:
            starts[partition] = Start(topic.id, low[partition], "", "new partition")
            continue
        topic_id, rest = split_metadata(commit.metadata)
        if topic_id is not None and topic_id != topic.id:
            starts[partition] = Start(topic.id, low[partition], "", "topic made again")
        else:
            starts[partition] = Start(topic.id, commit.next_offset, rest, "committed")
    return starts


class StartingOffsets:
    """Looks up, decides and commits the starts of assigned partitions; called from a rebalance listener."""

    def __init__(
        self,
        consumer: Callable[[], GroupConsumer],
        cluster: Cluster,
        start_from: StartFrom,
        patience: float = 10.0,
    ) -> None:
        self._consumer = consumer
        self._cluster = cluster
        self._start_from = start_from
        self._patience = patience

    def of(self, positions: Sequence[Position]) -> dict[Position, Start]:
        """Starts of `positions`, which have just been assigned to this member.

        Everything is committed again on the way, which keeps the broker from forgetting offsets of quiet partitions.
        Raises BrokerUnavailable, or FatalKafkaError when a topic is gone.
        """
        starts: dict[Position, Start] = {}
        for name in sorted({p.topic for p in positions}):
            topic = self._cluster.topic(name)
            if topic is None:
                raise FatalKafkaError(f"topic {name} does not exist")
            chosen = self._of_topic(topic, Position(name, 0) in positions)
            for position in positions:
                if position.topic == name and position.partition in chosen:
                    starts[position] = chosen[position.partition]
                    self._tell(position, chosen[position.partition])
            self._keep({p: s for p, s in starts.items() if p.topic == name}, topic)
        return starts

    def _of_topic(self, topic: TopicInfo, owns_first: bool) -> dict[int, Start]:
        everything = [Position(topic.name, n) for n in range(topic.partitions)]
        deadline = time.monotonic() + self._patience
        while True:
            commits = self._consumer().committed(everything)
            low = self._cluster.low_offsets(everything)
            starts = decide(
                topic, {p.partition: c for p, c in commits.items()}, {p.partition: o for p, o in low.items()}
            )
            if starts is not None:
                return starts
            if owns_first or self._start_from == "earliest":  # every member's idea of the earliest is the same
                return self._begin(topic, everything, low)
            if time.monotonic() > deadline:
                raise BrokerUnavailable(f"no member has committed the first offsets of {topic.name} yet")
            time.sleep(0.05)

    def _begin(
        self, topic: TopicInfo, everything: list[Position], low: Mapping[Position, int]
    ) -> dict[int, Start]:
        if self._start_from == "earliest":
            # Nothing to agree on, so nobody commits for partitions that others may be working on already.
            return {p.partition: Start(topic.id, o, "", "group is new") for p, o in low.items()}
        if self._start_from == "latest":
            offsets = self._cluster.end_offsets(everything)
        else:
            offsets = self._cluster.offsets_for_time(everything, int(self._start_from.timestamp() * 1000))
        self._consumer().commit({p: Commit(o, metadata_for(topic.id)) for p, o in offsets.items()})
        return {p.partition: Start(topic.id, o, "", "group is new") for p, o in offsets.items()}

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
        elif start.why == "new partition":
            log.info("partition is new to the group: reading it from its start", extra={"fields": fields})
        else:
            log.debug("partition starts", extra={"fields": fields | {"why": start.why}})
