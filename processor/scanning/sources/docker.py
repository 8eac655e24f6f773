"""The logs of a machine's Docker containers, through the Docker Engine API.

Containers are listed every five seconds and whenever the engine tells of a start, an end, a removal or
another name; each one's log is followed by a task of its own (docker_tail.py). Reading stops while the sink
takes a portion, and then the engine waits: the socket is full, and the logs themselves are the buffer.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Callable, Mapping, Sequence
from contextlib import aclosing
from pathlib import Path
from typing import Final

from processor.scanning.lines import Sink, Tail
from processor.scanning.sources.docker_engine import Engine, EngineError, Listed
from processor.scanning.sources.docker_tail import Counts, DockerTail

LOG = logging.getLogger(__name__)

Own = Callable[[Mapping[str, str], str, str], bool]
"""Whether a container is left out, from its labels, image and name."""

COMPOSE_SERVICE: Final = "com.docker.compose.service"

_PREFIX: Final = "docker/"
_LIST_EVERY: Final = 5.0
_LIST_APART: Final = 0.1
_LONGEST_WAIT: Final = 10.0
_PLACES: Final = 8


class DockerSource:
    """A `lines.Source`.

    begin: the second since the epoch from which on the log of a container without a position is read. It
    should be when this machine was first scanned, and stay the same: so a container that was made while
    the scanner was away is read whole, and what was there before anybody scanned is not.
    """

    def __init__(self, socket: Path, own: Own, begin: int) -> None:
        self.counts = Counts()
        self._socket = socket
        self._own = own
        self._begin = begin
        self._readers: dict[str, DockerTail] = {}
        self._trouble = f"the Docker engine at {socket} hasn't answered yet"
        self._news = asyncio.Event()
        self._places = asyncio.Semaphore(_PLACES)

    @property
    def tails(self) -> Sequence[Tail]:
        """See `lines.Source`."""
        return [reader.tail for reader in self._readers.values() if reader.reading]

    @property
    def trouble(self) -> str:
        """See `lines.Source`."""
        return self._trouble

    async def run(self, sink: Sink) -> None:
        """See `lines.Source`; runs until it is cancelled."""
        async with Engine(self._socket) as engine, asyncio.TaskGroup() as tasks:
            tasks.create_task(self._listen(engine))
            await self._list(engine, sink, tasks)

    async def _list(self, engine: Engine, sink: Sink, tasks: asyncio.TaskGroup) -> None:
        wait, is_first = 0.5, True
        while True:
            self._news.clear()
            try:
                listed = await engine.containers()
                if is_first:
                    self._forget(listed, sink)
                    is_first = False
                self._compare(listed, engine, sink, tasks)
            except EngineError as error:
                if self._trouble != str(error):
                    LOG.warning("containers can't be listed: %s", error)
                self._trouble = str(error)
                await asyncio.sleep(wait * random.uniform(0.8, 1.2))
                wait = min(wait * 2, _LONGEST_WAIT)
                continue
            if self._trouble:
                LOG.info("the Docker engine at %s answers", self._socket)
            self._trouble, wait = "", 0.5
            try:
                async with asyncio.timeout(_LIST_EVERY):
                    await self._news.wait()
            except TimeoutError:
                continue
            # Two hundred containers that start together are one list, not two hundred.
            await asyncio.sleep(_LIST_APART)

    async def _listen(self, engine: Engine) -> None:
        wait = 0.5
        while True:
            try:
                async with aclosing(engine.events()) as events:
                    async for container in events:
                        self._tell(container)
                        wait = 0.5
            except EngineError:
                pass
            self._news.set()  # if the engine is gone, the list says so
            await asyncio.sleep(wait * random.uniform(0.8, 1.2))
            wait = min(wait * 2, _LONGEST_WAIT)

    def _forget(self, listed: Sequence[Listed], sink: Sink) -> None:
        """Containers that were removed while nobody looked: who knows whether they were read to the end."""
        there = {f"{_PREFIX}{each.id}" for each in listed}
        for key in sink.known(_PREFIX):
            if key not in there:
                tail = Tail(key, key)
                sink.lost(tail, 0)
                sink.gone(tail)

    def _compare(
        self, listed: Sequence[Listed], engine: Engine, sink: Sink, tasks: asyncio.TaskGroup
    ) -> None:
        """Starts readers for new containers, and tells the others what is new."""
        for each in listed:
            if self._own(each.labels, each.image, each.name):
                continue
            tail = Tail(
                key=f"{_PREFIX}{each.id}",
                workload=each.labels.get(COMPOSE_SERVICE) or each.name,
                container=each.name,
                image=each.image,
            )
            known = self._readers.get(each.id)
            if known is None:
                reader = DockerTail(
                    each.id,
                    tail,
                    engine,
                    self._begin,
                    counts=self.counts,
                    places=self._places,
                    running=each.running,
                )
                self._readers[each.id] = reader
                tasks.create_task(self._read(each.id, reader, sink))
                continue
            known.tail = tail
            if each.running and not known.reading:
                known.look()  # in case its start was missed
        there = {each.id for each in listed}
        for container, reader in self._readers.items():
            if container not in there:
                reader.look()

    def _tell(self, container: str) -> None:
        """Something happened to a container; to any of them, if it is the empty text."""
        self._news.set()
        for each, reader in self._readers.items():
            if each == container or not container:
                reader.look()

    async def _read(self, container: str, reader: DockerTail, sink: Sink) -> None:
        try:
            await reader.run(sink)
        finally:
            del self._readers[container]
