"""No receiver holds up another: one that hangs, one that is down, rate limits, and backlogs."""

import math
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack
from itertools import chain
from pathlib import Path

import pytest

from tests.support.brokers import Broker, free_port
from tests.support.installation import Installation, Job, now_ms
from tests.support.offsets import lag
from tests.support.processes import Process, Spawn, run_tocsin
from tests.support.receiver import Answer, Receiver
from tests.support.sender_site import SenderSite, sender_site
from tests.support.starvation import stood_in_line
from tests.support.waiting import wait_until

HANGS = Answer(delay=3_600)
SCHEDULE = ["1s", "1s", "1s", "1s", "1s", "1s", "1s", "1m"]
"""Attempts enough that no probe is a job's last; and with 1m a tier that waits are noticed in."""


@pytest.fixture(scope="module")
def site(broker: Broker, tmp_path_factory: pytest.TempPathFactory) -> Iterator[SenderSite]:
    with sender_site(
        broker,
        tmp_path_factory.mktemp("isolation"),
        topics={"partitions": 2},
        sender={"retry_schedule": SCHEDULE, "timeout": "1s", "circuit": {"backoff_max": "20s"}},
    ) as running:
        yield running


def behind(site: SenderSite) -> int:
    """Records of webhook-jobs that the sender hasn't passed."""
    topics = site.here.topics
    return lag(site.here.bootstrap, topics.group("sender"), topics.jobs)


def circuits(sender: Process) -> dict[str, int]:
    """Those that aren't closed, with the ms until the next probe."""
    return {str(c["key"]): c["retry_in_ms"] for c in sender.status()["sender"].get("circuits", [])}


def outcomes(here: Installation, jobs: Iterable[Job]) -> Counter[str]:
    ids = {job.id for job in jobs}
    return Counter(record["outcome"] for record in here.audit() if record["job_id"] in ids)


def wait_delivered(here: Installation, jobs: Sequence[Job], timeout: float) -> None:
    wait_until(
        lambda: outcomes(here, jobs)["delivered"] == len(jobs), timeout, lambda: str(outcomes(here, jobs))
    )


def delays_ms(here: Installation, jobs: Iterable[Job]) -> list[int]:
    """From the job's match to the beginning of the attempt that delivered it, ascending."""
    matched = {job.id: int(dict(job.record.headers)["tocsin-matched-at"]) for job in jobs}
    return sorted(
        record["started_at_ms"] - matched[record["job_id"]]
        for record in here.audit()
        if record["job_id"] in matched and record["outcome"] == "delivered"
    )


def check_deferrals(here: Installation, jobs: Iterable[Job]) -> int:
    """Each attempt number: `deferred` at most once and no attempt twice. How many deferrals there were."""
    ids = {job.id for job in jobs}
    said = Counter((r["job_id"], r["attempt"], r["outcome"]) for r in here.audit() if r["job_id"] in ids)
    assert set(said.values()) <= {1}, said.most_common(3)
    for job_id in ids:
        made = sorted(number for found, number, what in said if found == job_id and what != "deferred")
        assert made == list(range(1, len(made) + 1))
    return sum(1 for _, _, what in said if what == "deferred")


def test_dead_receivers_hold_nobody_up_and_get_their_jobs_when_they_are_back(
    site: SenderSite, tmp_path: Path
) -> None:
    here, sender = site.here, site.sender
    healthy = site.hook()
    here.put_rule(healthy.rule_id, healthy.url)
    port = free_port()
    refused = f"http://127.0.0.1:{port}"
    with Receiver() as hanging:
        hanging.answer("/hook", then=HANGS)
        here.put_rule(1001, hanging.url())
        here.put_rule(1002, f"{refused}/hook")
        alternating = chain.from_iterable(
            (here.job(healthy.rule_id), here.job(1001), here.job(1002)) for _ in range(300)
        )
        jobs = here.add(alternating)
        good, hung, down = jobs[0::3], jobs[1::3], jobs[2::3]

        wait_delivered(here, good, 30)
        assert outcomes(here, [*hung, *down])["delivered"] == 0
        delays = delays_ms(here, good)
        print(f"healthy beside two dead: p50 {delays[150]} ms, p99 {delays[297]} ms, max {delays[-1]} ms")
        assert not here.moved("1m", *good)
        wait_until(lambda: behind(site) == 0, 15, lambda: f"{behind(site)} records not passed")
        assert outcomes(here, good) == {"delivered": 300}

        wait_until(
            lambda: {refused, hanging.url("")} <= set(circuits(sender)), 15, lambda: str(circuits(sender))
        )
        wait_until(lambda: sender.metric("tocsin_circuits_open") == 2, 5)
        sender.wait_log(rf'"circuit opened".*{refused}')

        # Released: everything at once, long before the next probe.
        wait_until(
            lambda: circuits(sender).get(refused, 0) >= 12_000, 60, lambda: str(circuits(sender)), every=0.1
        )
        with Receiver(port) as back:
            was_back = now_ms()
            code, _, err = run_tocsin(
                *("deliveries", "release", "--rule", "1002"), directory=tmp_path, settings=here.settings()
            )
            assert code == 0, err
            released = now_ms()
            wait_delivered(here, down, 30)
            last = max(request.time for request in back.requests()) * 1000
            print(f"released: {len(down)} jobs within {(last - released) / 1000:.1f} s")
            assert last - released < 10_000

        # By itself: the next probe finds it, and wakes the others.
        hanging.answer("/hook")
        was_back = now_ms()
        left = circuits(sender).get(hanging.url(""), 0)
        wait_delivered(here, hung, 60)
        last = max(request.time for request in hanging.requests()) * 1000
        ids = {job.id for job in hung}
        early = sum(
            1
            for record in here.moved("1m", *hung)
            if int(record.header("tocsin-deferrals") or 0)
            and int(record.header("tocsin-not-before") or 0) > last
        )
        print(
            f"by itself: {len(hung)} jobs within {(last - was_back) / 1000:.1f} s, the next probe was"
            f" {left / 1000:.1f} s away; {early} of {len(ids)} before their time"
        )
        sender.wait_log(rf'"circuit closed".*{hanging.url("")}')
        wait_until(lambda: not circuits(sender), 10)
        assert early > 0
    deferrals = check_deferrals(here, [*hung, *down])
    print(f"{deferrals} deferrals audited, {outcomes(here, [*hung, *down])}")
    assert deferrals > 300


def most_in_a_window(times_ms: Sequence[float], burst: int, per_ms: float) -> float:
    """By how many attempts the worst stretch exceeds burst + rate × t; at most 0 if the limit was kept."""
    worst = -math.inf
    lowest = math.inf  # of i - rate × t over the beginnings
    for i, at in enumerate(times_ms):
        lowest = min(lowest, i - per_ms * at)
        worst = max(worst, i - per_ms * at - lowest + 1 - burst)
    return worst


def test_a_rate_limit_is_kept_to_the_attempt_and_holds_up_no_other_rule(site: SenderSite) -> None:
    here = site.here
    limited, free = site.hook(), site.hook()
    here.put_rule(limited.rule_id, limited.url, delivery={"rate_limit": "20/s"})
    here.put_rule(free.rule_id, free.url)
    before = stood_in_line(site.sender)
    many = here.add_jobs(240, limited.rule_id)
    others = here.add_jobs(100, free.rule_id)

    wait_delivered(here, others, 30)
    wait_delivered(here, many, 60)
    starved = stood_in_line(site.sender) - before

    sent = sorted(r["started_at_ms"] for r in here.audit(*many) if r["outcome"] == "delivered")
    arrived = [request.time * 1000 for request in site.receiver.requests(limited.path)]
    excess = most_in_a_window(arrived, 20, 0.02)
    took = (sent[-1] - sent[0]) / 1000
    print(
        f"limit 20/s: {len(sent)} attempts in {took:.2f} s ({(len(sent) - 20) / took:.1f}/s after the burst);"
        f" worst stretch at the receiver: {excess:+.2f} of what is allowed, as sent"
        f" {most_in_a_window(sent, 20, 0.02):+.2f}; the other rule: max {delays_ms(here, others)[-1]} ms"
    )
    # What is on its way may bunch up, by as much as attempts differ in how long they take to begin and to
    # arrive: at best nothing, at worst this.
    late = 25 + starved + max(a - s for a, s in zip(sorted(arrived), sent, strict=True))
    assert excess <= 0.02 * late
    assert len(arrived) == 240
    check_deferrals(here, many)


def test_rules_of_one_destination_get_the_same_share(site: SenderSite) -> None:
    here = site.here
    big, small = site.hook(), site.hook()
    for hook in (big, small):
        site.receiver.answer(hook.path, then=Answer(delay=0.02))
        here.put_rule(hook.rule_id, hook.url)
    backlog = here.add_jobs(400, big.rule_id)
    few = here.add_jobs(40, small.rule_id)

    wait_delivered(here, [*backlog, *few], 40)

    order = [r.path for r in site.receiver.requests() if r.path in (big.path, small.path)]
    first, last = order.index(small.path), len(order) - order[::-1].index(small.path)
    between = Counter(order[first:last])
    print(f"between the first and the last of 40 jobs of one rule: {between[big.path]} of the other's 400")
    assert between[big.path] <= 2 * between[small.path] + 32


def most_at_once(*receivers: Receiver) -> int:
    """How many requests they were answering at the same time."""
    steps = sorted(
        (at, change) for r in receivers for span in r.spans for at, change in zip(span, (1, -1), strict=True)
    )
    now = most = 0
    for _, change in steps:
        now += change
        most = max(most, now)
    return most


def test_a_backlog_of_one_healthy_receiver_is_not_put_off_and_no_more_are_under_way_than_allowed(
    broker: Broker, prefix: str, spawn: Spawn
) -> None:
    with ExitStack() as stack:
        here = stack.enter_context(
            Installation(broker.bootstrap, prefix, topics={"partitions": 3}, sender={"max_in_flight": 50})
        )
        alone = stack.enter_context(Receiver())
        here.put_rule(1, alone.url())
        jobs = here.add_jobs(3_000, 1)
        began = now_ms()
        sender = spawn("run", "sender", settings=here.settings())
        sender.wait_ready()

        wait_delivered(here, jobs, 60)
        sent = sorted(r["started_at_ms"] for r in here.audit())
        rate = len(sent) / (sent[-1] - sent[0]) * 1000
        print(f"backlog of one receiver: {rate:.0f}/s, {most_at_once(alone)} at once, {now_ms() - began} ms")
        assert outcomes(here, jobs) == {"delivered": 3_000}
        assert most_at_once(alone) <= 16

        several = [stack.enter_context(Receiver()) for _ in range(5)]
        for number, receiver in enumerate(several):
            receiver.answer("/hook", then=Answer(delay=0.1))
            here.put_rule(10 + number, receiver.url())
        more = here.add(here.job(10 + n % 5) for n in range(2_000))
        wait_delivered(here, more, 60)
        each = [most_at_once(receiver) for receiver in several]
        print(
            f"five at max_in_flight 50: {most_at_once(*several)} at once, {each} each; {outcomes(here, more)}"
        )
        assert most_at_once(*several) <= 50
        assert max(each) <= 16
        assert min(len(receiver.requests()) for receiver in several) == 400
