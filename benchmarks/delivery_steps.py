"""`python -m benchmarks.delivery_steps`: where the sender's time goes for one delivery, step by step.

In this process, on generated jobs, with the sender's own parts in the order of its loop, and with its HTTP
side against receivers in a process of their own. Each step is timed over a batch. Kafka is left out: fetching
and the transactions' own thread are what `make bench` measures and this doesn't. CPU is that of one thread.
"""

import asyncio
import logging
import socket
import sys
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import uvloop

from benchmarks import webhooks, workload
from benchmarks.ground import ROOT
from benchmarks.steps import Timer
from processor.delivery.admission import Admission
from processor.delivery.circuit import CircuitPolicy
from processor.delivery.circuits import Circuits
from processor.delivery.clerk import Clerk, Policy
from processor.delivery.clock import steady_ms, wall_ms
from processor.delivery.destinations import Destinations
from processor.delivery.http import Poster, WebhookRequest
from processor.delivery.lanes import JobInHand, Lane
from processor.delivery.outcome import Outcome
from processor.delivery.sending import Attempt
from processor.delivery.signing import sign
from processor.delivery.tls import tls_context
from processor.egress import EgressPolicy
from processor.jobs import EventJobs, RuleJobs
from processor.kafka.records import InRecord
from processor.observability.logging import set_up_logging
from processor.observability.metrics import Metrics
from processor.rules.references import References
from processor.rules.resolve import Resolver
from processor.rules.sealing import KeyRing
from processor.rules.table import RuleSnapshot, RuleTable
from processor.settings import SenderSettings
from tests.support.brokers import free_port
from tests.support.child import Child
from tests.support.lanes import FakeRecord, lane
from tests.support.rules import record
from tests.support.waiting import wait_until

NETWORK = "127.1.4"
DESTINATIONS = 16
BATCH = 240
BATCHES = 100
AT_ONCE = 64
TABLE = "B" * 22


class Rules:
    """A table that doesn't change."""

    def __init__(self, port: int) -> None:
        table = RuleTable()
        for number, draft in enumerate(webhooks.rules(NETWORK, port, DESTINATIONS)):
            table.apply(b"%d" % (number + 1), record(**draft), None, number)
        self._snapshot = table.snapshot()
        self.names = {rule.id: rule.name for rule in self._snapshot.rules.values()}

    def snapshot(self) -> RuleSnapshot:
        return self._snapshot

    def state(self) -> tuple[str | None, int, str | None]:
        return TABLE, DESTINATIONS, None


class Steps:
    """The sender's parts; `timer` has what each step took."""

    def __init__(self, port: int) -> None:
        self.timer = Timer()
        sender = SenderSettings()
        self._rules = Rules(port)
        self._clerk = Clerk(
            Policy({5_000: "retry.5s"}, "dead", "audit", (5_000,), 3_600_000, 1_000_000),
            self._rules,
            Resolver(KeyRing.parse([]), References({})),
            Metrics("0"),
        )
        self._admission = Admission(
            Destinations(sender.destination_concurrency, sender.max_in_flight),
            Circuits(CircuitPolicy.of(sender.circuit)),
            [5_000],
        )
        self._lane = lane()
        self._events = list(workload.events(BATCH, 100))
        self._jobs = [RuleJobs(number, "", name, 0) for number, name in self._rules.names.items()]
        self._poster = Poster(EgressPolicy([f"{NETWORK}.0/24"]), tls_context())

    async def run(self) -> int:
        """All batches; how many deliveries that were."""
        async with self._poster:
            for number in range(BATCHES):
                attempts = self._prepared(self._records(number * BATCH))
                outcomes = await self._posted([attempt.request for attempt in attempts])
                self._settled(attempts, outcomes)
        return BATCH * BATCHES

    def _records(self, first: int) -> list[InRecord]:
        now_ms = wall_ms()
        records: list[InRecord] = []
        for number in range(BATCH):
            event = EventJobs(
                topic="event-log",
                topic_id=TABLE,
                partition=0,
                offset=first + number,
                rules_topic_id=TABLE,
                rules_offset=0,
                matched_at_ms=now_ms,
            )
            key, value, headers = event.job(self._jobs[number % DESTINATIONS], self._events[number])
            records.append(FakeRecord(value, headers, key, first + number))
        return records

    def _prepared(self, records: Sequence[InRecord]) -> list[Attempt]:
        timer, clerk, admission = self.timer, self._clerk, self._admission
        at: Lane = self._lane
        now_ms, clock_ms = wall_ms(), steady_ms()
        jobs: list[JobInHand] = []
        with timer.step("loop: read the record, note its offset"):
            for record in records:
                at.watermark.take(record.offset() or 0)
                job = clerk.read(at, record)
                at.take(job)
                jobs.append(job)
        with timer.step("loop: decide by the rule, make the request"):
            for job in jobs:
                clerk.next_step(job, now_ms)
                decided = clerk.decide(job, now_ms)
                assert isinstance(decided, Attempt)
                job.request = decided.request
        with timer.step("loop: queue of the destination, circuits, rate limit"):
            for job in jobs:
                admission.enter(job, clock_ms, now_ms)
            taken = admission.turns(BATCH, clock_ms)
            for job in taken:
                admission.admit(job, clock_ms, now_ms)
        return [Attempt(job, job.request) for job in taken if job.request is not None]

    async def _posted(self, requests: Sequence[WebhookRequest]) -> list[Outcome]:
        with self.timer.step("HTTP: signature"):
            for request in requests:
                sign(request.keys, request.webhook_id, 1_795_428_000, request.body)
        slots = asyncio.Semaphore(AT_ONCE)

        async def post(request: WebhookRequest) -> Outcome:
            async with slots:
                return await self._poster.post(request)

        with self.timer.step("HTTP: all of the request, the signature included"):
            return list(await asyncio.gather(*(post(request) for request in requests)))

    def _settled(self, attempts: Sequence[Attempt], outcomes: Sequence[Outcome]) -> None:
        timer, clerk = self.timer, self._clerk
        now_ms, clock_ms = wall_ms(), steady_ms()
        with timer.step("loop: what follows, audit record, circuits, offsets"):
            entries = []
            for attempt, outcome in zip(attempts, outcomes, strict=True):
                entry = clerk.settle(attempt.job, outcome, now_ms)
                self._admission.over(attempt.job, entry.outcome, clock_ms, now_ms)
                attempt.job.lane.finish(attempt.job)
                entries.append(entry)
        with timer.step("loop: log line"):
            clerk.reports.flush()
        with timer.step("loop: counters and histograms"):
            clerk.reports.written(entries)


def main() -> None:
    port = free_port()
    logging.getLogger().handlers.clear()
    with TemporaryDirectory() as directory, (Path(directory) / "sender.log").open("w") as log:
        set_up_logging("info", "json", log)
        command = [sys.executable, "-m", "benchmarks.receiver", NETWORK, str(port), str(DESTINATIONS)]
        child = Child(command, Path(directory) / "receiver.log", cwd=ROOT)
        try:
            wait_until(lambda: _listens(port), 20, "the receivers listen")
            steps = Steps(port)
            count = uvloop.run(steps.run())
        finally:
            child.kill()
    print(f"{count:,} deliveries; microseconds per delivery\n")
    print("| step | wall | CPU |\n| --- | ---: | ---: |")
    for name, (wall, cpu) in steps.timer.spent.items():
        print(f"| {name} | {wall / count * 1e6:.1f} | {cpu / count * 1e6:.1f} |")


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        probe.settimeout(1.0)
        return probe.connect_ex((f"{NETWORK}.1", port)) == 0


if __name__ == "__main__":
    main()
