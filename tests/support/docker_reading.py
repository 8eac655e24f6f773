"""A Docker source that reads into memory, in a thread of its own; and a socket in front of an engine."""

from __future__ import annotations

import asyncio
import contextlib
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Coroutine, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from processor.scanning.lines import Lines, Position, Tail
from processor.scanning.sources.docker import DockerSource
from tests.support.docker_containers import LABEL
from tests.support.waiting import wait_until

SOCKET = Path("/var/run/docker.sock")


class Collected:
    """A `lines.Sink` that keeps everything. Outlives the sources that write into it, as a state file does."""

    def __init__(self) -> None:
        self.lines: dict[str, list[tuple[int, bytes, bytes]]] = defaultdict(list)
        """By workload: (stream, text, time)."""
        self.tails: dict[str, Tail] = {}
        self.positions: dict[str, Position] = {}
        self.losses: list[tuple[str, int]] = []
        self.ended: list[str] = []
        self.cut = 0
        self.may_go_on = threading.Event()
        self.may_go_on.set()
        self.portions = 0

    def position(self, key: str) -> Position | None:
        return self.positions.get(key)

    def known(self, prefix: str) -> list[str]:
        return [key for key in self.positions if key.startswith(prefix)]

    async def take(self, lines: Lines) -> None:
        if not self.may_go_on.is_set():
            await asyncio.to_thread(self.may_go_on.wait, 60)
        self.lines[lines.tail.workload] += zip(lines.streams, lines.texts, lines.times, strict=True)
        self.tails[lines.tail.workload] = lines.tail
        self.positions[lines.tail.key] = lines.after
        self.cut += lines.cut
        self.portions += 1

    def lost(self, tail: Tail, size: int) -> None:
        self.losses.append((tail.workload, size))

    def gone(self, tail: Tail) -> None:
        self.ended.append(tail.workload)
        self.positions.pop(tail.key, None)

    def texts(self, workload: str) -> list[bytes]:
        return [text for _, text, _ in list(self.lines[workload])]

    def wait_for(self, workload: str, count: int, timeout: float = 60) -> list[bytes]:
        wait_until(
            lambda: len(self.lines[workload]) >= count,
            timeout,
            lambda: f"{len(self.lines[workload])} of {count} lines of {workload}, lost {self.losses[:5]}",
        )
        return self.texts(workload)


class _Thread:
    """A coroutine on an event loop in a thread, from entering to leaving."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._task: asyncio.Task[None] | None = None
        self._failure: BaseException | None = None
        self._thread = threading.Thread(target=self._serve, daemon=True)

    def work(self) -> Coroutine[Any, Any, None]:
        raise NotImplementedError

    def call(self, function: Callable[[], None]) -> None:
        """Run it on the loop's thread."""
        self._loop.call_soon_threadsafe(function)

    def _serve(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._task = self._loop.create_task(self.work())
        try:
            self._loop.run_until_complete(self._task)
        except asyncio.CancelledError:
            pass
        except BaseException as error:  # noqa: BLE001 - handed to the test
            self._failure = error
        finally:
            self._loop.run_until_complete(self._loop.shutdown_asyncgens())
            self._loop.close()

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._thread.is_alive():
            with contextlib.suppress(RuntimeError):  # it ended in between
                self._loop.call_soon_threadsafe(lambda: self._task and self._task.cancel())
        self._thread.join(timeout=30)
        assert not self._thread.is_alive(), "the source doesn't end when it is cancelled"
        if self._failure is not None and error is None:
            raise self._failure


class Reading(_Thread):
    """The source at work on the containers of one test, from entering to leaving."""

    def __init__(
        self, sink: Collected, run_id: str, *, socket: Path = SOCKET, begin: float | None = None
    ) -> None:
        super().__init__()

        def others(labels: Mapping[str, str], image: str, name: str) -> bool:
            return labels.get(LABEL) != run_id

        self.source = DockerSource(socket, others, int(time.time() if begin is None else begin))
        self._sink = sink

        self._is_waited_for = False

    def __enter__(self) -> Self:
        super().__enter__()
        try:
            if self._is_waited_for:
                wait_until(lambda: not self.source.trouble, 15, lambda: self.source.trouble)
        except AssertionError as error:
            self.__exit__(type(error), error, None)
            raise
        return self

    def work(self) -> Coroutine[Any, Any, None]:
        return self.source.run(self._sink)

    def ready(self) -> Self:
        """Entering it waits until the engine has answered."""
        self._is_waited_for = True
        return self


class Relay(_Thread):
    """A Unix socket that passes everything on to the engine's, and can go away as an engine does."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.path = path
        self._server: asyncio.Server | None = None
        self._writers: set[asyncio.StreamWriter] = set()
        self._is_away = False
        self.connections = 0

    async def work(self) -> None:
        self._server = await asyncio.start_unix_server(self._accept, self.path)
        try:
            await asyncio.Event().wait()
        finally:
            self._server.close()
            self._drop()
            for task in asyncio.all_tasks() - {asyncio.current_task()}:
                task.cancel()
            await asyncio.gather(*(asyncio.all_tasks() - {asyncio.current_task()}), return_exceptions=True)

    def go_away(self) -> None:
        """Hang up on everybody, and on whoever comes."""
        self._is_away = True
        self.call(self._drop)

    def come_back(self) -> None:
        self._is_away = False

    def hang_up(self) -> None:
        """Hang up on everybody once."""
        self.call(self._drop)

    def _drop(self) -> None:
        for writer in self._writers:
            writer.transport.abort()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._is_away:
            writer.transport.abort()
            return
        self.connections += 1
        up_reader, up_writer = await asyncio.open_unix_connection(SOCKET)
        both = {writer, up_writer}
        self._writers |= both
        try:
            await asyncio.gather(_pump(reader, up_writer), _pump(up_reader, writer))
        finally:
            self._writers -= both
            for each in both:
                each.transport.abort()


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(ConnectionError):
        while data := await reader.read(1 << 16):
            writer.write(data)
            await writer.drain()
        writer.write_eof()
