"""Shards: rules with a regex that are looked for together, and when which of them are compiled anew.

A shard never changes what it looks for; a rule that has changed is left out of its answers, and is looked for
by itself until the next shard has it. Shards are merged as a log-structured tree merges its runs: a small
change compiles little, and there are never many of them.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Final, Protocol

from processor.matching.rule import CompiledRule

SAMPLE: Final = 256
"""Messages that are remembered for the choice of better segments."""

LONGEST_SAMPLE: Final = 4_096
"""Bytes of such a message; all of them go to the compiler."""


class Kind(Enum):
    """By what a shard tells which rules a message may fire."""

    SEGMENTS = "segments"
    """A segment of each rule's expression (patterns/segments.py)."""

    WHOLE = "whole"
    """The whole expressions, of rules that have no segment worth looking for."""


MOST_RULES: Final = {Kind.SEGMENTS: 4_096, Kind.WHOLE: 1_024}
"""In one shard; compiling as many takes two seconds."""


class Gate(Protocol):
    """What finds segments: patterns.gate.Gate."""

    def scan(self, text: bytes, /) -> Sequence[tuple[int, ...]]: ...
    def scan_joined(self, texts: bytes, most: int, /) -> Sequence[tuple[int, tuple[int, ...]]]: ...


class Whole(Protocol):
    """What finds whole expressions: patterns.database.Database."""

    def scan(self, text: bytes, /) -> Sequence[int]: ...


class Shard:
    """Rules by their number in it; some are not there (None), as they could not be compiled or have gone.

    gate is there if they have segments, whole if the whole expressions have been compiled.
    """

    __slots__ = ("_rules", "gate", "live", "sampled", "wasted", "whole")

    def __init__(
        self,
        rules: Iterable[CompiledRule | None],
        gate: Gate | None,
        whole: Whole | None,
        *,
        sampled: bool = False,
    ) -> None:
        self._rules = list(rules)
        self.gate = gate
        self.whole = whole
        self.live = sum(rule is not None for rule in self._rules)
        self.sampled = sampled
        """Whether its segments were chosen for the messages that there are."""
        self.wasted = 0
        """Searches by google-re2 that found nothing."""

    def __len__(self) -> int:
        return len(self._rules)

    @property
    def rules(self) -> list[CompiledRule]:
        """Those that are still in force."""
        return [rule for rule in self._rules if rule is not None]

    @property
    def numbered(self) -> Sequence[CompiledRule | None]:
        """By number; None is one that has gone."""
        return self._rules

    def replace(self, number: int, rule: CompiledRule | None) -> None:
        """Put another version with the same regex in a rule's place, or nothing."""
        if (self._rules[number] is None) != (rule is None):
            self.live += 1 if rule is not None else -1
        self._rules[number] = rule

    @property
    def kind(self) -> Kind:
        """How it tells."""
        return Kind.WHOLE if self.gate is None else Kind.SEGMENTS

    @property
    def bearable(self) -> int:
        """How many candidates cost less to confirm than looking for the whole expressions."""
        return 2 + len(self._rules) // 500

    @property
    def wants_better(self) -> bool:
        """Whether so much has been searched for in vain that compiling it anew pays, soon.

        First with segments that are rarer in the messages there are, then with the whole expressions, too.
        """
        bearable = 5_000 + 20 * len(self._rules)
        return self.wasted > (10 * bearable if self.sampled else bearable) and self.whole is None


@dataclass(frozen=True)
class Job:
    """What is to be compiled: these rules, as one shard that takes the place of `replaced`."""

    kind: Kind
    rules: Sequence[CompiledRule]
    replaced: Sequence[Shard] = ()
    also_whole: bool = False
    """Compile the whole expressions beside the segments."""
    sample: Sequence[bytes] = ()
    """Messages in which segments should be rare."""


@dataclass(frozen=True)
class Built:
    """What came of a job.

    `shard` has those of the job's rules that could be compiled, under their numbers in the job; `unfit` are
    the others: without a segment, or refused by Hyperscan.
    """

    job: Job
    shard: Shard | None
    unfit: Sequence[CompiledRule]


def next_job(
    fresh: Sequence[CompiledRule], shards: Sequence[Shard], kind: Kind, sample: Sequence[bytes]
) -> Job | None:
    """What to compile now: the rules that are in no shard, together with the smaller shards.

    A shard is taken in if it is at most twice as large as what it comes to, or if most of it has gone. So a
    rule is compiled again only when the number of rules that it is compiled with has grown by a half.
    """
    if not fresh:
        return next((_better(shard, sample) for shard in shards if shard.wants_better), None)
    rules, replaced = list(fresh[: MOST_RULES[kind]]), []
    for shard in sorted(shards, key=lambda one: one.live):
        if len(rules) + shard.live > MOST_RULES[kind]:
            break
        if shard.live <= 2 * len(rules) or shard.live * 2 < len(shard):
            rules += shard.rules
            replaced.append(shard)
    also_whole = any(shard.gate is not None and shard.whole is not None for shard in replaced)
    return Job(kind, rules, replaced, also_whole, sample if any(one.sampled for one in replaced) else ())


def _better(shard: Shard, sample: Sequence[bytes]) -> Job:
    return Job(Kind.SEGMENTS, shard.rules, [shard], also_whole=shard.sampled, sample=sample)
