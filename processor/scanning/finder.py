"""Which patterns of many each line of a portion holds.

All patterns of the rule table are compiled together, whatever workloads they are for: what is looked for
costs next to nothing, and so one set serves every workload. One segment of each pattern is looked for in all
lines of a portion at once (patterns/gate.py); google-re2 confirms. A pattern that has just come is asked by
itself until the set is compiled anew, elsewhere.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import deque
from collections.abc import Collection, Iterable, Mapping, Sequence
from itertools import accumulate
from typing import Final, NamedTuple, Protocol

from processor.patterns import Confirmers, compile_pattern
from processor.patterns.gate import TooMany
from processor.patterns.segments import KELVIN, LONG_S

MOST_FOUND: Final = 8
"""Segments per line that are told one by one."""

FEW: Final = 4
"""Candidates in a line that are confirmed one by one even where whole expressions could narrow them."""

SAMPLE: Final = 256
LONGEST_SAMPLE: Final = 1_024
"""Lines that were searched in vain are remembered for better segments: so many, of so many bytes each."""

WASTE: Final = 5_000
WASTE_PER_PATTERN: Final = 20
"""So many searches in vain are worth compiling anew."""


class Gate(Protocol):
    """What finds segments: patterns.gate.Gate."""

    def scan(self, text: bytes, /) -> Sequence[tuple[int, ...]]: ...
    def scan_joined(self, texts: bytes, most: int, /) -> Sequence[tuple[int, tuple[int, ...]]]: ...


class Whole(Protocol):
    """What finds whole expressions: patterns.sets.PatternSet."""

    def scan(self, text: bytes, /) -> Sequence[int]: ...


class SetCompiler(Protocol):
    """Compiles expressions in Go's syntax: patterns.sets.SetCompiler."""

    def segments(
        self, sources: Sequence[str], sample: Sequence[bytes], /
    ) -> tuple[Gate | None, frozenset[int]]: ...
    def wholes(self, sources: Sequence[str], numbers: Sequence[int], /) -> Whole: ...


class Job(NamedTuple):
    """What to compile. sample: lines in which segments should be rare; then whole expressions are compiled
    too.
    """

    sources: tuple[str, ...]
    sample: tuple[bytes, ...] = ()


class Compiled(NamedTuple):
    """A set of patterns, by their number in it. unfit: those in no gate, which `others` finds. whole: finds
    those that are in it, if there are too many candidates.
    """

    job: Job
    gate: Gate | None = None
    unfit: frozenset[int] = frozenset()
    others: Whole | None = None
    whole: Whole | None = None


def build(job: Job, compiler: SetCompiler) -> Compiled:
    """Do the job. Blocks, for 0.5 ms a pattern and more where there are whole expressions."""
    sources = job.sources
    gate, unfit = compiler.segments(sources, job.sample)
    rest = sorted(unfit)
    others = compiler.wholes([sources[number] for number in rest], rest) if rest else None
    fit = [number for number in range(len(sources)) if number not in unfit]
    whole = compiler.wholes([sources[number] for number in fit], fit) if job.sample and fit else None
    return Compiled(job, gate, unfit, others, whole)


Wanted = Mapping[str, object]
"""Patterns that somebody asks for."""

Found = list[tuple[int, list[str]]]
"""By their place, in order, the lines that hold any, and which."""


class Finder:
    """One thread uses it."""

    def __init__(self) -> None:
        self._sources: tuple[str, ...] = ()
        self._known: Mapping[str, int] = {}
        self._compiled = Compiled(Job(()))
        self._search = Confirmers().search
        self._alone = 0
        self._stale = False
        self._wasted = 0
        self._sample: deque[bytes] = deque(maxlen=SAMPLE)
        self._others_for: tuple[Wanted, bool] = ({}, False)

    def keep(self, sources: Iterable[str]) -> None:
        """From now on these patterns (known to be accepted) are looked for, at once."""
        self._sources = tuple(dict.fromkeys(sources))
        self._compare()

    @property
    def alone(self) -> int:
        """How many are asked one by one at the moment."""
        return self._alone

    def next_job(self) -> Job | None:
        """What is to be compiled now, None if nothing."""
        current = self._compiled.job
        if self._stale:
            return Job(self._sources)
        if self._wasted > WASTE + WASTE_PER_PATTERN * len(self._sources) and not current.sample:
            return Job(self._sources, tuple(self._sample))
        return None

    def install(self, compiled: Compiled) -> None:
        """Use what has been built."""
        self._compiled = compiled
        self._known = {source: number for number, source in enumerate(compiled.job.sources)}
        self._wasted = 0
        self._others_for = ({}, False)
        self._compare()

    def _compare(self) -> None:
        self._alone = sum(source not in self._known for source in self._sources)
        self._stale = self._alone > 0 or len(self._sources) != len(self._known)

    def among(self, texts: Sequence[bytes], wanted: Wanted) -> Found:
        """Which of the `wanted` patterns each text (valid UTF-8) holds. Linear in the texts."""
        candidates = self._candidates(texts, wanted)
        alone = [compile_pattern(source) for source in wanted if source not in self._known]
        found: Found = []
        for place in range(len(texts)) if alone else sorted(candidates):
            text = texts[place]
            held = self._confirmed(text, candidates.get(place, ()))
            held += [pattern.source for pattern in alone if self._search(pattern, text)]
            if held:
                found.append((place, held))
        return found

    def _candidates(self, texts: Sequence[bytes], wanted: Wanted) -> Mapping[int, Collection[str]]:
        compiled, sources = self._compiled, self._compiled.job.sources
        candidates: dict[int, set[str]] = {}
        if compiled.gate is not None:
            for place, members in self._segments(compiled.gate, texts):
                mine = [sources[number] for number in members if sources[number] in wanted]
                if mine:
                    candidates.setdefault(place, set()).update(mine)
        if compiled.others is not None and self._asks_others(wanted):
            for place, text in enumerate(texts):
                mine = [sources[at] for at in compiled.others.scan(text) if sources[at] in wanted]
                if mine:
                    candidates.setdefault(place, set()).update(mine)
        return candidates

    def _segments(self, gate: Gate, texts: Sequence[bytes]) -> Iterable[tuple[int, tuple[int, ...]]]:
        joined = b"\0".join(texts)
        if not joined.isascii() and _folds(joined):
            texts = [_folded(text) for text in texts]
            joined = b"\0".join(texts)
        try:
            told = gate.scan_joined(joined, MOST_FOUND * len(texts))
        except TooMany:
            return [(place, members) for place, text in enumerate(texts) for members in gate.scan(text)]
        if not told:
            return ()
        ends = list(accumulate(len(text) + 1 for text in texts))
        return [(bisect_right(ends, end), members) for end, members in told]

    def _asks_others(self, wanted: Wanted) -> bool:
        """Whether any of them is in no gate; the answer for the last one is remembered."""
        if self._others_for[0] is not wanted:
            sources = self._compiled.job.sources
            self._others_for = wanted, any(sources[at] in wanted for at in self._compiled.unfit)
        return self._others_for[1]

    def _confirmed(self, text: bytes, candidates: Collection[str]) -> list[str]:
        if not candidates:
            return []
        whole = self._compiled.whole
        chosen = candidates
        if whole is not None and len(candidates) > FEW:
            sources, unfit = self._compiled.job.sources, self._compiled.unfit
            within = {sources[number] for number in whole.scan(text)}
            others = {sources[number] for number in unfit}
            chosen = [source for source in candidates if source in within or source in others]
        search = self._search
        held = [source for source in chosen if search(compile_pattern(source), text)]
        if len(held) < len(chosen):
            self._wasted += len(chosen) - len(held)
            if len(text) <= LONGEST_SAMPLE:
                self._sample.append(text)
        return held


_LONG_S: Final = LONG_S.encode()
_KELVIN: Final = KELVIN.encode()


def _folds(text: bytes) -> bool:
    return _LONG_S in text or _KELVIN in text


def _folded(text: bytes) -> bytes:
    """As patterns.segments.folded() has it."""
    return text.replace(_LONG_S, b"s").replace(_KELVIN, b"k")
