"""The sender working off waiting jobs beside a bare aiohttp loop that posts the same bodies."""

from benchmarks import webhooks
from benchmarks.ground import TIMEOUT, Ground, check_running, produce, say
from benchmarks.receivers import Receivers, receivers
from benchmarks.report import Report, Target, count, mib, percent, times, us
from benchmarks.scale import Scale
from benchmarks.window import Window, measure
from tests.support.processes import Process
from tests.support.waiting import wait_until

NETWORK = "127.1.1"
DESTINATIONS = 16

RATE_TARGET = 0.55
CPU_TARGET = 1.6


def run(ground: Ground, scale: Scale, report: Report) -> None:
    ours: list[Window] = []
    bare: list[Window] = []
    for number in range(1, scale.rounds + 1):
        bare.append(_bare(ground, scale))
        ours.append(drain(ground, f"sender-{number}", scale.deliveries, scale))
        say(
            f"sender, round {number} of {scale.rounds}: {count(ours[-1].rate)} deliveries/s,"
            f" bare loop {count(bare[-1].rate)}"
        )
    what = "sender beside a bare aiohttp loop"
    parameters = (
        f"{count(scale.deliveries)} jobs of 400 B waiting, {DESTINATIONS} receivers,"
        f" {scale.concurrency} requests in flight, signed"
    )
    report.paired(
        what,
        parameters,
        "delivered/s",
        [w.rate for w in ours],
        [w.rate for w in bare],
        count,
        ratio=percent,
        target=Target("≥", RATE_TARGET, percent),
    )
    report.paired(
        what,
        parameters,
        "CPU per delivery",
        [w.cpu_each for w in ours],
        [w.cpu_each for w in bare],
        us,
        target=Target("≤", CPU_TARGET, times),
    )
    report.alone(what, parameters, "resident memory", [w.rss for w in ours], mib)


def drain(ground: Ground, name: str, jobs: int, scale: Scale) -> Window:
    """Have one sender deliver `jobs` waiting jobs; checks that each was delivered and committed."""
    installation = ground.installation(name, sender=webhooks.sender_settings(scale.concurrency))
    with receivers(ground, NETWORK, DESTINATIONS) as them:
        rules = installation.prepare(webhooks.rules(NETWORK, them.port, DESTINATIONS))
        making = webhooks.Jobs(installation, rules)
        produce(ground.bootstrap, (making.record(number % DESTINATIONS) for number in range(jobs)))
        with installation.run("sender") as process:
            window = _measured(ground, process, them, jobs)
            group = installation.settings.topics.group("sender")
            wait_until(
                lambda: ground.committed(group, installation.jobs) == jobs, TIMEOUT, "all jobs are committed"
            )
            delivered = them.count()
            if delivered != jobs:
                raise RuntimeError(f"{delivered} deliveries of {jobs} jobs")
    installation.remove()
    return window


def _measured(ground: Ground, process: Process, them: Receivers, jobs: int) -> Window:
    return measure(
        process.pid,
        them.count,
        total=jobs,
        seconds=TIMEOUT,
        alive=lambda: check_running(process.returncode, ground.directory / f"{process.name}.log"),
    )


def _bare(ground: Ground, scale: Scale) -> Window:
    with receivers(ground, NETWORK, DESTINATIONS) as them:
        sizes = (them.port, DESTINATIONS, scale.deliveries, scale.concurrency)
        with ground.child("bare_sender", NETWORK, *sizes) as helper:
            return measure(
                helper.pid, them.count, total=scale.deliveries, seconds=TIMEOUT, alive=helper.check
            )
