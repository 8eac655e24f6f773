"""What becomes of the lines of a portion: events, and hits held back by a cooldown or a bucket. Pure.

Patterns are looked for in the whole portion at once (finder.py); everything else is done for hits alone.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Final, NamedTuple

from processor.scanning.bucket import Bucket
from processor.scanning.cooldown import Changes, Cooldowns, Started
from processor.scanning.effective import effective
from processor.scanning.event import Line, ScanEvent, make_event, readable
from processor.scanning.finder import Finder
from processor.scanning.lines import Lines, Tail
from processor.scanning.rule import ScanRule
from processor.scanning.ruling import Ruling

MOST_PLANS: Final = 10_000
"""Workloads whose effective rules are remembered."""

Plan = Mapping[str, Sequence[Ruling]]
"""The effective rules of a workload, by their patterns."""


class Now(NamedTuple):
    """What time it is, for lines that don't say: RFC 3339, and ms since 1970."""

    text: str
    ms: int


class Judged(NamedTuple):
    """What came of some lines: the events in the order of their lines, and what has changed with them."""

    events: Sequence[ScanEvent]
    changes: Changes


class _Timed(NamedTuple):
    line: Line
    at: int
    """ms since 1970."""


class Engine:
    """Judges lines by the rules it was given last. One thread uses it."""

    def __init__(self, finder: Finder, node: str, rate: int, burst: int, cooldowns: Cooldowns) -> None:
        """`rate`, `burst`: of each container's bucket. `cooldowns`: as they were left; this alone
        changes them.
        """
        self._finder = finder
        self._node = node
        self._rate = rate
        self._burst = burst
        self._cooldowns = cooldowns
        self._rules: Sequence[ScanRule] = ()
        self._rulings: dict[int, Ruling] = {}
        self._plans: dict[str, Plan] = {}
        self._buckets: dict[str, Bucket] = {}

    def update(self, rules: Iterable[ScanRule]) -> None:
        """The valid rules as they are now, all of them: in force for the next lines."""
        self._rules = tuple(rules)
        known = self._rulings
        self._rulings = {
            rule.id: known[rule.id] if rule.id in known and known[rule.id].rule == rule else Ruling(rule)
            for rule in self._rules
            if rule.enabled
        }
        self._plans.clear()
        self._finder.keep(ruling.rule.pattern for ruling in self._rulings.values())

    def judge(self, lines: Lines, now: Now) -> Judged:
        """What these lines become. Linear in them; microseconds a line that no rule matches."""
        changes = Changes()
        plan = self._plans.get(lines.tail.workload)
        if plan is None:
            plan = self._plan(lines.tail.workload)
        if not plan:
            return Judged((), changes)
        texts = lines.texts
        # Found out of all of them at once: logs are ASCII or UTF-8, as a rule.
        if any(not text.isascii() for text in texts):
            texts = [readable(text) for text in texts]
        events: list[ScanEvent] = []
        for place, patterns in self._finder.among(texts, plan):
            rulings = [ruling for pattern in patterns for ruling in plan[pattern]]
            rulings.sort(key=_id)
            time, at = when(lines.times[place], now)
            line = _Timed(Line(texts[place], lines.streams[place], time), at)
            for ruling in rulings:
                if line.line.stream in ruling.streams:
                    event = self._hit(ruling, lines.tail, line, changes)
                    if event is not None:
                        events.append(event)
        return Judged(events, changes)

    def forget(self, key: str) -> None:
        """A tail has gone for good."""
        self._buckets.pop(key, None)

    def _hit(self, ruling: Ruling, tail: Tail, line: _Timed, changes: Changes) -> ScanEvent | None:
        """The event of a hit, unless it is held back or dropped."""
        at, rule_id = line.at, ruling.rule.id
        key = (tail.workload, rule_id)
        cooldown = ruling.cooldown_ms
        if cooldown and self._cooldowns.holds_back(key, at, cooldown):
            self._cooldowns.suppress(key)
            changes.suppressed[key] = changes.suppressed.get(key, 0) + 1
            return None
        bucket = self._buckets.get(tail.key)
        if bucket is None:
            bucket = self._buckets[tail.key] = Bucket(self._rate, self._burst)
        if not bucket.take(at):
            changes.dropped[rule_id] = changes.dropped.get(rule_id, 0) + 1
            return None
        taken = self._cooldowns.waiting(key)
        if cooldown or taken:
            started = Started(key, at, taken)
            self._cooldowns.start(started)
            changes.started.append(started)
        changes.hits[rule_id] = changes.hits.get(rule_id, 0) + 1
        return make_event(ruling, tail, line.line, taken, self._node)

    def _plan(self, workload: str) -> Plan:
        plan: dict[str, list[Ruling]] = {}
        for rule in effective(self._rules, workload):
            plan.setdefault(rule.pattern, []).append(self._rulings[rule.id])
        if len(self._plans) >= MOST_PLANS:
            self._plans.clear()
        self._plans[workload] = plan
        return plan


def when(stamp: bytes, now: Now) -> tuple[str, int]:
    """The time of a line as text and in ms since 1970; `now` for one that has none, or one that no calendar
    has.
    """
    if not stamp:
        return now
    try:
        text = stamp.decode("ascii")
        return text, int(datetime.fromisoformat(text).timestamp() * 1_000)
    except (ValueError, OverflowError):
        return now


def _id(ruling: Ruling) -> int:
    return ruling.rule.id
