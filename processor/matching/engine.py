"""Which rules an event fires: the rules in force, indexed so that those which can't fire cost nothing.

An event meets the shards, which name candidates whatever the number of rules (shards.py); the rules with a
regex that are in no shard, because they have just changed or nothing can look for them together; the rules
with an event pattern alone (required.py); and those with lists alone. What its severity and source decide is
found once for each pair (`_Route`). Lists are checked, google-re2 confirms, and event patterns are tried for
each candidate, so the answer is always that of asking rule by rule.

Compiling goes on elsewhere, a `Builder`: a changed rule acts at once by itself and moves into a shard when
that is ready.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import deque
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from itertools import accumulate
from typing import Final, Protocol

from processor.events import Event, Texts, document
from processor.matching.lists import ListIndex
from processor.matching.required import FilterIndex
from processor.matching.rule import CompiledRule
from processor.matching.shards import LONGEST_SAMPLE, SAMPLE, Built, Gate, Job, Kind, Shard, Whole, next_job
from processor.patterns import Confirmers
from processor.patterns.gate import TooMany
from processor.patterns.segments import folded
from processor.rules.schema import TriggerRule

MOST_ROUTES: Final = 4_096
"""Pairs of severity and source that are remembered; one takes 200 bytes, to find it anew a microsecond."""

FEW: Final = 16
"""Rules with the same segment whose lists are not worth looking up."""

MOST_FOUND: Final = 8
"""Segments per event that are told one by one when many events are looked at together."""

NOTHING: Final[Sequence[CompiledRule]] = ()


Found = tuple[Shard, tuple[int, ...]]
"""A segment in a message: in which shard, and the numbers of the rules that need it."""


class Builder(Protocol):
    """Compiles shards while the engine goes on."""

    def submit(self, job: Job) -> None:
        """Begin with a job; only one is given at a time."""
        ...

    def finished(self) -> Built | None:
        """What came of it, once; None while it isn't done."""
        ...


class _Route:
    """What is the same for all events with the same severity and source."""

    __slots__ = ("alone", "decodes", "more", "narrowed", "plain", "severity", "source")

    def __init__(
        self,
        severity: str,
        source: str,
        plain: Sequence[CompiledRule],
        alone: Sequence[CompiledRule],
        *,
        decodes: bool,
    ) -> None:
        """`plain`: the rules that fire whatever else the event says; `alone`: those with a regex that are in
        no shard; `decodes`: whether there are any that have an event pattern and no regex.
        """
        self.severity = severity
        self.source = source
        self.plain = plain
        self.alone = alone
        self.decodes = decodes
        self.more = bool(plain or alone or decodes)
        self.narrowed: dict[int, Sequence[int]] = {}


class RuleSet:
    """The rules in force. One thread uses it: changes it, asks it, and lets it tend to what is compiled."""

    def __init__(
        self, rules: Mapping[int, TriggerRule] | None = None, epoch: int = 0, builder: Builder | None = None
    ) -> None:
        """`rules`: the valid ones, by id. `epoch`: matcher.replay_epoch. Without a builder, rules with a
        regex are asked one by one.
        """
        self._epoch = epoch
        self._builder = builder
        self._search = Confirmers().search
        self._busy = False
        self._last = Kind.WHOLE
        self.clear()
        for rule_id, rule in (rules or {}).items():
            self.update(rule_id, rule)

    def clear(self) -> None:
        """No rules at all."""
        self._rules: dict[int, CompiledRule] = {}
        self._homes: dict[int, tuple[Shard, int]] = {}
        self._fresh: dict[int, CompiledRule] = {}
        self._unsegmented: dict[int, CompiledRule] = {}
        self._plain = ListIndex()
        self._filtered = FilterIndex()
        self._alone = ListIndex()
        self._shards: tuple[Shard, ...] = ()
        self._gates: Sequence[tuple[Shard, Gate]] = ()
        self._wholes: Sequence[tuple[Shard, Whole]] = ()
        self._sample: deque[bytes] = deque(maxlen=SAMPLE)
        self._routes: dict[tuple[str, str], _Route] = {}

    def __len__(self) -> int:
        return len(self._rules)

    @property
    def rules(self) -> Iterable[CompiledRule]:
        """The enabled ones."""
        return self._rules.values()

    @property
    def alone(self) -> int:
        """How many rules with a regex are in no shard, so that each of them is asked by itself."""
        return self._alone.count

    @property
    def waiting(self) -> int:
        """How many of those may yet come into one."""
        return len(self._fresh) + len(self._unsegmented)

    def update(self, rule_id: int, rule: TriggerRule | None) -> None:
        """The rule as it is now; None, like a disabled one, fires nothing. In force at once."""
        before = self._rules.pop(rule_id, None)
        after = CompiledRule(rule, self._epoch) if rule is not None and rule.enabled else None
        home = self._homes.pop(rule_id, None)
        if after is not None:
            self._rules[rule_id] = after
        if home is not None and before is not None:
            shard, number = home
            if after is not None and after.regex == before.regex:
                self._homes[rule_id] = home
                shard.replace(number, after)
                self._routes.clear()
                return
            shard.replace(number, None)
        elif before is not None:
            self._leave(before)
        if after is not None:
            self._enter(after)

    def match(self, event: Event) -> Sequence[CompiledRule]:
        """The rules this event fires, each once, in no particular order. Linear in the event."""
        found: list[Found] = []
        if self._gates:
            looked_for = folded(event.message).encode()
            found = [(shard, members) for shard, gate in self._gates for members in gate.scan(looked_for)]
        return self._fired(event, event.body, found)

    def among(
        self, events: Sequence[Texts], bodies: Sequence[bytes | None]
    ) -> Iterator[tuple[int, Sequence[CompiledRule]]]:
        """The same for many events: for each that fires anything, its place among them and the rules.

        Cheaper by far than one by one. The set must not be changed before all is answered.
        """
        found = self._found_among(events)
        more = self._wholes or self._plain.count or self._alone.count or self._filtered.count
        for place in range(len(events)) if more else sorted(found):
            if fired := self._fired(events[place], bodies[place], found.get(place, ())):
                yield place, fired

    def _found_among(self, events: Sequence[Texts]) -> Mapping[int, Sequence[Found]]:
        """By an event's place, the segments in its message."""
        found: dict[int, list[Found]] = {}
        if not self._gates:
            return found
        messages = [event.message for event in events]
        joined = "\0".join(messages)
        if not joined.isascii():
            joined = "\0".join(messages := [folded(message) for message in messages])
        data = joined.encode()
        ends: list[int] = []
        for shard, gate in self._gates:
            try:
                told = gate.scan_joined(data, MOST_FOUND * len(events))
            except TooMany:
                for place, message in enumerate(messages):
                    for members in gate.scan(message.encode()):
                        found.setdefault(place, []).append((shard, members))
                continue
            if told and not ends:
                lengths = messages if joined.isascii() else [message.encode() for message in messages]
                ends = list(accumulate(len(one) + 1 for one in lengths))
            for end, members in told:
                found.setdefault(bisect_right(ends, end), []).append((shard, members))
        return found

    def _fired(
        self, event: Texts | Event, body: bytes | None, found: Sequence[Found]
    ) -> Sequence[CompiledRule]:
        """The rules that an event fires in whose message these segments have been found."""
        severity, source = event.severity, event.source
        route = self._routes.get((severity, source)) or self._find_route(severity, source)
        if not (found or self._wholes or route.more):
            return NOTHING
        message = event.message.encode()
        fired = self._confirmed(found, route, message) if found else []
        for shard, whole in self._wholes:
            if numbers := whole.scan(message):
                fired += self._firing(shard, numbers, route, message)
        fired += [rule for rule in route.alone if self._search(rule.pattern, message)]
        if route.decodes or any(rule.filtered for rule in fired):
            decoded = document(body or b"{}")
            fired = [rule for rule in fired if rule.passes(decoded)]
            if route.decodes:
                candidates = self._filtered.candidates(decoded)
                fired += [one for one in candidates if one.accepts(severity, source) and one.passes(decoded)]
        fired += route.plain
        return fired

    def tend(self) -> None:
        """Take in what has been compiled and have the next thing compiled. Takes a millisecond at most."""
        if self._builder is None:
            return
        if self._busy:
            built = self._builder.finished()
            if built is None:
                return
            self._busy = False
            self._install(built)
        segments, wholes = Kind.SEGMENTS, Kind.WHOLE
        for kind in (segments, wholes) if self._last is wholes else (wholes, segments):
            fresh = self._fresh if kind is segments else self._unsegmented
            shards = [shard for shard in self._shards if shard.kind is kind]
            job = next_job(list(fresh.values()), shards, kind, list(self._sample))
            if job is not None:
                self._busy, self._last = True, kind
                self._builder.submit(job)
                return

    def _enter(self, rule: CompiledRule) -> None:
        if rule.regex:
            self._fresh[rule.id] = rule
            self._alone.add(rule)
        elif rule.filtered:
            self._filtered.add(rule)
        else:
            self._plain.add(rule)
        self._routes.clear()

    def _leave(self, rule: CompiledRule) -> None:
        """Of a rule that is in no shard."""
        if rule.regex:
            self._fresh.pop(rule.id, None)
            self._unsegmented.pop(rule.id, None)
            self._alone.remove(rule)
        elif rule.filtered:
            self._filtered.remove(rule)
        else:
            self._plain.remove(rule)
        self._routes.clear()

    def _find_route(self, severity: str, source: str) -> _Route:
        if len(self._routes) >= MOST_ROUTES:
            self._routes.clear()
        route = _Route(
            severity,
            source,
            self._plain.accepting(severity, source),
            self._alone.accepting(severity, source),
            decodes=self._filtered.any_accepts(severity, source),
        )
        self._routes[severity, source] = route
        return route

    def _confirmed(self, found: Sequence[Found], route: _Route, message: bytes) -> list[CompiledRule]:
        """Of the rules that have a segment in the message, those that it fires."""
        candidates: dict[Shard, Collection[int]] = {}
        for shard, members in found:
            numbers = members if len(members) <= FEW else self._narrowed(shard, members, route)
            candidates[shard] = {*candidates[shard], *numbers} if shard in candidates else numbers
        fired: list[CompiledRule] = []
        for shard, chosen in candidates.items():
            if len(chosen) > shard.bearable and shard.whole is not None:
                chosen = set(shard.whole.scan(message)).intersection(chosen)
            firing = self._firing(shard, chosen, route, message)
            if len(firing) < len(chosen):
                shard.wasted += len(chosen) - len(firing)
                if len(message) <= LONGEST_SAMPLE:
                    self._sample.append(message)
            fired += firing
        return fired

    def _firing(
        self, shard: Shard, numbers: Iterable[int], route: _Route, message: bytes
    ) -> list[CompiledRule]:
        """The candidates whose lists and regex say yes."""
        severity, source, rules, search = route.severity, route.source, shard.numbered, self._search
        firing = []
        for number in numbers:
            rule = rules[number]
            if rule is not None and rule.accepts(severity, source) and search(rule.pattern, message):
                firing.append(rule)
        return firing

    def _narrowed(self, shard: Shard, members: tuple[int, ...], route: _Route) -> Sequence[int]:
        """Those members whose lists accept the event."""
        narrowed = route.narrowed.get(id(members))
        if narrowed is None:
            rules = ((number, shard.numbered[number]) for number in members)
            narrowed = [
                number
                for number, rule in rules
                if rule is not None and rule.accepts(route.severity, route.source)
            ]
            route.narrowed[id(members)] = narrowed
        return narrowed

    def _install(self, built: Built) -> None:
        job, shard = built.job, built.shard
        if shard is None:
            for replaced in job.replaced:
                replaced.wasted = 0  # not again at once
        else:
            for number, rule in enumerate(tuple(shard.numbered)):
                if rule is not None:
                    self._settle(shard, number, rule)
            self._shards = (*(one for one in self._shards if one not in job.replaced), shard)
        for rule in built.unfit:
            self._displace(rule, job.kind)
        self._gates = [(one, one.gate) for one in self._shards if one.gate is not None]
        self._wholes = [
            (one, one.whole) for one in self._shards if one.gate is None and one.whole is not None
        ]
        self._routes.clear()

    def _settle(self, shard: Shard, number: int, compiled: CompiledRule) -> None:
        """The rule that was compiled is in the shard, unless it has another regex by now."""
        rule = self._rules.get(compiled.id)
        if rule is None or rule.regex != compiled.regex:
            shard.replace(number, None)
            return
        if rule.id not in self._homes:
            self._leave(rule)
        self._homes[rule.id] = (shard, number)
        shard.replace(number, rule)

    def _displace(self, compiled: CompiledRule, kind: Kind) -> None:
        """The rule that could not be compiled in this way is asked by itself; perhaps another way is left."""
        rule = self._rules.get(compiled.id)
        if rule is None or rule.regex != compiled.regex:
            return
        home = self._homes.get(rule.id)
        if home is None:
            self._leave(rule)
        elif home[0] in self._shards:
            return
        else:
            del self._homes[rule.id]
        self._alone.add(rule)
        if kind is Kind.SEGMENTS:
            self._unsegmented[rule.id] = rule
