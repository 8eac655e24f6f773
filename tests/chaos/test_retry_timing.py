"""Waiting jobs go out when they are due: never before, and at most a second late."""

import os
import random
from collections import defaultdict
from dataclasses import dataclass

import pytest

from processor.jobs import record as fields
from tests.support.brokers import Broker
from tests.support.installation import Installation, Job, now_ms
from tests.support.processes import Spawn
from tests.support.receiver import Answer, Receiver, Request
from tests.support.starvation import stood_in_line
from tests.support.waiting import wait_until

pytestmark = pytest.mark.real_kafka

SECOND = 1_000
FIRST_DUE = 6 * SECOND
"""ms from the appending of the jobs to the time when the first is due: the sender has taken them by then."""

PLAIN, AGAIN, LATER, LIMITED = "plain", "again", "later", "limited"
"""Delivered at once; failed once, with the scheduled wait; with a Retry-After; under a rate limit."""

RATE = 40
ASKED = 3


@dataclass(frozen=True)
class Size:
    """Jobs of each sort, due over so many seconds."""

    plain: int
    again: int
    limited: int
    seconds: int


QUICK = Size(1_000, 60, 160, 5)
WHOLE = Size(9_000, 400, 600, 20)

sizes = pytest.mark.parametrize(
    "size", [pytest.param(QUICK, id="quick"), pytest.param(WHOLE, id="whole", marks=pytest.mark.soak)]
)


def due_at(here: Installation, rule_id: int, due_ms: int) -> Job:
    """A job that is due then, and was matched now."""
    job = here.job(rule_id)
    headers = [
        (name, b"%d" % due_ms if name == fields.NOT_BEFORE else value) for name, value in job.record.headers
    ]
    return Job(job.id, job.record._replace(headers=headers))


@sizes
def test_jobs_go_out_when_they_are_due_and_at_most_a_second_late(
    size: Size, broker: Broker, prefix: str, spawn: Spawn
) -> None:
    seed = int(os.environ.get("TOCSIN_TEST_SEED") or random.randrange(1_000_000))
    print(f"seed: TOCSIN_TEST_SEED={seed}")
    dice = random.Random(seed)
    with (
        Receiver() as receiver,
        Installation(
            broker.bootstrap, prefix, topics={"partitions": 6}, sender={"retry_schedule": ["2s", "10s"]}
        ) as here,
    ):
        fails = Answer(503), Answer(503, {"Retry-After": str(ASKED)})

        def program(_: int, request: Request) -> Answer:
            first = request.headers["webhook-attempt"] == "1"
            if first and request.path.startswith("/again"):
                return fails[0]
            return fails[1] if first and request.path.startswith("/later") else Answer()

        receiver.answer_by("*", program)
        # Two jobs to a rule that fails: no circuit opens. A rule with a limit has its own path.
        rules: dict[int, str] = {1: PLAIN, 2: LIMITED}
        rules |= {10 + n: AGAIN if n % 2 else LATER for n in range(size.again // 2)}
        for rule_id, sort in rules.items():
            delivery = {"rate_limit": f"{RATE}/s"} if sort == LIMITED else {}
            here.put_rule(rule_id, receiver.url(f"/{sort}/{rule_id}"), delivery=delivery)
        sender = spawn("run", "sender", settings=here.settings()).wait_ready()

        before = stood_in_line(sender)
        began = now_ms() + FIRST_DUE
        due = {}
        jobs = []
        of_rules = [1] * size.plain + [2] * size.limited + [r for r in rules if r >= 10] * 2
        for rule_id in dice.sample(of_rules, len(of_rules)):
            at = began if rule_id == 2 else began + dice.randrange(size.seconds * SECOND)
            jobs.append(due_at(here, rule_id, at))
            due[jobs[-1].id] = at
        here.add(jobs)
        assert now_ms() < began, "the jobs were appended too late for what they are to show"

        def delivered() -> int:
            return sum(1 for record in here.audit() if record["outcome"] == "delivered")

        wait_until(lambda: delivered() == len(jobs), 60 + size.seconds, lambda: f"{delivered()}", every=0.3)
        starved = stood_in_line(sender) - before
        sender.stop()

        scheduled = {r["job_id"]: r for r in here.audit() if r["outcome"] == "failed"}
        late: defaultdict[str, list[float]] = defaultdict(list)
        for request in receiver.requests():
            sort = request.path.split("/")[1]
            at = due[request.webhook_id]
            if request.headers["webhook-attempt"] == "2":
                record, sort = scheduled[request.webhook_id], f"{sort}, 2nd"
                at = record["next_attempt_at_ms"]
                wait = at - record["started_at_ms"] - record["duration_ms"]
                least = ASKED * SECOND if sort.startswith(LATER) else 2 * SECOND
                # Up to a tenth of jitter, and what the loop takes to hear of the failure.
                assert least <= wait <= least * 1.1 + SECOND, (sort, wait)
            late[sort].append(request.time * 1000 - at)
    for sort, by in sorted(late.items()):
        by.sort()
        print(
            f"{sort}: {len(by)} attempts, late by p50 {by[len(by) // 2]:.0f},"
            f" p99 {by[len(by) * 99 // 100]:.0f}, max {by[-1]:.0f}, min {by[0]:.0f} ms"
        )
    print(f"the sender was ready to run and not let for {starved:.0f} ms in all")
    assert min(min(by) for by in late.values()) >= 0
    allowed = SECOND + starved
    assert max(by[-1] for sort, by in late.items() if sort != LIMITED) <= allowed
    check_limit(late[LIMITED], allowed)


def check_limit(late: list[float], allowed: float) -> None:
    """Jobs that were all due at the same time: the burst, and then RATE a second."""
    for number, by in enumerate(late):
        should = max(0, number - RATE + 1) * SECOND / RATE
        assert by <= should + allowed, (number, by)
        assert by >= should - SECOND / RATE - allowed, (number, by)
