"""The gauges of a sender: jobs by what they wait for, the oldest that is due, and the lag of each topic."""

from prometheus_client import generate_latest

from processor.delivery.lanes import Lanes, State
from processor.delivery.measure import measure
from processor.kafka.records import Position
from processor.observability.metrics import Metrics
from tests.support.lanes import NOW, lane, take

TOPICS = ["webhook-jobs", "retry.5s"]


def shown(metrics: Metrics) -> list[str]:
    return generate_latest(metrics.registry).decode().splitlines()


def metrics() -> Metrics:
    return Metrics("1", clock=lambda: NOW / 1000 + 60)


def test_jobs_are_counted_by_what_they_wait_for() -> None:
    lanes, figures = Lanes(), metrics()
    jobs = lane(partition=2)
    lanes.open(jobs)
    for offset, state in enumerate([State.WAITING, State.RULES, State.READY, State.SENDING, State.SENDING]):
        take(jobs, offset).state = state
    status = measure(lanes, TOPICS, figures, lambda _: 5, NOW)
    assert status == {
        "partitions": [2],
        "blocked": {},
        "jobs": {"due": 1, "rules": 1, "slot": 1, "sending": 2, "finished": 0},
        "lag": {"webhook-jobs": 5, "retry.5s": 0},
    }
    assert {
        'tocsin_jobs_waiting{why="due"} 1.0',
        'tocsin_jobs_waiting{why="rules"} 1.0',
        'tocsin_jobs_waiting{why="slot"} 1.0',
        "tocsin_jobs_in_flight 2.0",
        'tocsin_consumer_lag{topic="webhook-jobs"} 5.0',
    } <= set(shown(figures))


def test_oldest_unsent_job_is_the_one_due_longest_ago() -> None:
    lanes, figures = Lanes(), metrics()
    jobs = lane()
    lanes.open(jobs)
    take(jobs, 0, not_before_ms=NOW - 3_000)
    take(jobs, 1, not_before_ms=NOW - 9_000)
    take(jobs, 2, not_before_ms=NOW + 1)
    measure(lanes, TOPICS, figures, lambda _: None, NOW)
    assert "tocsin_oldest_unsent_job_seconds 69.0" in shown(figures)


def test_job_that_is_not_due_is_not_unsent() -> None:
    lanes, figures = Lanes(), metrics()
    jobs = lane()
    lanes.open(jobs)
    take(jobs, 0, not_before_ms=NOW + 1)
    measure(lanes, TOPICS, figures, lambda _: None, NOW)
    assert "tocsin_oldest_unsent_job_seconds 0.0" in shown(figures)


def test_lag_counts_from_what_would_be_committed_over_the_partitions_of_a_topic() -> None:
    lanes, figures = Lanes(), metrics()
    ends = {Position("webhook-jobs", 0): 10, Position("webhook-jobs", 1): 7, Position("retry.5s", 0): 3}
    for position in ends:
        lanes.open(lane(position.topic, position.partition, next_offset=3))
    assert measure(lanes, TOPICS, figures, ends.get, NOW)["lag"] == {"webhook-jobs": 11, "retry.5s": 0}


def test_lag_of_a_topic_is_gone_with_its_last_partition() -> None:
    lanes, figures = Lanes(), metrics()
    jobs = lane()
    lanes.open(jobs)
    measure(lanes, TOPICS, figures, lambda _: 9, NOW)
    assert 'tocsin_consumer_lag{topic="webhook-jobs"} 9.0' in shown(figures)
    lanes.close([jobs.position])
    measure(lanes, TOPICS, figures, lambda _: 9, NOW)
    assert 'tocsin_consumer_lag{topic="webhook-jobs"} 0.0' in shown(figures)


def test_status_names_the_partition_that_stands_still() -> None:
    lanes, figures = Lanes(), metrics()
    stopped = lane(partition=4)
    stopped.blocked = "a newer format"
    lanes.open(stopped)
    assert measure(lanes, TOPICS, figures, lambda _: 0, NOW)["blocked"] == {
        "webhook-jobs[4]": "a newer format"
    }
