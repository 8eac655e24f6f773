"""The sender working off waiting jobs beside a bare aiohttp loop that posts the same bodies."""

from typing import NamedTuple

from benchmarks import webhooks
from benchmarks.ground import TIMEOUT, Ground, check_running, produce, say
from benchmarks.receivers import Receivers, receivers
from benchmarks.report import Report, Target, count, mib, percent, times, us
from benchmarks.scale import Scale
from benchmarks.window import Window, measure
from processor.settings import SenderSettings
from tests.support.processes import Process
from tests.support.waiting import wait_until

NETWORK = "127.1.1"
DESTINATIONS = 16
CONCURRENCY = DESTINATIONS * SenderSettings().destination_concurrency
"""Requests in flight: what the sender allows by default, and so many of the bare loop, too."""

END = 0.95
"""The share of the jobs after which a measurement ends: what was put off on the way is in it."""

RATE_TARGET = 0.55
CPU_TARGET = 1.6


def run(ground: Ground, scale: Scale, report: Report) -> None:
    ours: list[Drained] = []
    bare: list[Window] = []
    for number in range(1, scale.rounds + 1):
        bare.append(_bare(ground, scale))
        ours.append(drain(ground, f"sender-{number}", scale.deliveries))
        say(
            f"sender, round {number} of {scale.rounds}: {count(ours[-1].window.rate)} deliveries/s,"
            f" bare loop {count(bare[-1].rate)}"
        )
    what = "sender beside a bare aiohttp loop"
    parameters = (
        f"{count(scale.deliveries)} jobs of 400 B waiting, {DESTINATIONS} receivers,"
        f" {CONCURRENCY} requests in flight, signed"
    )
    report.paired(
        what,
        parameters,
        "delivered/s",
        [d.window.rate for d in ours],
        [w.rate for w in bare],
        count,
        ratio=percent,
        target=Target("≥", RATE_TARGET, percent),
    )
    report.paired(
        what,
        parameters,
        "CPU per delivery",
        [d.window.cpu_each for d in ours],
        [w.cpu_each for w in bare],
        us,
        target=Target("≤", CPU_TARGET, times),
    )
    report.alone(what, parameters, "resident memory", [d.window.rss for d in ours], mib)
    put_off = [d.put_off / scale.deliveries for d in ours]
    report.alone(what, parameters, "jobs put off into a retry topic on the way", put_off, percent)


class Drained(NamedTuple):
    """A backlog worked off; `put_off`: how many of its jobs went through a retry topic."""

    window: Window
    put_off: float


def drain(ground: Ground, name: str, jobs: int) -> Drained:
    """Have one sender deliver `jobs` waiting jobs; RuntimeError unless each came once and is committed."""
    installation = ground.installation(name)
    with receivers(ground, NETWORK, DESTINATIONS) as them:
        rules = installation.prepare(webhooks.rules(NETWORK, them.port, DESTINATIONS))
        making = webhooks.Jobs(installation, rules)
        produce(ground.bootstrap, (making.record(number % DESTINATIONS) for number in range(jobs)))
        with installation.run("sender") as process:
            window = _measured(ground, process, them, jobs)
            group = installation.settings.topics.group("sender")
            wait_until(
                lambda: them.count() >= jobs and ground.committed(group, installation.jobs) == jobs,
                TIMEOUT,
                lambda: f"all {jobs} jobs are delivered, not only {them.count()}, and committed",
            )
            put_off = process.metric("tocsin_attempts_total", outcome="deferred")
        if them.count() != jobs:
            raise RuntimeError(f"{them.count()} deliveries of {jobs} jobs")
    installation.remove()
    return Drained(window, put_off)


def _measured(ground: Ground, process: Process, them: Receivers, jobs: int) -> Window:
    return measure(
        process.pid,
        them.count,
        total=jobs,
        end=END,
        seconds=TIMEOUT,
        alive=lambda: check_running(process.returncode, ground.directory / f"{process.name}.log"),
    )


def _bare(ground: Ground, scale: Scale) -> Window:
    with receivers(ground, NETWORK, DESTINATIONS) as them:
        sizes = (them.port, DESTINATIONS, scale.deliveries, CONCURRENCY)
        with ground.child("bare_sender", NETWORK, *sizes) as helper:
            return measure(
                helper.pid,
                them.count,
                total=scale.deliveries,
                end=END,
                seconds=TIMEOUT,
                alive=helper.check,
            )
