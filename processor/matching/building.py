"""Shards are compiled beside the loop, on a thread of its own that mostly waits for a child process."""

from __future__ import annotations

import queue
import threading
from collections.abc import Mapping, Sequence
from typing import Protocol

from processor.matching.engine import RuleSet
from processor.matching.shards import Built, Gate, Job, Kind, Shard, Whole
from processor.rules.schema import TriggerRule


class Compiler(Protocol):
    """Compiles expressions for Hyperscan; see patterns/compiling.py."""

    def segments(self, sources: Sequence[str], sample: Sequence[bytes], /) -> tuple[Gate, frozenset[int]]:
        """What finds segments of them, such as are rare in the sample; and which of them have none."""
        ...

    def wholes(self, sources: Sequence[str], numbers: Sequence[int], /) -> tuple[Whole, frozenset[int]]:
        """What finds them whole, as the numbers given, and the numbers of those that it can't find."""
        ...


def build(job: Job, compiler: Compiler) -> Built:
    """Do the job. Blocks for as long as compiling takes."""
    sources = [rule.regex for rule in job.rules]
    numbers = range(len(sources))
    gate: Gate | None = None
    whole: Whole | None = None
    unfit: frozenset[int] = frozenset()
    uncovered: frozenset[int] = frozenset()
    if job.kind is Kind.SEGMENTS:
        gate, unfit = compiler.segments(sources, job.sample)
    if job.kind is Kind.WHOLE:
        whole, unfit = compiler.wholes(sources, numbers)
    elif job.also_whole:
        fit = [number for number in numbers if number not in unfit]
        whole, uncovered = compiler.wholes([sources[number] for number in fit], fit)
    if len(unfit) == len(sources):
        return Built(job, None, job.rules)
    rules = [None if number in unfit else rule for number, rule in enumerate(job.rules)]
    shard = Shard(rules, gate, whole, uncovered, sampled=bool(job.sample))
    return Built(job, shard, [job.rules[number] for number in sorted(unfit)])


class _Here:
    """A builder that has done its job when submit() returns."""

    def __init__(self, compiler: Compiler) -> None:
        self._compiler = compiler
        self._built: Built | None = None

    def submit(self, job: Job) -> None:
        self._built = build(job, self._compiler)

    def finished(self) -> Built | None:
        return self._built


def compiled(rules: Mapping[int, TriggerRule], compiler: Compiler) -> RuleSet:
    """A rule set in which all is compiled that can be, for tools. Blocks, for 0.5 ms a rule with a regex."""
    rule_set = RuleSet(rules, builder=_Here(compiler))
    while rule_set.waiting:
        rule_set.tend()
    return rule_set


class ShardBuilder:
    """The engine's builder: one job at a time, on one thread."""

    def __init__(self, compiler: Compiler) -> None:
        self._compiler = compiler
        self._jobs: queue.SimpleQueue[Job | None] = queue.SimpleQueue()
        self._built: queue.SimpleQueue[Built] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="shards", daemon=True)

    def start(self) -> None:
        """Begin to work; returns at once."""
        self._thread.start()

    def stop(self) -> None:
        """Do nothing more; doesn't wait for the job that is being done."""
        self._jobs.put(None)

    def submit(self, job: Job) -> None:
        """As engine.Builder says."""
        self._jobs.put(job)

    def finished(self) -> Built | None:
        """As engine.Builder says."""
        try:
            return self._built.get_nowait()
        except queue.Empty:
            return None

    def _run(self) -> None:
        while (job := self._jobs.get()) is not None:
            self._built.put(build(job, self._compiler))
