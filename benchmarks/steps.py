"""`make profile`: where the matcher's time goes for one event, step by step.

In this process, on generated events, with the matcher's own parts in the order of its loop; fetching and
producing go to a broker of its own unless `--no-kafka`. Each step is timed over a whole batch, so that the
clock itself costs nothing. Wall time includes waiting for the broker and for whoever else uses the cores; CPU
is that of the loop's thread alone, and the client's own threads have a row of their own.
"""

import argparse
import cProfile
import pstats
import sys
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import groupby

from benchmarks import workload
from benchmarks.ground import PARTITIONS, Ground, Installation
from benchmarks.matcher import TARGET
from processor.events import Event, EventDecoder, EventFields
from processor.kafka.config import client_config
from processor.kafka.consumer import GroupConsumer
from processor.kafka.records import Commit, InRecord, Position, position_of
from processor.kafka.starting import metadata_for
from processor.kafka.table import EndOffset
from processor.kafka.transaction import TransactionalProducer
from processor.matching.batch import Batch
from processor.matching.building import compiled
from processor.matching.judge import Judge, Seen, Version
from processor.rules import TriggerRule

FETCH, LINGER = 4_000, 0.002
RUN = 1_000
"""Records of one partition that come together, as they do from a broker with a backlog."""
TOPIC_ID = "A" * 22


@dataclass(slots=True)
class Timer:
    """Adds up seconds by step: wall and this thread's CPU."""

    spent: dict[str, list[float]] = field(default_factory=dict)

    @contextmanager
    def step(self, name: str) -> Iterator[None]:
        wall, cpu = time.perf_counter(), time.thread_time()
        yield
        total = self.spent.setdefault(name, [0.0, 0.0])
        total[0] += time.perf_counter() - wall
        total[1] += time.thread_time() - cpu


@dataclass(frozen=True, slots=True)
class Given:
    """An event record as the client would give it."""

    number: int
    body: bytes

    def topic(self) -> str:
        return "event-log"

    def partition(self) -> int:
        return self.number // RUN % PARTITIONS

    def offset(self) -> int:
        return self.number

    def key(self) -> bytes | None:
        return None

    def value(self) -> bytes:
        return self.body

    def headers(self) -> list[tuple[str, str | bytes | None]] | None:
        return None

    def timestamp(self) -> tuple[int, int]:
        return 1, 0


class Steps:
    """What Judging does over batches of records; `jobs` are what it made of the last one."""

    def __init__(self, timer: Timer, rules: Mapping[int, TriggerRule]) -> None:
        self._timer = timer
        self._decoder = EventDecoder(EventFields())
        self._judge = Judge(self._decoder, "webhook-jobs", "events.dead")
        self._ruleset = compiled(rules)
        self.events = 0
        self.jobs = 0

    def judge(self, records: Sequence[InRecord]) -> Batch:
        """The steps for each run of one partition, one after the other."""
        batch = Batch()
        with self._timer.step("runs of one partition"):
            runs = [(position, list(run)) for position, run in groupby(records, position_of)]
        for position, run in runs:
            self._judge_run(batch, position, run)
        self.events += len(records)
        self.jobs += len(batch.records)
        return batch

    def _judge_run(self, batch: Batch, position: Position, run: Sequence[InRecord]) -> None:
        timer, now, now_ms = self._timer, time.monotonic(), time.time_ns() // 1_000_000
        version = Version(self._ruleset, TOPIC_ID, 1)
        with timer.step("values"):
            values = [record.value() for record in run]
        with timer.step("decode"):
            texts = self._decoder.texts_of(values)
        assert texts is not None
        with timer.step("match"):
            fired = list(self._ruleset.among(texts, values))
        with timer.step("build jobs"):
            made = []
            for place, rules in fired:
                text = texts[place]
                event = Event(text.severity, text.source, text.message, values[place] or b"", False, 0)
                seen, record = Seen(event, rules), run[place]
                made.append((record, self._judge.judge(seen, record, position, TOPIC_ID, version, now_ms)))
        with timer.step("add to the batch"):
            for record, judged in made:
                batch.add(record, judged.records, "matched", now)
            batch.outcomes["unmatched"] += len(run) - len(made)
            batch.advance(position, (run[-1].offset() or 0) + 1, now)


class _FromTheStart:
    """A group's listener that reads everything."""

    def assigned(self, positions: list[Position]) -> Mapping[Position, int]:
        return dict.fromkeys(positions, 0)

    def revoked(self, positions: list[Position]) -> Iterable[Position]:
        return positions

    def lost(self, positions: list[Position]) -> Iterable[Position]:
        return positions

    def out_of_range(self, position: Position) -> int:
        raise LookupError(f"{position} lost its records")


def _on_kafka(installation: Installation, topic: str, count: int, steps: Steps, timer: Timer) -> None:
    settings = installation.settings
    config = client_config(settings.kafka, "bench-steps")
    consumer = GroupConsumer(config, settings.topics.group("steps"), None, _FromTheStart())
    producer = TransactionalProducer(config, settings.topics.name("steps"))
    end = EndOffset(config, settings.topics.rules)
    producer.prepare(30)
    consumer.subscribe([topic])
    held: list[InRecord] = list(_first(consumer))
    process, began = time.process_time(), time.thread_time()
    while steps.events < count:
        with timer.step("ask for the rules' end offset (once a batch)"):
            end.ask(5.0)
        batch = steps.judge(held)
        commits = {p: Commit(n, metadata_for(TOPIC_ID)) for p, n in batch.next_offsets.items()}
        with timer.step("produce and commit (once a batch here)"):
            jobs = [record._replace(topic=installation.jobs) for record in batch.records]
            producer.write(jobs, commits, consumer.group_metadata())
        if steps.events < count:
            with timer.step("fetch"):
                held = list(consumer.fetch_soon(FETCH, 5.0, LINGER).records)
    mine = time.thread_time() - began
    timer.spent["the client's own threads"] = [0.0, time.process_time() - process - mine]
    consumer.close()
    end.close()


def _first(consumer: GroupConsumer) -> Sequence[InRecord]:
    until = time.monotonic() + 30
    while time.monotonic() < until:
        if records := consumer.fetch_soon(FETCH, 1.0, LINGER).records:
            return records
    raise RuntimeError("no events came")


def _profiled(values: Sequence[bytes], rules: Mapping[int, TriggerRule]) -> None:
    """cProfile of the judging: which functions, in the order of their own time."""
    steps = Steps(Timer(), rules)
    records = [Given(n, value) for n, value in enumerate(values)]
    profile = cProfile.Profile()
    profile.enable()
    for start in range(0, len(records), FETCH):
        steps.judge(records[start : start + FETCH])
    profile.disable()
    pstats.Stats(profile, stream=sys.stdout).sort_stats("tottime").print_stats(20)


def _show(steps: Steps, timer: Timer, about: str) -> None:
    print(f"{about}: {steps.events:,} events, {steps.jobs:,} jobs; microseconds per event\n")
    print("| step | wall | CPU | share of CPU |\n| --- | ---: | ---: | ---: |")
    total = [sum(spent[n] for spent in timer.spent.values()) for n in (0, 1)]
    for name, (wall, cpu) in [*timer.spent.items(), ("all", (total[0], total[1]))]:
        each = [seconds / steps.events * 1e6 for seconds in (wall, cpu)]
        print(f"| {name} | {each[0]:.2f} | {each[1]:.2f} | {cpu / total[1] * 100:.0f} % |")


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.steps", description=__doc__)
    parser.add_argument("--rules", type=int, default=100, help="a power of ten up to 10,000")
    parser.add_argument("--hits", type=int, default=1, help="percent of the events that fire a rule")
    parser.add_argument("--lists", choices=["open", "listed"], default="open")
    parser.add_argument("--events", type=int, default=50_000)
    parser.add_argument("--no-kafka", action="store_true", help="without fetching and producing")
    parser.add_argument("--cprofile", action="store_true", help="the judge's functions, too")
    options = parser.parse_args()
    drafts = [workload.rule(n, options.rules, options.lists, TARGET) for n in range(options.rules)]
    rules = {n + 1: TriggerRule.model_validate({**draft, "id": n + 1}) for n, draft in enumerate(drafts)}
    values = list(workload.events(options.events, options.hits))
    timer = Timer()
    steps = Steps(timer, rules)
    if options.no_kafka:
        for start in range(0, len(values), FETCH):
            portion = values[start : start + FETCH]
            steps.judge([Given(start + n, value) for n, value in enumerate(portion)])
    else:
        with Ground() as ground:
            installation = ground.installation("steps")
            installation.prepare([])
            topic = ground.topic("steps-events")
            ground.fill(topic, values)
            _on_kafka(installation, topic, options.events, steps, timer)
    _show(steps, timer, f"{options.rules:,} rules ({options.lists}), {options.hits} % hits")
    if options.cprofile:
        _profiled(values, rules)


if __name__ == "__main__":
    main()
