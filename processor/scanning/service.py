"""The scanner as a service: makes the parts of the loop from the settings and owns its thread."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import threading
import time
from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack
from datetime import UTC, datetime, timedelta
from typing import Final

from processor import __version__
from processor.kafka.cluster import Cluster
from processor.kafka.config import client_config
from processor.kafka.errors import FatalKafkaError
from processor.kafka.readiness import largest_record, wait_for_topics
from processor.kafka.records import OutRecord
from processor.kafka.stream import RecordStream
from processor.lifecycle import Deadline
from processor.observability.health import Health
from processor.observability.metrics import Metrics
from processor.patterns import Compiler
from processor.patterns.sets import SetCompiler
from processor.scanning.cooldown import Cooldowns
from processor.scanning.engine import Engine, Now
from processor.scanning.finder import Finder
from processor.scanning.intake import Intake
from processor.scanning.ledger import Ledger, Totals
from processor.scanning.live import LiveScanRules
from processor.scanning.loop import REPORT, Parts, ScannerLoop
from processor.scanning.report import ScannerReport
from processor.scanning.reporting import (
    Named,
    Refused,
    copied,
    farewell,
    report_record,
    rule_counts,
    source_states,
    workload_states,
)
from processor.scanning.rule import ScanRule
from processor.scanning.sources.once import OneFile
from processor.scanning.sources.opening import open_sources
from processor.scanning.sources.pods import Asked, api_server
from processor.scanning.state import Saved, encode, load, save
from processor.settings import Settings

log = logging.getLogger(__name__)

ROLE: Final = "scanner"

HEADROOM: Final = 2_048
"""Bytes left of the event topic's limit for a batch's framing."""

MAX_AGE: Final = 60.0
"""Seconds the event loop may go without a turn."""

WAITS_TOO_LONG: Final = 10.0
"""Seconds after which events that no broker acknowledges make the scanner not ready."""


class Scanner:
    """Runs the event loop on a thread of its own; one per machine."""

    def __init__(
        self, settings: Settings, metrics: Metrics, health: Health, one_file: OneFile | None = None
    ) -> None:
        """`one_file`: read this to its end instead of the settings' sources, keep no positions, and end the
        process then. Opens no connection yet.
        """
        self._settings = settings
        self._metrics = metrics
        self._one_file = one_file
        self._rules = LiveScanRules(settings, ROLE)
        self._beat = health.heartbeat(f"{ROLE}.loop", MAX_AGE)
        self._broker = health.condition(f"{ROLE}.broker", "no connection to a broker yet")
        self._table = health.condition(f"{ROLE}.table", "the scan rules have not been read to their end yet")
        self._state = health.condition(f"{ROLE}.state", "positions have not been read yet")
        health.ask(f"{ROLE}.sources", self._trouble)
        health.ask(f"{ROLE}.events", self._waiting)
        self._named: Named = ()
        self._ledger = Ledger({}, Cooldowns(), Totals())
        self._intake: Intake | None = None
        self._started_ms = int(time.time() * 1_000)
        self._before = copied(self._ledger.totals)
        self._refused = Refused()
        self._stop = threading.Event()
        self._deadline = Deadline(timedelta(seconds=5))
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stopped: asyncio.Event | None = None
        self._thread = threading.Thread(target=self._run, name=ROLE, daemon=True)
        self._failed: BaseException | None = None
        metrics.scanner_tails.set_function(lambda: sum(len(source.tails) for _, source in self._named))
        metrics.scanner_lag.set_function(self._lag)

    @property
    def name(self) -> str:
        """For logs."""
        return ROLE

    @property
    def failed(self) -> BaseException | None:
        """Why it ended by itself, if it did."""
        return self._failed or self._rules.failed

    def start(self) -> None:
        """Start working; returns at once, and waits for the broker in its own thread."""
        self._rules.start()
        self._thread.start()

    def stop(self, deadline: Deadline) -> None:
        """Stop reading, wait for acknowledgements, save the positions; by the deadline."""
        self._deadline = deadline
        self._stop.set()
        loop, stopped = self._loop, self._stopped
        if loop is not None and stopped is not None and not loop.is_closed():
            loop.call_soon_threadsafe(stopped.set)
        if self._thread.ident is not None:
            self._thread.join(max(0.0, deadline.remaining()))
        self._rules.stop(1.0)
        if self._thread.is_alive():
            raise TimeoutError("the scanner did not drain in time")

    def status(self) -> Mapping[str, object]:
        """For /status."""
        _, next_offset, reason = self._rules.state()
        return {
            "scanner": {
                "node": self._settings.scanner.node_name,
                "rules": {"next_offset": next_offset, "waiting_for": reason},
                "sources": [
                    {"name": name, "tails": len(source.tails), "trouble": source.trouble or None}
                    for name, source in self._named
                ],
                "lines": self._intake.lines if self._intake else 0,
                "events_waiting": self._intake.on_their_way if self._intake else 0,
            }
        }

    def _run(self) -> None:
        try:
            self._work()
        except BaseException as failure:  # noqa: BLE001 - reported by lifecycle, which ends the process
            self._failed = failure

    def _work(self) -> None:
        settings = self._settings
        cluster = Cluster(settings.kafka, settings.topics.name("scanner-admin"))
        now = int(time.time())
        if self._one_file is not None:
            saved = Saved(now, True, {}, Cooldowns(), Totals())
        else:
            saved = load(settings.scanner.state_directory, now)
        self._state.met()
        if not wait_for_topics(settings, ROLE, cluster, self._stop, self._broker.failed):
            return
        self._broker.met()
        limit = largest_record([settings.scanner.event_topic], cluster, HEADROOM)
        stream = RecordStream(client_config(settings.kafka, settings.topics.name(ROLE)), limit)
        stream.start()
        compiler = Compiler()
        try:
            asyncio.run(self._main(saved, stream, limit, compiler))
        finally:
            compiler.close()
            stream.stop(min(1.0, self._deadline.remaining()))

    async def _main(self, saved: Saved, stream: RecordStream, limit: int, compiler: Compiler) -> None:
        scanner = self._settings.scanner
        stopped = self._stopped = asyncio.Event()
        self._loop = asyncio.get_running_loop()
        if self._stop.is_set():
            return
        async with AsyncExitStack() as stack:
            server = api_server() if "cri" in scanner.sources and self._one_file is None else None
            if server is not None:
                await stack.enter_async_context(server)
            ask = server.about if server is not None else None
            loop = await self._scanning(saved, stream, limit, compiler, ask)
            ended = await loop.run(stopped, self._until)
        if self._one_file is not None and self._ledger.waits():
            raise FatalKafkaError("the end came before all events were acknowledged; run it again")
        if ended and not self._stop.is_set():
            log.info("all of it is read")
            os.kill(os.getpid(), signal.SIGTERM)

    async def _scanning(
        self, saved: Saved, stream: RecordStream, limit: int, compiler: Compiler, ask: Asked | None
    ) -> ScannerLoop:
        settings, scanner = self._settings, self._settings.scanner
        ledger = Ledger(saved.positions, saved.cooldowns, saved.totals)
        self._before = copied(ledger.totals)
        finder = Finder()
        # Judged lines are ahead of those that are done with, so the engine has cooldowns of its own.
        live = Cooldowns.from_json(ledger.cooldowns.as_json())
        engine = Engine(finder, scanner.node_name, scanner.bucket_rate, scanner.bucket_burst, live)
        intake = Intake(
            engine,
            ledger,
            stream,
            topic=scanner.event_topic,
            limit=limit,
            metrics=self._metrics,
            now=_now,
        )
        named: Named = [("file", self._one_file)] if self._one_file else open_sources(scanner, saved, ask)
        self._named, self._ledger, self._intake = named, ledger, intake

        def write(record: OutRecord) -> None:
            stream.write(record, _ignored)

        def encoded() -> bytes:
            return encode(saved.begun, ledger.positions, ledger.cooldowns, ledger.totals)

        if self._one_file is None:
            await asyncio.to_thread(save, scanner.state_directory, encoded())
        parts = Parts(
            sources=[source for _, source in named],
            engine=engine,
            finder=finder,
            ledger=ledger,
            compiler=SetCompiler(compiler),
            rules=self._current_rules,
            encode=encoded,
            save=None
            if self._one_file is not None
            else lambda content: save(scanner.state_directory, content),
            write=write,
            report=lambda: report_record(settings.topics.scanner_status, self.report()),
            farewell=lambda: farewell(settings.topics.scanner_status, scanner.node_name),
            beat=self._beat,
            state=self._state,
            table=self._table,
            failed=lambda: stream.failed,
        )
        return ScannerLoop(parts, intake)

    def _until(self) -> Deadline:
        """By when to finish: what was said at the stop, or as much time from now."""
        return self._deadline if self._stop.is_set() else Deadline(self._settings.process.shutdown_timeout)

    def report(self) -> ScannerReport:
        """What it says of itself now."""
        lag, now_ms = self._lag(), int(time.time() * 1_000)
        return ScannerReport(
            node=self._settings.scanner.node_name,
            version=__version__,
            started_at_ms=self._started_ms,
            reported_at_ms=now_ms,
            interval_ms=int(REPORT * 1_000),
            rules_offset=max(0, self._rules.state()[1]),
            lines=self._intake.lines if self._intake else 0,
            cut_lines=self._intake.cut_lines if self._intake else 0,
            lost_bytes=self._intake.lost_bytes if self._intake else 0,
            lag_ms=int(lag * 1_000) if lag else None,
            sources=source_states(self._named),
            workloads=workload_states(self._named),
            rules=rule_counts(self._ledger.totals, self._before),
            errors=self._refused.errors(self._rules.snapshot().invalid.values(), now_ms),
        )

    def _current_rules(self) -> tuple[int, Sequence[ScanRule]] | None:
        if self._rules.state()[2] is not None:
            return None
        snapshot = self._rules.snapshot()
        return snapshot.version, tuple(snapshot.rules.values())

    def _lag(self) -> float:
        oldest = self._ledger.oldest()
        return 0.0 if oldest is None else max(0.0, time.monotonic() - oldest)

    def _trouble(self) -> str | None:
        if not self._named:
            return "the sources are not open yet"
        return next((f"{name}: {source.trouble}" for name, source in self._named if source.trouble), None)

    def _waiting(self) -> str | None:
        lag = self._lag()
        return f"events have waited for the broker for {lag:.0f} s" if lag > WAITS_TOO_LONG else None


def _now() -> Now:
    now = datetime.now(UTC)
    return Now(now.isoformat(timespec="milliseconds").replace("+00:00", "Z"), int(now.timestamp() * 1_000))


def _ignored(error: str | None) -> None:
    if error is not None:
        log.warning("the report could not be written", extra={"fields": {"error": error}})
