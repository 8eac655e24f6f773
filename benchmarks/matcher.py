"""Throughput, CPU and memory of the matcher beside the raw loop, by count of rules and share of hits."""

from collections import defaultdict
from typing import NamedTuple

from benchmarks import workload
from benchmarks.ground import Ground, Installation, check_running, say
from benchmarks.report import Report, Target, count, decimal, mib, percent, times
from benchmarks.scale import Scale
from benchmarks.window import Window, measure

TARGET = "http://127.0.0.1:9/hook"
"""Where rules point; no sender runs, so nothing is ever sent there."""

CPU_TARGETS = {10: 2.5, 100: 2.5, 1_000: 3.5, 10_000: 8.0}
"""Times the raw loop's CPU per event, by count of rules that accept every source."""
LISTED_CPU_TARGET = 4.0
RATE_TARGET = 0.4
RSS_TARGET = 300.0

END = 0.75
"""The share of the backlog after which a measurement ends: while the client still has as much fetched ahead
as at the beginning (up to 16 MiB), or work that was done before the window would count for it."""


class Case(NamedTuple):
    """One set of rules."""

    rules: int
    lists: workload.Lists

    def __str__(self) -> str:
        listed = ", each naming 3 of 50 sources" if self.lists == "listed" else ""
        return f"{self.rules:,} rules{listed}"


def run(ground: Ground, scale: Scale, report: Report) -> None:
    events = {hits: _filled(ground, scale, hits) for hits in scale.hit_percents}
    raw_jobs = ground.topic("raw-jobs")
    cases = [Case(rules, "open") for rules in scale.rule_counts]
    if 10_000 in scale.rule_counts:
        cases.append(Case(10_000, "listed"))
    installed = {case: _installed(ground, case) for case in cases}
    pairs: dict[tuple[int, Case], list[tuple[Window, Window]]] = defaultdict(list)
    for number in range(1, scale.rounds + 1):
        for hits, topic in events.items():
            for case, installation in installed.items():
                raw = _raw(ground, scale, topic, raw_jobs, hits)
                ours = _ours(ground, scale, topic, installation)
                pairs[hits, case].append((ours, raw))
                say(
                    f"matcher, {case}, {hits} % hits, round {number} of {scale.rounds}:"
                    f" {count(ours.rate)} events/s, raw {count(raw.rate)}"
                )
    for (hits, case), measured in pairs.items():
        _tell(report, scale, hits, case, measured)
    for installation in installed.values():
        installation.remove()


def _filled(ground: Ground, scale: Scale, hits: int) -> str:
    topic = ground.topic(f"events-{hits}")
    say(f"appending {count(scale.backlog)} events, {hits} % of which will hit")
    ground.fill(topic, workload.events(scale.backlog, hits))
    return topic


def _installed(ground: Ground, case: Case) -> Installation:
    say(f"writing {case}")
    installation = ground.installation(f"matcher-{case.rules}-{case.lists}")
    installation.prepare(workload.rule(n, case.rules, case.lists, TARGET) for n in range(case.rules))
    return installation


def _raw(ground: Ground, scale: Scale, topic: str, jobs: str, hits: int) -> Window:
    group = ground.name("raw")
    every = 100 // hits if hits else 0
    with ground.child("raw_matcher", ground.bootstrap, group, topic, jobs, every) as helper:
        window = measure(
            helper.pid,
            lambda: ground.committed(group, topic),
            total=scale.backlog,
            end=END,
            seconds=scale.window,
            alive=helper.check,
        )
        helper.process.terminate(20)
    ground.forget(group)
    return window


def _ours(ground: Ground, scale: Scale, topic: str, installation: Installation) -> Window:
    group = installation.settings.topics.group("matcher")
    with installation.run("matcher", matcher={"event_topics": [topic]}) as process:
        window = measure(
            process.pid,
            lambda: ground.committed(group, topic),
            total=scale.backlog,
            end=END,
            seconds=scale.window,
            alive=lambda: check_running(process.returncode, ground.directory / f"{process.name}.log"),
        )
    installation.forget("matcher")
    return window


def _tell(report: Report, scale: Scale, hits: int, case: Case, measured: list[tuple[Window, Window]]) -> None:
    what = "matcher beside the raw loop"
    parameters = f"{case}, {hits} % hits; {count(scale.backlog)} events of 300 B, exactly once, strict"
    ours, raw = [pair[0] for pair in measured], [pair[1] for pair in measured]
    judged = hits == 1
    report.paired(
        what,
        parameters,
        "events/s",
        [w.rate for w in ours],
        [w.rate for w in raw],
        count,
        ratio=percent,
        target=Target("≥", RATE_TARGET, percent) if judged and case.rules == 100 else None,
    )
    bound = LISTED_CPU_TARGET if case.lists == "listed" else CPU_TARGETS.get(case.rules)
    report.paired(
        what,
        parameters,
        "CPU seconds per million events",
        [w.cpu_each * 1e6 for w in ours],
        [w.cpu_each * 1e6 for w in raw],
        decimal,
        target=Target("≤", bound, times) if judged and bound is not None else None,
    )
    limit = Target("≤", RSS_TARGET, mib) if case.rules == 10_000 else None
    report.alone(what, parameters, "resident memory", [w.rss for w in ours], mib, target=limit)
