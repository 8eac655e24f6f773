"""Whether two bad receivers among fifty slow down the other forty-eight.

Half of the load that the sender bears goes evenly to the receivers. In one half of a round only the good ones
get jobs, in the other all fifty, of which one reads and never answers and one refuses connections. What is
compared is how long the good ones' jobs took from the job topic to the receiver.
"""

from confluent_kafka import Producer

from benchmarks import webhooks
from benchmarks.ground import Ground, say
from benchmarks.pacing import pace, prompt_producer
from benchmarks.receivers import Receivers, receivers
from benchmarks.report import Report, Target, count, ms, quantile, times
from benchmarks.scale import Scale
from benchmarks.sender import drain
from tests.support.waiting import wait_until

NETWORK = "127.1.2"
DESTINATIONS = 50
GOOD = 48
HANGING = 49
"""The number of the receiver that hangs; nobody listens at the one behind it."""

GRACE = 5.0
"""Seconds after which what has not arrived counts as never."""

TARGET = 1.3


def run(ground: Ground, scale: Scale, report: Report) -> None:
    calibration = drain(ground, "isolation-load", max(6_000, scale.deliveries // 4))
    rate = calibration.window.rate / 2
    alone: list[float] = []
    beside: list[float] = []
    missing: list[float] = []
    for number in range(1, scale.isolation_rounds + 1):
        without, _ = _round(ground, scale, f"isolation-{number}-without", rate * GOOD / DESTINATIONS, GOOD)
        with_bad, lost = _round(ground, scale, f"isolation-{number}-with", rate, DESTINATIONS)
        alone.append(without)
        beside.append(with_bad)
        missing.append(lost)
        say(
            f"isolation, round {number} of {scale.isolation_rounds}:"
            f" p99 {ms(with_bad)} with the bad two, {ms(without)} without; {count(lost)} jobs not in time"
        )
    what = f"{GOOD} receivers, beside one that hangs and one that refuses (baseline: without those two)"
    parameters = (
        f"{count(rate)} jobs/s (half of what the sender bears) for {scale.isolation_seconds:g} s,"
        f" default settings"
    )
    report.paired(
        what,
        parameters,
        "job → receiver, p99",
        beside,
        alone,
        ms,
        target=Target("≤", TARGET, times),
    )
    report.alone(
        what, parameters, f"jobs of the {GOOD} not there {GRACE:g} s after the load ended", missing, count
    )


def _round(ground: Ground, scale: Scale, name: str, rate: float, destinations: int) -> tuple[float, float]:
    """(p99 in seconds, how many never arrived) of the good receivers' jobs."""
    installation = ground.installation(name)
    # The one that hangs listens, the one behind it doesn't.
    with receivers(ground, NETWORK, HANGING, hanging=HANGING, timed=True) as them:
        rules = installation.prepare(webhooks.rules(NETWORK, them.port, DESTINATIONS))
        making = webhooks.Jobs(installation, rules)
        producer = prompt_producer(ground.bootstrap)
        with installation.run("sender", process={"shutdown_timeout": "5s"}):
            for to in range(GOOD):
                _send(producer, making, to)
            producer.flush(GRACE)
            wait_until(lambda: them.count() >= GOOD, 60, "the sender delivers")
            them.delays()

            sent = 0

            def send(number: int) -> None:
                nonlocal sent
                to = number % destinations
                sent += to < GOOD
                _send(producer, making, to)

            pace(rate, scale.isolation_seconds, send)
            producer.flush(GRACE)
            expected = sent
            delays = _arrived(them, expected)
    installation.remove()
    missing = max(0, expected - len(delays))
    return quantile([*delays, *[float("inf")] * missing], 0.99), float(missing)


def _send(producer: Producer, making: webhooks.Jobs, to: int) -> None:
    topic, key, value, headers = making.record(to, stamped=True)
    producer.produce(topic, value=value, key=key, headers=list(headers))
    producer.poll(0)


def _arrived(them: Receivers, expected: int) -> list[float]:
    """The delays at the good receivers, once all are there or nothing more is waited for."""
    found: list[float] = []

    def all_there() -> bool:
        for address, delays in them.delays().items():
            if int(address.rsplit(".", 1)[1]) <= GOOD:
                found.extend(delays)
        return len(found) >= expected

    try:
        wait_until(all_there, GRACE, every=0.2)
    except AssertionError:
        pass  # what is missing is part of the answer
    return found
