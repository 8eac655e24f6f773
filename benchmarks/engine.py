"""The matcher's rule set beside the plain loops over all rules, in this process and without Kafka."""

import re
import time
from collections.abc import Callable, Sequence

import re2

from benchmarks import workload
from benchmarks.ground import say
from benchmarks.matcher import TARGET
from benchmarks.report import Report, Target, times, us
from benchmarks.scale import Scale
from processor.events import Event, EventDecoder, EventFields, Texts
from processor.matching.building import compiled
from processor.matching.engine import RuleSet
from processor.matching.judging import AT_ONCE
from processor.rules import TriggerRule

HITS = 1
EVENTS = 20_000
ENGINE_TARGET = 250.0
"""How many times faster than a plain loop at 10,000 rules."""


def run(scale: Scale, report: Report) -> None:
    decoder = EventDecoder(EventFields())
    decoded = [decoder.decode(value) for value in workload.events(EVENTS, HITS)]
    events = [event for event in decoded if isinstance(event, Event)]
    for rules in scale.rule_counts:
        say(f"engine, {rules:,} rules")
        ruleset = compiled({n + 1: _rule(n, rules) for n in range(rules)})
        patterns = [workload.pattern(n, rules) for n in range(rules)]
        loops = {
            "Python re, rule by rule": _python_re(patterns),
            "google-re2, rule by rule": _google_re2(patterns),
        }
        for name, loop in loops.items():
            ours: list[float] = []
            plain: list[float] = []
            for _ in range(scale.rounds):
                plain.append(_seconds_each(loop, events, scale.engine_seconds))
                ours.append(_together(ruleset, events, scale.engine_seconds))
            report.paired(
                f"matching alone, beside {name}",
                f"{rules:,} rules, {HITS} % hits, in process",
                "time per event (ratio: how much faster)",
                ours,
                plain,
                us,
                gain=True,
                target=Target("≥", ENGINE_TARGET, times) if rules == 10_000 else None,
            )


def _rule(number: int, of: int) -> TriggerRule:
    return TriggerRule.model_validate({**workload.rule(number, of, "open", TARGET), "id": number + 1})


def _python_re(patterns: Sequence[str]) -> Callable[[Event], object]:
    searches = [re.compile(pattern).search for pattern in patterns]

    def loop(event: Event) -> object:
        message = event.message
        return [n for n, search in enumerate(searches) if search(message)]

    return loop


def _google_re2(patterns: Sequence[str]) -> Callable[[Event], object]:
    searches = [re2.compile(pattern).search for pattern in patterns]

    def loop(event: Event) -> object:
        message = event.message
        return [n for n, search in enumerate(searches) if search(message)]

    return loop


def _together(rules: RuleSet, events: Sequence[Event], seconds: float) -> float:
    """Seconds for each event, AT_ONCE at a time, as the matcher asks."""
    portions = [
        ([Texts(e.severity, e.source, e.message) for e in portion], [e.body for e in portion])
        for portion in (events[start : start + AT_ONCE] for start in range(0, len(events), AT_ONCE))
    ]
    began, done = time.perf_counter(), 0
    while time.perf_counter() - began < seconds:
        for texts, bodies in portions:
            list(rules.among(texts, bodies))
        done += len(events)
    return (time.perf_counter() - began) / done


def _seconds_each(match: Callable[[Event], object], events: Sequence[Event], seconds: float) -> float:
    """Over as many events as go into `seconds`, ten at least."""
    for event in events[:10]:
        match(event)  # what is compiled or cached with the first use
    began, done = time.perf_counter(), 0
    while done < 10 or time.perf_counter() - began < seconds:
        for event in events[done % len(events) :][:10]:
            match(event)
            done += 1
    return (time.perf_counter() - began) / done
