"""Which partitions are this sender's.

Those of webhook-jobs that the group assigns, and with each the same number of every retry topic.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from processor.delivery.lanes import Lane, Lanes
from processor.delivery.watermark import Watermark
from processor.kafka.cluster import Cluster
from processor.kafka.errors import BrokerUnavailable
from processor.kafka.records import Commit, Position
from processor.kafka.starting import StartingOffsets, metadata_for
from processor.lifecycle import Refused
from processor.observability.health import Condition

log = logging.getLogger(__name__)

GROWN_WITHIN = 10.0
"""Seconds that a retry topic may lack a partition of webhook-jobs: the cluster tells of the two in turn."""


@dataclass(frozen=True)
class JobTopics:
    """The topics that jobs are read from."""

    jobs: str
    retries: Mapping[str, int]
    """Every retry topic to drain, with its delay in milliseconds."""
    written: frozenset[str]
    """Those of them that jobs are moved to; the others are of an earlier schedule."""


class Ownership:
    """Opens and closes lanes as the group says, on the loop's thread; `condition` is for readiness."""

    def __init__(
        self,
        topics: JobTopics,
        lanes: Lanes,
        starting: StartingOffsets,
        cluster: Cluster,
        condition: Condition,
    ) -> None:
        self._topics = topics
        self._lanes = lanes
        self._starting = starting
        self._cluster = cluster
        self._condition = condition

    def open(
        self, assigned: Sequence[Position], *, alive: Callable[[], None], stopped: Callable[[], bool]
    ) -> dict[Position, int] | None:
        """Own these partitions of webhook-jobs and the retry partitions that belong to them.

        Answers where to read each from; None when that can't be told now, or when `stopped` says so. `alive`
        is called between tries. Raises Refused when retry topics have too few partitions.
        """

        def waiting(reason: str) -> None:
            alive()
            self._condition.failed(reason)
            log.warning("starting offsets are not known yet", extra={"fields": {"error": reason}})

        positions = self._with_retries(assigned, waiting, stopped)
        starts = None if positions is None else self._starting.patiently(positions, waiting, stopped)
        if starts is None:
            return None
        for position, start in starts.items():
            watermark = Watermark.restore(start.next_offset, start.rest)
            if watermark.damaged is not None:
                log.warning(
                    "finished jobs of a partition are sent again",
                    extra={"fields": {"partition": str(position), "error": watermark.damaged}},
                )
            committed = Commit(start.next_offset, metadata_for(start.topic_id, start.rest))
            tier_ms = self._topics.retries.get(position.topic, 0)
            self._lanes.open(Lane(position, start.topic_id, tier_ms, watermark, committed))
        self.tell()
        log.info("assigned", extra={"fields": {"partitions": numbers(assigned)}})
        return {position: start.next_offset for position, start in starts.items()}

    def close(self, lanes: Iterable[Lane]) -> list[Position]:
        """Own these no longer; answers what is not to be fetched any more."""
        positions = [lane.position for lane in lanes]
        self._lanes.close(positions)
        self.tell()
        return positions

    def tell(self) -> None:
        """Ready unless a partition stands still."""
        blocked = self._lanes.blocked
        self._condition.met() if blocked is None else self._condition.failed(blocked)

    def _with_retries(
        self, assigned: Sequence[Position], waiting: Callable[[str], None], stopped: Callable[[], bool]
    ) -> list[Position] | None:
        """The assigned partitions and those of the retry topics that exist; None when `stopped`."""
        deadline = time.monotonic() + GROWN_WITHIN
        while not stopped():
            try:
                found = self._cluster.topics(self._topics.retries)
            except BrokerUnavailable as failure:
                waiting(str(failure))
                continue
            sizes = {name: info.partitions for name, info in found.items()}
            retries = [Position(name, p.partition) for p in assigned for name in self._topics.retries]
            there = [p for p in retries if p.partition < sizes.get(p.topic, 0)]
            missing = [p for p in retries if p.topic in self._topics.written and p not in there]
            if not missing:
                return [*assigned, *there]
            # A failed job of such a partition could not be moved anywhere.
            reason = f"there is no {missing[0]} beside {self._topics.jobs}: run `tocsin topics apply`"
            if time.monotonic() > deadline:
                raise Refused(reason)
            waiting(reason)
            time.sleep(0.5)
        return None


def numbers(positions: Iterable[Position]) -> list[int]:
    """The distinct partition numbers, for logs."""
    return sorted({p.partition for p in positions})
