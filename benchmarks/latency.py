"""From event to visible job at a steady rate, beside the raw loop; from a rule's change to its first job."""

import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import islice

from confluent_kafka import Producer

from benchmarks import workload
from benchmarks.ground import Ground, Installation, say
from benchmarks.matcher import TARGET
from benchmarks.pacing import Arrivals, pace, prompt_producer
from benchmarks.report import Report, Target, count, ms, quantile
from benchmarks.scale import Scale
from processor.rules import RuleDraft, RuleStore, Update

RULES = 100
HITS = {1_000: 100, 10_000: 10}
"""Percent of hits by events a second."""

P50_TARGET, P99_TARGET = 0.020, 0.060
LOAD = 10_000
"""Events a second beside rule changes: what one core of a shared broker bears all the time."""

LATE = 5.0
"""Seconds after which what is still missing counts as never seen."""

WARM_UP = 3.0
"""Seconds of the load before the measurement: a broker that has just started is slow at first."""

CHANGE_PAUSE = 0.02


def run(ground: Ground, scale: Scale, report: Report) -> None:
    installation = ground.installation("latency")
    installation.prepare(workload.rule(n, RULES, "open", TARGET) for n in range(RULES))
    for rate in scale.rates:
        _at(ground, scale, report, installation, rate)
    installation.remove()
    _changes(ground, scale, report, RULES, 0)
    _changes(ground, scale, report, scale.loaded_rules, LOAD)


def _at(ground: Ground, scale: Scale, report: Report, installation: Installation, rate: int) -> None:
    events = ground.topic(f"paced-events-{rate}")
    raw_jobs = ground.topic(f"paced-jobs-{rate}")
    hits = HITS.get(rate, 100)
    ours: list[Sequence[float]] = []
    raw: list[Sequence[float]] = []
    for number in range(1, scale.rounds + 1):
        group = ground.name(f"paced-{rate}")
        with ground.child("raw_matcher", ground.bootstrap, group, events, raw_jobs, 100 // hits):
            raw.append(_paced(ground, scale, events, raw_jobs, rate, hits))
        with installation.run(
            "matcher", matcher={"event_topics": [events], "start_from": "latest"}
        ) as process:
            process.wait_ready()
            ours.append(_paced(ground, scale, events, installation.jobs, rate, hits))
        say(
            f"latency at {count(rate)} events/s, round {number} of {scale.rounds}:"
            f" p50 {ms(quantile(ours[-1], 0.5))}, p99 {ms(quantile(ours[-1], 0.99))}"
        )
    parameters = f"{count(rate)} events/s, {hits} % hits, {RULES} rules, {scale.latency_seconds:g} s"
    for share, bound in ((0.5, P50_TARGET), (0.99, P99_TARGET)):
        report.paired(
            "event → visible job, beside the raw loop",
            parameters,
            f"p{share * 100:.0f}",
            [quantile(delays, share) for delays in ours],
            [quantile(delays, share) for delays in raw],
            ms,
        )
        if rate == 1_000:
            values = [quantile(delays, share) for delays in ours]
            report.alone(
                "event → visible job",
                parameters,
                f"p{share * 100:.0f}",
                values,
                ms,
                target=Target("≤", bound, ms),
            )


def _paced(ground: Ground, scale: Scale, events: str, jobs: str, rate: int, hits: int) -> Sequence[float]:
    """Seconds from event to visible job, of each job; those that didn't come are infinite."""
    # Every n-th event hits, so that the raw loop, which can only count, sees as many.
    every = 100 // hits
    hitting = list(islice(workload.events(10_000, 100), 10_000))
    missing = list(islice(workload.events(10_000, 0), 10_000))
    producer = prompt_producer(ground.bootstrap)
    with Arrivals(ground.bootstrap, jobs) as arrivals:
        _warm_up(producer, events, arrivals, hitting[:100], every)

        def send(number: int) -> None:
            body = (hitting if number % every == 0 else missing)[number % 10_000]
            producer.produce(events, value=workload.stamped(body, time.time_ns()))
            if number % 100 == 0:
                producer.poll(0)

        pace(rate, WARM_UP, send)
        begun = time.time_ns()
        expected = -(-pace(rate, scale.latency_seconds, send) // every)
        producer.flush(LATE)
        delays = arrivals.since(begun, expected, LATE)
    return [*delays, *[float("inf")] * max(0, expected - len(delays))]


def _warm_up(producer: Producer, topic: str, arrivals: Arrivals, events: Sequence[bytes], every: int) -> None:
    """Send events until the first job is seen: by then both sides have found each other."""
    until = time.monotonic() + 60
    while not arrivals.delays:
        if time.monotonic() > until:
            raise RuntimeError(f"no job for events of {topic}")
        for event in events[:every]:
            producer.produce(topic, value=workload.stamped(event, time.time_ns()))
        producer.flush(LATE)
        time.sleep(0.05)


def _changes(ground: Ground, scale: Scale, report: Report, rules: int, load: int) -> None:
    """Change a rule, append an event that only the new version fires, see its job; again and again.

    Meanwhile `load` other events a second that fire nothing.
    """
    say(f"{scale.changes} rule changes, {rules:,} rules, {load:,} events/s beside them")
    installation = ground.installation(f"changes-{rules}")
    installation.prepare(workload.rule(n, rules, "open", TARGET) for n in range(rules))
    events = ground.topic(f"changes-{rules}-events")
    writing: list[float] = []
    acting: list[float] = []
    with (
        installation.run("matcher", matcher={"event_topics": [events], "start_from": "latest"}) as process,
        installation.store() as store,
        Arrivals(ground.bootstrap, installation.jobs) as arrivals,
    ):
        process.wait_ready()
        producer = prompt_producer(ground.bootstrap)
        rule_id = min(store.read().rules)
        _warm_up(producer, events, arrivals, list(workload.events(100, 100)), 1)
        _change(store, rule_id, 0, rules)  # claims the right to write, which is kept from then on
        with _load(ground, events, load):
            for number in range(1, scale.changes + 1):
                began = time.perf_counter()
                token = _change(store, rule_id, number, rules)
                acknowledged = time.perf_counter()
                sent = time.time_ns()
                producer.produce(events, value=workload.stamped(b'{"message":"%b"}' % token, sent))
                producer.flush(LATE)
                delay = arrivals.wait_for(sent, LATE)
                writing.append(acknowledged - began)
                acting.append(float("inf") if delay is None else delay)
                time.sleep(CHANGE_PAUSE)
    installation.remove()
    beside = f", {load:,} events/s beside them" if load else ""
    parameters = f"{scale.changes} changes through a kept store, {rules:,} rules, strict{beside}"
    whole = [write + act for write, act in zip(writing, acting, strict=True)]
    for figure, values in (
        ("write → acknowledged", writing),
        ("acknowledged → job of an event appended at once", acting),
        ("write → that job", whole),
    ):
        for share in (0.5, 0.99):
            report.alone(
                "rule change → in force",
                parameters,
                f"{figure}, p{share * 100:.0f}",
                [quantile(values, share)],
                ms,
            )
    missed = float(sum(1 for value in acting if value == float("inf")))
    report.alone(
        "rule change → in force",
        parameters,
        "events that missed the rule",
        [missed],
        count,
        target=Target("≤", 0, count),
    )


@contextmanager
def _load(ground: Ground, topic: str, rate: int) -> Iterator[None]:
    """`rate` events a second that fire nothing, from a thread, while the block lasts."""
    stop = threading.Event()

    def send() -> None:
        producer = prompt_producer(ground.bootstrap)
        missing = list(workload.events(2_000, 0))
        while not stop.is_set():
            pace(rate, 0.5, lambda number: producer.produce(topic, value=missing[number % len(missing)]))
            producer.poll(0)
        producer.flush(LATE)

    thread = threading.Thread(target=send, daemon=True)
    if rate:
        thread.start()
    try:
        yield
    finally:
        stop.set()
        if rate:
            thread.join()


def _change(store: RuleStore, rule_id: int, number: int, rules: int) -> bytes:
    """Have the rule look for a new text; returns the text when the write is acknowledged."""
    token = f"change {number} of this run"
    fields = workload.rule(0, rules, "open", TARGET) | {"filter_message_regex": f"^{token}$"}
    store.apply([Update(rule_id, RuleDraft.model_validate(fields))])
    return token.encode()
