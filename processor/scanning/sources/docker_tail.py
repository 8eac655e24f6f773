"""Reads the log of one container: through its runs, through engines that go away, to its removal."""

from __future__ import annotations

import asyncio
import logging
import random
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
from processor.scanning.sources.docker_lines import Log, MultiplexedLog, Portion, TerminalLog
from processor.scanning.sources.docker_position import Progress

LOG = logging.getLogger(__name__)

_FIRST_WAIT: Final = 0.25
_LONGEST_WAIT: Final = 10.0
_UNREADABLE_WAIT: Final = 300.0


@dataclass(slots=True)
class Counts:
    """What went wrong since the start of the process."""

    reconnections: int = 0
    """A log's connection was lost, and its container was still there."""
    rotated: int = 0
    """Logs whose position had been rotated away when they were read again."""
    unreadable: int = 0
    """Runs of containers whose logging driver can't be read."""


class DockerTail:
    """One container's log. `tail` may be replaced while it is read (the container was renamed)."""

    def __init__(
        self, container: str, tail: Tail, engine: Engine, begin: int, counts: Counts, *, running: bool
    ) -> None:
        self.tail = tail
        self.reading = False
        self._container = container
        self._engine = engine
        self._begin = begin
        self._counts = counts
        self._news = asyncio.Event()
        self._settled: tuple[str, str] | None = None
        self._wait = _FIRST_WAIT
        # A container that is seen running and gone at the next look had a log.
        self._is_complete = not running
        self._position: Position | None = None

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
                if about.running or self._has_news(about):
                    self._is_complete = False
                    await self._read(sink, about)
                else:
                    await self._news.wait()
            except NoSuchContainer:
                break
            except Unreadable as error:
                self._say_unreadable(sink, about, error)
                await self._wait_for_news(_UNREADABLE_WAIT)
            except EngineAway as error:
                LOG.info("%s is read again after a pause: %s", self.tail.workload, error)
                await self._back_off()
            except EngineError as error:
                LOG.warning("%s can't be looked at: %s", self.tail.workload, error)
                await self._back_off()
        if not self._is_complete:
            sink.lost(self.tail, 0)
            LOG.warning("%s was removed before its log was read to the end", self.tail.workload)
        sink.gone(self.tail)

    def _has_news(self, about: Inspected) -> bool:
        """Whether a container that doesn't run may have lines that weren't read."""
        if about.run == self._settled or not about.run[0] or about.run[0].startswith("0001-"):
            return False
        return self._position is not None or _second(about.finished) >= self._begin

    async def _read(self, sink: Sink, about: Inspected) -> None:
        progress = Progress(self._position, self._begin)
        log: Log = TerminalLog(progress) if about.terminal else MultiplexedLog(progress)
        try:
            stream = self._engine.logs(self._container, progress.since, follow=about.running)
            async with aclosing(stream) as chunks:
                self.reading = True
                async for data in chunks:
                    await self._hand_over(sink, log, log.feed(data))
        finally:
            self.reading = False
            self._count(sink, log)
        await self._end(sink, log, about)

    async def _end(self, sink: Sink, log: Log, about: Inspected) -> None:
        """The stream ended in due form: the container's run did too, or the engine shut down politely."""
        try:
            now = await self._engine.inspect(self._container)
        except NoSuchContainer:
            await self._hand_over(sink, log, log.finish())
            self._is_complete = True
            raise
        if now.running and now.run == about.run:
            await self._back_off()
            return
        await self._hand_over(sink, log, log.finish())
        self._wait = _FIRST_WAIT
        if not now.running:
            self._settled = now.run
            self._is_complete = True

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
        await self._wait_for_news(self._wait * random.uniform(0.8, 1.2))
        self._wait = min(self._wait * 2, _LONGEST_WAIT)

    async def _wait_for_news(self, seconds: float) -> None:
        try:
            async with asyncio.timeout(seconds):
                await self._news.wait()
        except TimeoutError:
            pass


def _second(text: str) -> int:
    """The second of a time as the engine writes it, with up to nine digits behind the point; 0 for none."""
    try:
        return int(datetime.fromisoformat(f"{text[:19]}+00:00").timestamp()) if text.endswith("Z") else 0
    except ValueError:
        return 0
