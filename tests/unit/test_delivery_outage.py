"""A receiver is down and comes back: what its waiting jobs cost, and how soon they are tried again."""

import heapq
import random

import pytest

from processor.delivery.circuit import CircuitPolicy, State
from processor.delivery.circuits import Circuits, Refused
from processor.delivery.deferral import climbing, within
from processor.delivery.outcome import Kind, Outcome, Stage
from processor.delivery.retry import Retry, RetryPolicy, after_failure
from processor.delivery.woken import Woken

SCHEDULE = (5_000, 60_000, 600_000, 3_600_000, 21_600_000)
SECOND, MINUTE, HOUR = 1_000, 60_000, 3_600_000
ORIGIN = "https://hooks.example.com"
DOWN = Outcome(Kind.FAILED, 0, stage=Stage.CONNECT)
UP = Outcome(Kind.DELIVERED, 0, status=200)


class Job:
    def __init__(self, number: int) -> None:
        self.rule_id = number % 7
        self.attempt = 1
        self.deferrals = 0
        self.written_at = 0
        self.tried_at: list[int] = []
        self.moves = 0
        self.done = False


class Outage:
    """Jobs for one destination that is down until `back_at`; every one of them due at the start."""

    def __init__(self, jobs: int, back_at: int) -> None:
        self.chance = random.Random(jobs)
        self.circuits = Circuits(CircuitPolicy())
        self.woken = Woken()
        self.back_at = back_at
        self.jobs = [Job(number) for number in range(jobs)]
        # Taking a job from its topic costs time: 5,000 a second.
        self.due = [(number // 5, number, job) for number, job in enumerate(self.jobs)]
        self.order = len(self.jobs)

    def run(self, until: int) -> None:
        while self.due and self.due[0][0] <= until:
            now, _, job = heapq.heappop(self.due)
            if not job.done:
                self.turn(job, now)

    def turn(self, job: Job, now: int) -> None:
        passed = self.circuits.admits(ORIGIN, job.rule_id, now)
        if isinstance(passed, Refused):
            if passed.wait_ms is None:
                wait = climbing(now, job.deferrals, SCHEDULE).not_before_ms
            else:
                wait = within(now, passed.wait_ms, SCHEDULE).not_before_ms
            job.deferrals += 1
            self.wait(job, now, wait)
            return
        job.tried_at.append(now)
        up = now >= self.back_at
        job.done = up
        for change in self.circuits.ended(passed, UP if up else DOWN, now, self.chance.random()):
            if change.state is State.CLOSED:
                self.wake(now)
        if not up:
            policy = RetryPolicy(SCHEDULE, max_attempts=100)
            step = after_failure(
                policy,
                attempt=job.attempt,
                matched_at_ms=0,
                now_ms=now,
                random=self.chance.random(),
            )
            assert isinstance(step, Retry)
            job.attempt += 1
            job.deferrals = 0
            self.wait(job, now, step.not_before_ms)

    def wait(self, job: Job, now: int, until: int) -> None:
        job.moves += 1
        job.written_at = now
        self.order += 1
        heapq.heappush(self.due, (until, self.order, job))

    def wake(self, now: int) -> None:
        self.woken.wake(ORIGIN, now)
        self.due = [
            (
                (now, order, job)
                if job.deferrals and self.woken.covers(ORIGIN, job.rule_id, job.written_at)
                else (due, order, job)
            )
            for due, order, job in self.due
        ]
        heapq.heapify(self.due)


@pytest.mark.parametrize("jobs", [1, 3, 40, 5_000])
@pytest.mark.parametrize("down_for", [20 * SECOND, 3 * MINUTE, 47 * MINUTE, 6 * HOUR])
def test_everything_put_off_is_tried_within_ten_minutes_after_the_receiver_came_back(
    jobs: int, down_for: int
) -> None:
    outage = Outage(jobs, down_for)
    outage.run(down_for)
    put_off = [job for job in outage.jobs if job.deferrals]
    outage.run(down_for + 10 * MINUTE)

    assert jobs < 40 or put_off
    assert all(job.tried_at and job.tried_at[-1] >= down_for for job in put_off)


@pytest.mark.parametrize(("jobs", "first", "later"), [(5_000, 9, 7), (200, 10, 8)])
def test_a_waiting_job_is_moved_a_bounded_number_of_times_an_hour(
    jobs: int, first: float, later: float
) -> None:
    outage = Outage(jobs, back_at=100 * HOUR)
    outage.run(HOUR)
    in_the_first = [job.moves for job in outage.jobs]
    outage.run(5 * HOUR)
    in_four_more = [job.moves - before for job, before in zip(outage.jobs, in_the_first, strict=True)]

    # Six an hour is what the 10m tier costs; scouts and the jobs that were tried come back sooner, and weigh
    # less the more jobs there are.
    assert sum(in_the_first) / jobs <= first
    assert sum(in_four_more) / jobs / 4 <= later


def test_a_dead_receiver_is_called_a_few_dozen_times_an_hour() -> None:
    outage = Outage(5_000, back_at=100 * HOUR)
    outage.run(HOUR)

    assert sum(len(job.tried_at) for job in outage.jobs) <= 40
