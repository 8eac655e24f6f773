"""Shards are compiled beside the loop, on a thread of its own that mostly waits for a child process."""

from __future__ import annotations

import logging
import queue
import threading
from collections.abc import Mapping, Sequence
from typing import Protocol

from processor.matching.engine import RuleSet
from processor.matching.shards import Built, Gate, Job, Kind, Shard, Whole
from processor.patterns import Compiler, CompilerClosedError, DatabaseError, PatternError
from processor.patterns.sets import SetCompiler as PatternSetCompiler
from processor.rules.schema import TriggerRule

log = logging.getLogger(__name__)


class SetCompiler(Protocol):
    """Compiles expressions in Go's syntax: patterns.sets.SetCompiler."""

    def segments(
        self, sources: Sequence[str], sample: Sequence[bytes], /
    ) -> tuple[Gate | None, frozenset[int]]:
        """What finds segments of them, such as are rare in the sample; and which of them have none."""
        ...

    def wholes(self, sources: Sequence[str], numbers: Sequence[int], /) -> Whole:
        """What finds them whole, as the numbers given."""
        ...


def build(job: Job, compiler: SetCompiler) -> Built:
    """Do the job. Blocks for as long as compiling takes."""
    sources = [rule.regex for rule in job.rules]
    numbers = range(len(sources))
    if job.kind is Kind.WHOLE:
        return Built(job, Shard(job.rules, None, compiler.wholes(sources, numbers)), ())
    gate, unfit = compiler.segments(sources, job.sample)
    if gate is None:
        return Built(job, None, job.rules)
    fit = [number for number in numbers if number not in unfit]
    whole = compiler.wholes([sources[number] for number in fit], fit) if job.also_whole else None
    rules = [None if number in unfit else rule for number, rule in enumerate(job.rules)]
    shard = Shard(rules, gate, whole, sampled=bool(job.sample))
    return Built(job, shard, [job.rules[number] for number in sorted(unfit)])


class BuilderHere:
    """The engine's builder: it has done its job when submit() returns. For tools and tests."""

    def __init__(self, compiler: SetCompiler) -> None:
        self._compiler = compiler
        self._built: Built | None = None

    def submit(self, job: Job) -> None:
        """As engine.Builder says."""
        self._built = build(job, self._compiler)

    def finished(self) -> Built | None:
        """As engine.Builder says."""
        built, self._built = self._built, None
        return built


def compiled(rules: Mapping[int, TriggerRule]) -> RuleSet:
    """A rule set in which all is compiled that can be, for tools. Blocks, for 0.5 ms a rule with a regex."""
    with Compiler() as compiler:
        rule_set = RuleSet(rules, builder=BuilderHere(PatternSetCompiler(compiler)))
        while rule_set.waiting:
            rule_set.tend()
    return rule_set


class ShardBuilder:
    """The engine's builder: one job at a time, on one thread."""

    def __init__(self, compiler: SetCompiler) -> None:
        self._compiler = compiler
        self._jobs: queue.SimpleQueue[Job | None] = queue.SimpleQueue()
        self._built: queue.SimpleQueue[Built] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="shards", daemon=True)

    def start(self) -> None:
        """Begin to work; returns at once."""
        self._thread.start()

    def stop(self) -> None:
        """Do nothing more; the job that is being done ends with its compiler."""
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
            try:
                self._built.put(build(job, self._compiler))
            except CompilerClosedError:
                return  # at a stop
            except (DatabaseError, PatternError, OSError) as failure:
                # They fire all the same, at the price of a search each.
                log.error(
                    "rules could not be compiled together",
                    extra={"fields": {"rules": len(job.rules), "error": str(failure)}},
                )
                self._built.put(Built(job, None, job.rules))
