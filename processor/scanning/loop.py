"""The scanner's event loop: sources, rules, compiling, saving and reporting, side by side."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

from processor.kafka.errors import KafkaFailure
from processor.kafka.records import OutRecord
from processor.lifecycle import Deadline
from processor.observability.health import Condition, Heartbeat
from processor.patterns import CompilerClosedError, DatabaseError, PatternError
from processor.scanning.engine import Engine
from processor.scanning.finder import Finder, Job, SetCompiler, build
from processor.scanning.intake import Intake
from processor.scanning.ledger import Ledger
from processor.scanning.lines import Source
from processor.scanning.rule import ScanRule

log = logging.getLogger(__name__)

LOOK: Final = 0.05
"""Seconds between looks at the rule table."""

SAVE: Final = 0.5
"""Seconds between saves of positions: at most so many seconds' lines are read again after a crash."""

REPORT: Final = 10.0

WARM_UP: Final = 15.0
FEW: Final = 50
"""While more rules than FEW wait to be compiled for the first time no line is read, WARM_UP seconds at most:
asked one by one they take a microsecond each, of every line.
"""


@dataclass(frozen=True)
class Parts:
    """What the loop works with.

    rules: the table's valid rules and a number that changes with them; None while it isn't whole. save:
    writes the state to disk; blocks. write: hands a record to Kafka. report: the present report. farewell:
    what takes it away. failed: why nothing can be written any more.
    """

    sources: Sequence[Source]
    engine: Engine
    finder: Finder
    ledger: Ledger
    compiler: SetCompiler
    rules: Callable[[], tuple[int, Sequence[ScanRule]] | None]
    encode: Callable[[], bytes]
    save: Callable[[bytes], None] | None
    write: Callable[[OutRecord], None]
    report: Callable[[], OutRecord]
    farewell: Callable[[], OutRecord]
    failed: Callable[[], BaseException | None]
    beat: Heartbeat
    state: Condition
    table: Condition


class ScannerLoop:
    """Made and run on one thread; stop() is for any."""

    def __init__(self, parts: Parts, intake: Intake) -> None:
        self._parts = parts
        self._intake = intake
        self._seen = -1
        self._saved = parts.ledger.version
        self._changed = asyncio.Event()

    async def run(self, stopped: asyncio.Event, deadline: Callable[[], Deadline]) -> bool:
        """Work until `stopped` is set, or all sources have ended by themselves (then True); then finish, by
        the deadline that is asked for at that time. Raises what makes it impossible to go on.
        """
        background = [
            asyncio.create_task(work, name=name)
            for name, work in (
                ("rules", self._rules()),
                ("compile", self._compile()),
                ("save", self._saving()),
                ("report", self._reporting()),
            )
        ]
        reading = asyncio.create_task(self._read(), name="sources")
        stop = asyncio.create_task(stopped.wait(), name="stop")
        everything = [*background, reading, stop]
        try:
            await asyncio.wait(everything, return_when=asyncio.FIRST_COMPLETED)
            for task in everything:
                if task.done():
                    task.result()
            ended = reading.done()
            await _cancel([reading])
            await self._finish(deadline())
        finally:
            await _cancel(everything)
        await self._save()
        return ended

    async def _read(self) -> None:
        async with asyncio.TaskGroup() as tasks:
            for source in self._parts.sources:
                tasks.create_task(source.run(self._intake))

    async def _finish(self, deadline: Deadline) -> None:
        """Wait for acknowledgements."""
        if not await self._intake.settled(deadline):
            log.warning("not all events were acknowledged in time; their lines will be read again")
        with suppress(KafkaFailure):
            self._parts.write(self._parts.farewell())

    async def _rules(self) -> None:
        parts = self._parts
        warm_by: float | None = None
        while True:
            parts.beat.beat(time.monotonic())
            if (failure := parts.failed()) is not None:
                raise failure
            now = parts.rules()
            if now is not None and now[0] != self._seen:
                self._seen = now[0]
                parts.engine.update(now[1])
                self._changed.set()
                parts.table.met()
            if self._seen != -1 and not self._intake.begun:
                warm_by = warm_by or time.monotonic() + WARM_UP
                if parts.finder.alone <= FEW or time.monotonic() > warm_by:
                    self._intake.begin()
            if parts.finder.next_job() is not None:
                self._changed.set()
            await asyncio.sleep(LOOK)

    async def _compile(self) -> None:
        failed: Job | None = None
        while True:
            await self._changed.wait()
            self._changed.clear()
            job = self._parts.finder.next_job()
            if job is None or job == failed:
                continue
            try:
                self._parts.finder.install(await asyncio.to_thread(build, job, self._parts.compiler))
            except CompilerClosedError:
                return
            except (DatabaseError, PatternError, OSError) as failure:
                # They are found all the same, at the price of a search each.
                failed = job
                log.error(
                    "scan rules could not be compiled together",
                    extra={"fields": {"rules": len(job.sources), "error": str(failure)}},
                )

    async def _saving(self) -> None:
        while True:
            await asyncio.sleep(SAVE)
            await self._save()

    async def _save(self) -> None:
        parts = self._parts
        version = parts.ledger.version
        if parts.save is None or version == self._saved:
            return
        try:
            await asyncio.to_thread(parts.save, parts.encode())
        except OSError as failure:
            parts.state.failed(f"positions can't be saved: {failure.strerror}")
            log.error("positions can't be saved", extra={"fields": {"error": str(failure)}})
            return
        self._saved = version
        parts.state.met()

    async def _reporting(self) -> None:
        # The first one says what the rules are, unless they can't be had.
        with suppress(TimeoutError):
            async with asyncio.timeout(REPORT):
                while self._seen == -1:  # noqa: ASYNC110  (as _rules() looks)
                    await asyncio.sleep(LOOK)
        while True:
            self._parts.write(self._parts.report())
            await asyncio.sleep(REPORT)


async def _cancel(tasks: Sequence[asyncio.Task[object]]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
