"""Reads the log of one container: through its runs, through engines that go away, to its removal.

A log that is one file is followed. What follows a log that rotates has holes (engine 20.10 leaves out what it
hadn't read of a file when the next one begins), so of such a log the last entries are asked for, whenever a
followed stream says that there are new ones. When a run ends the rest is asked for in both cases, because
the engine ends a followed stream before it has sent everything.
"""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from processor.scanning.lines import Lines, Position, Sink, Tail
from processor.scanning.sources.docker_engine import (
    Engine,
    EngineAway,
    EngineError,
    Inspected,
    NoSuchContainer,
    Unreadable,
)
from processor.scanning.sources.docker_frames import HEADER
from processor.scanning.sources.docker_lines import Log, MultiplexedLog, Portion, TerminalLog
from processor.scanning.sources.docker_position import Progress
from processor.scanning.sources.docker_stamps import STAMP, second_of

LOG = logging.getLogger(__name__)

_FIRST_WAIT: Final = 0.25
_LONGEST_WAIT: Final = 10.0
_UNREADABLE_WAIT: Final = 300.0

_LOOK_APART: Final = 0.1
"""Seconds between two looks at a log that rotates, at least."""
_FIRST_LOOK: Final = 1.0
_LAST_LOOK: Final = 60.0
"""Seconds after which it is looked at though nothing rang, in case that was lost; each time twice as long."""

_SMALLEST_WINDOW: Final = 256
_LARGEST_WINDOW: Final = 1_000_000
"""Entries that are asked for at once; from so many on it is all since the position."""

_FIRST_STAMP: Final = HEADER.size + 36


@dataclass(slots=True)
class Counts:
    """What went wrong since the start of the process."""

    reconnections: int = 0
    """The engine didn't answer, or hung up while a container went on."""
    rotated: int = 0
    """Logs whose position had been rotated away when they were read again."""
    unreadable: int = 0
    """Runs of containers whose logging driver can't be read."""


class DockerTail:
    """One container's log. `tail` may be replaced while it is read (the container was renamed)."""

    def __init__(
        self,
        container: str,
        tail: Tail,
        engine: Engine,
        begin: int,
        *,
        counts: Counts,
        places: asyncio.Semaphore,
        running: bool,
    ) -> None:
        """`places`: for the tails that ask for what there is, which is work for the engine."""
        self.tail = tail
        self.reading = False
        self._container = container
        self._engine = engine
        self._begin = begin
        self._counts = counts
        self._places = places
        self._news = asyncio.Event()
        self._settled: tuple[str, str] | None = None
        self._wait = _FIRST_WAIT
        # A container that is seen running and gone at the next look had a log.
        self._is_complete = not running
        self._position: Position | None = None
        self._log: Log | None = None
        self._window = _SMALLEST_WINDOW

    def look(self) -> None:
        """Something happened to the container: it was started, or removed."""
        self._news.set()

    async def run(self, sink: Sink) -> None:
        """Returns when the container is gone and read to its end."""
        self._position = sink.position(self.tail.key)
        while True:
            self._news.clear()
            try:
                about = await self._engine.inspect(self._container)
                await self._read(sink, about)
            except NoSuchContainer:
                break
            except Unreadable as error:
                self._say_unreadable(sink, about, error)
                await _wait(self._news, _UNREADABLE_WAIT)
            except EngineAway as error:
                LOG.info("%s is read again after a pause: %s", self.tail.workload, error)
                await self._back_off()
            except EngineError as error:
                LOG.warning("%s can't be looked at: %s", self.tail.workload, error)
                await self._back_off()
            finally:
                self.reading = False
        if not self._is_complete:
            if self._log is not None:
                await self._hand_over(sink, self._log, self._log.finish())
            sink.lost(self.tail, 0)
            LOG.info("%s was removed; whether its last lines were read is not known", self.tail.workload)
        sink.gone(self.tail)

    async def _read(self, sink: Sink, about: Inspected) -> None:
        """Reads what may be there: to the end of the run, or until something happens."""
        if about.running:
            self._is_complete = False
            await (self._watch if about.rotates else self._follow)(sink, about)
            now = await self._engine.inspect(self._container)
            if now.running and now.run == about.run:  # a polite engine, about to leave
                await self._back_off()
        elif self._has_news(about):
            self._is_complete = False
            log = self._begin_log(about)
            async with self._places:
                await self._take_all(sink, log, self._engine.logs(self._container, log.progress.since))
            await self._hand_over(sink, log, log.finish())
            self._wait = _FIRST_WAIT
            self._settled = about.run
            self._is_complete = True
        else:
            await self._news.wait()

    def _has_news(self, about: Inspected) -> bool:
        """Whether a container that doesn't run may have lines that weren't read."""
        if about.run == self._settled or not about.run[0] or about.run[0].startswith("0001-"):
            return False
        return self._position is not None or _second(about.run[1]) >= self._begin

    async def _follow(self, sink: Sink, about: Inspected) -> None:
        """Reads along; ends with the container's run, or when the engine hangs up."""
        log = self._begin_log(about)
        await self._take_all(sink, log, self._engine.logs(self._container, log.progress.since, follow=True))

    async def _watch(self, sink: Sink, about: Inspected) -> None:
        """Reads a log that rotates: a look at it whenever a followed stream has anything, and at times."""
        bell, ended = asyncio.Event(), asyncio.Event()
        ringing = asyncio.create_task(self._ring(bell, ended))
        idle = _FIRST_LOOK
        try:
            while not ended.is_set():
                await _wait(bell, idle)
                idle = _FIRST_LOOK if bell.is_set() else min(2 * idle, _LAST_LOOK)
                bell.clear()
                if not ended.is_set():
                    began = time.monotonic()
                    async with self._places:
                        await self._catch_up(sink, about)
                    # With many such containers places are scarce: then looks are as far apart as they take.
                    await _wait(ended, max(_LOOK_APART, time.monotonic() - began))
            await ringing
        finally:
            ringing.cancel()
            await asyncio.gather(ringing, return_exceptions=True)

    async def _ring(self, bell: asyncio.Event, ended: asyncio.Event) -> None:
        try:
            async with aclosing(self._engine.logs(self._container, follow=True, tail=0)) as chunks:
                async for _ in chunks:
                    self.reading = True
                    bell.set()
        finally:
            ended.set()
            bell.set()

    async def _catch_up(self, sink: Sink, about: Inspected) -> None:
        """Takes what there is since the position: out of the last entries, if they reach back to it."""
        reaches_back = False
        if self._window < _LARGEST_WINDOW:
            log = self._begin_log(about)
            async with aclosing(self._engine.logs(self._container, tail=self._window)) as chunks:
                start = b""
                async for data in chunks:
                    if not reaches_back:
                        start += data
                        if len(start) < _FIRST_STAMP:
                            continue
                        reaches_back = _begins_before(start, log.progress.since, terminal=about.terminal)
                        if not reaches_back:
                            break
                        data = start
                    await self._hand_over(sink, log, log.feed(data))
        if not reaches_back:
            log = self._begin_log(about)
            await self._take_all(sink, log, self._engine.logs(self._container, log.progress.since))
        self._window = max(_SMALLEST_WINDOW, 2 * log.progress.entries)

    def _begin_log(self, about: Inspected) -> Log:
        progress = Progress(self._position, self._begin)
        self._log = TerminalLog(progress) if about.terminal else MultiplexedLog(progress)
        return self._log

    async def _take_all(self, sink: Sink, log: Log, stream: AsyncGenerator[bytes]) -> None:
        async with aclosing(stream) as chunks:
            async for data in chunks:
                self.reading = True
                await self._hand_over(sink, log, log.feed(data))

    async def _hand_over(self, sink: Sink, log: Log, portion: Portion | None) -> None:
        self._count(sink, log)
        if portion is None:
            return
        self._wait = _FIRST_WAIT
        await sink.take(
            Lines(self.tail, portion.texts, portion.streams, portion.times, portion.after, portion.cut)
        )
        self._position = portion.after

    def _count(self, sink: Sink, log: Log) -> None:
        if lost := log.take_lost():
            sink.lost(self.tail, lost)
            LOG.warning("%s: %d bytes of the engine's log stream were no frames", self.tail.workload, lost)
        if log.progress.rotated:
            log.progress.rotated = False
            self._counts.rotated += 1
            sink.lost(self.tail, 0)
            LOG.warning(
                "%s: its log was rotated past the place where reading stopped; lines between are lost"
                " (a larger max-size or max-file of its logging driver keeps more)",
                self.tail.workload,
            )

    def _say_unreadable(self, sink: Sink, about: Inspected, error: Unreadable) -> None:
        if self._settled == about.run:
            return
        self._settled = about.run
        self._is_complete = True
        self._counts.unreadable += 1
        sink.lost(self.tail, 0)
        LOG.error(
            "%s: its log can't be read, the logging driver is %s: %s (json-file and local can be read)",
            self.tail.workload,
            about.driver or "unknown",
            error,
        )

    async def _back_off(self) -> None:
        self._counts.reconnections += 1
        await _wait(self._news, self._wait * random.uniform(0.8, 1.2))
        self._wait = min(self._wait * 2, _LONGEST_WAIT)


async def _wait(event: asyncio.Event, seconds: float) -> None:
    try:
        async with asyncio.timeout(seconds):
            await event.wait()
    except TimeoutError:
        pass


def _begins_before(data: bytes, second: int, *, terminal: bool) -> bool:
    found = STAMP.match(data, 0 if terminal else HEADER.size)
    return found is not None and second_of(found.group()[:-1]) < second


def _second(text: str) -> int:
    """The second of a time as the engine writes it, with up to nine digits behind the point; 0 for none."""
    try:
        return int(datetime.fromisoformat(f"{text[:19]}+00:00").timestamp()) if text.endswith("Z") else 0
    except ValueError:
        return 0
