"""Many jobs that wait for a receiver which is down: what they cost in memory, and in records moved.

All jobs of a backlog are for one receiver that refuses connections. Twice: with a tenth of them, whose
memory is the baseline, and with all of them. How many records were moved per job is compared with the most
that the tiers allow in the time (DESIGN.md, "No treadmill").
"""

import time
from collections.abc import Sequence
from datetime import timedelta
from typing import NamedTuple

from benchmarks import webhooks
from benchmarks.ground import PARTITIONS, TIMEOUT, Ground, Installation, check_running, produce, say
from benchmarks.report import Report, Target, count, decimal, mib, times
from benchmarks.scale import Scale
from benchmarks.usage import cpu_seconds, resident_mib
from processor.delivery.tiers import deferral_ms
from processor.kafka.records import Position
from processor.settings import SenderSettings
from tests.support.brokers import free_port

NETWORK = "127.1.3"
SMALLER = 10
"""The part that is the baseline for memory: enough to fill what a sender holds of each partition."""

HOUR = 3_600.0
RSS_TARGET = 1.2
MOVES_TARGET = 1.05
"""The markers of transactions, which stand in the topics as well, are counted with the records."""


class Waited(NamedTuple):
    """What a backlog cost.

    rss: MiB, the most; moved: records written to retry topics per job; cpu: seconds per million of those.
    """

    rss: float
    moved: float
    seconds: float
    cpu: float


def run(ground: Ground, scale: Scale, report: Report) -> None:
    few = wait(ground, "waiting-few", scale.waiting // SMALLER, scale.waiting_seconds / 4)
    many = wait(ground, "waiting-many", scale.waiting, scale.waiting_seconds)
    say(f"waiting: {count(scale.waiting)} jobs, {mib(many.rss)}, {many.moved:.2f} records moved per job")
    what = "jobs waiting for a receiver that is down"
    parameters = f"{count(scale.waiting)} jobs for {many.seconds:.0f} s (baseline: a tenth of them)"
    report.paired(
        what,
        parameters,
        "resident memory, the most",
        [many.rss],
        [few.rss],
        mib,
        target=Target("≤", RSS_TARGET, times),
    )
    tiers = [tier // timedelta(milliseconds=1) for tier in SenderSettings().tiers]
    report.paired(
        what,
        f"{count(scale.waiting)} jobs for {many.seconds:.0f} s (baseline: the most that the tiers allow)",
        "records moved per waiting job",
        [many.moved],
        [float(most_moves(many.seconds, tiers))],
        decimal,
        target=Target("≤", MOVES_TARGET, times),
    )
    first = most_moves(HOUR, tiers)
    report.alone(what, "bound", "records moved per waiting job in the first hour", [float(first)], count)
    later = most_moves(2 * HOUR, tiers) - first
    report.alone(what, "bound", "records moved per waiting job and hour from then on", [float(later)], count)
    report.alone(what, parameters, "CPU seconds per million records moved", [many.cpu], decimal)


def most_moves(seconds: float, tiers_ms: Sequence[int]) -> int:
    """How often a job's record can be written to a retry topic within so long, if no attempt is made."""
    moves, at_ms = 1, 0
    while (at_ms := at_ms + deferral_ms(moves - 1, tiers_ms)) <= seconds * 1000:
        moves += 1
    return moves


def wait(ground: Ground, name: str, jobs: int, seconds: float) -> Waited:
    """Let a sender have `jobs` waiting jobs for `seconds` from its start."""
    installation = ground.installation(name)
    rules = installation.prepare(webhooks.rules(NETWORK, free_port(), 1))
    making = webhooks.Jobs(installation, rules)
    say(f"waiting: producing {count(jobs)} jobs")
    produce(ground.bootstrap, (making.record(0) for _ in range(jobs)))
    with installation.run("sender", process={"shutdown_timeout": "5s"}) as process:
        began, rss = time.monotonic(), 0.0
        while (passed := time.monotonic() - began) < seconds:
            check_running(process.returncode, ground.directory / f"{process.name}.log")
            rss = max(rss, resident_mib(process.pid))
            time.sleep(0.25)
        moved = _moved(installation)
        cpu = cpu_seconds(process.pid)
    installation.remove()
    return Waited(rss, moved / jobs, passed, cpu / max(1, moved) * 1e6)


def _moved(installation: Installation) -> int:
    """Records in all retry topics, those that were read since included."""
    settings = installation.settings
    topics = [settings.topics.retry(delay) for delay in settings.sender.tiers]
    positions = [Position(topic, number) for topic in topics for number in range(PARTITIONS)]
    return sum(installation.cluster.end_offsets(positions, timeout=TIMEOUT).values())
