"""What /metrics and /status say about the jobs in hand."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable

from processor.delivery.lanes import Lanes, State
from processor.kafka.records import Position
from processor.observability.metrics import Metrics


def measure(
    lanes: Lanes,
    topics: Iterable[str],
    metrics: Metrics,
    end_offset: Callable[[Position], int | None],
    now_ms: int,
) -> dict[str, object]:
    """Set the gauges as of `now_ms`; answers the same figures for /status.

    topics: all that lanes can be of; one without a lane has no lag here. end_offset: of a partition, None if
    it isn't known yet.
    """
    states: Counter[State] = Counter()
    lag = dict.fromkeys(topics, 0)
    oldest: int | None = None
    for lane in lanes:
        for job in lane.jobs.values():
            states[job.state] += 1
            due = job.headers.not_before_ms
            if due <= now_ms and (oldest is None or due < oldest):
                oldest = due
        end = end_offset(lane.position)
        if end is not None:
            lag[lane.position.topic] += max(0, end - lane.watermark.next_offset)
    metrics.jobs_waiting["due"].set(states[State.WAITING])
    metrics.jobs_waiting["rules"].set(states[State.RULES])
    metrics.jobs_waiting["slot"].set(states[State.READY])
    metrics.jobs_in_flight.set(states[State.SENDING])
    metrics.set_oldest_unsent(None if oldest is None else oldest / 1000)
    for topic, count in lag.items():
        metrics.consumer_lag.labels(topic).set(count)
    return {
        "partitions": sorted({lane.position.partition for lane in lanes}),
        "blocked": {str(lane.position): lane.blocked for lane in lanes if lane.blocked is not None},
        "jobs": {state.value: states[state] for state in State},
        "lag": lag,
    }
