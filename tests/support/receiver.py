"""A webhook receiver: a real HTTP server in a thread that records each request and answers as it is told."""

import asyncio
import json
import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any, Self

from aiohttp import web

from tests.support.waiting import wait_until


@dataclass(frozen=True, slots=True)
class Request:
    """One request as it arrived. Header names are lower-case; `at` is monotonic, `time` since the epoch."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes
    at: float
    time: float

    @property
    def webhook_id(self) -> str:
        return self.headers["webhook-id"]

    def json(self) -> Any:
        return json.loads(self.body)


@dataclass(frozen=True, slots=True)
class Answer:
    """What a request gets, after `delay` seconds. `drop` closes the connection instead of answering."""

    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    delay: float = 0.0
    drop: bool = False
    hang_after_headers: bool = False  # status line and headers come, the body never does


OK = Answer()


class Receiver:
    """A context manager; listens on 127.0.0.1 at a port of its own from __enter__ to __exit__.

    Requests are recorded when they have arrived whole, before they are answered.
    """

    def __init__(self, port: int = 0) -> None:
        self.port = port
        self.spans: list[tuple[float, float]] = []
        """From when to when each request that was answered was being answered, in monotonic seconds."""
        self._requests: list[Request] = []
        self._counts: dict[str, int] = {}
        self._programs: dict[str, Callable[[int, Request], Answer]] = {}
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread = threading.Thread(target=self._run, name="receiver", daemon=True)
        self._started: Future[int] = Future()
        self._stop = asyncio.Event()

    def url(self, path: str = "/hook") -> str:
        return f"http://127.0.0.1:{self.port}{path}"

    def answer(self, path: str, *answers: Answer, then: Answer = OK) -> None:
        """Answer the first requests to `path` with `answers`, one each, and all later ones with `then`."""
        self.answer_by(path, lambda nth, _: answers[nth] if nth < len(answers) else then)

    def answer_by(self, path: str, program: Callable[[int, Request], Answer]) -> None:
        """Answer by a function of the request's number on that path (from 0) and the request; `*`: any path.

        The function is called on the server's thread and must not block. The numbers start again.
        """
        self._counts[path] = 0
        self._programs[path] = program

    def requests(self, path: str | None = None) -> list[Request]:
        """What arrived so far, in order."""
        found = list(self._requests)
        return found if path is None else [request for request in found if request.path == path]

    def clear(self) -> None:
        """Forget what arrived."""
        self._requests.clear()
        self.spans.clear()

    def wait_for(self, count: int, timeout: float = 30.0, path: str | None = None) -> list[Request]:
        """Wait until at least `count` requests have arrived (on `path`), and return those that have."""

        def enough() -> bool:
            return len(self.requests(path)) >= count

        wait_until(enough, timeout, lambda: f"{count} requests; {len(self.requests(path))} arrived")
        return self.requests(path)

    def __enter__(self) -> Self:
        self._thread.start()
        self.port = self._started.result(30)
        return self

    def __exit__(self, *_: object) -> None:
        assert self._loop is not None
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(30)
        assert not self._thread.is_alive(), "the receiver's thread ends"

    def _run(self) -> None:
        try:
            asyncio.run(self._serve())  # cancels what still hangs at the end
        except BaseException as error:
            if self._started.done():
                raise
            self._started.set_exception(error)

    async def _serve(self) -> None:
        self._loop = asyncio.get_running_loop()
        server = web.Server(self._handle, access_log=None)
        runner = web.ServerRunner(server, handle_signals=False, shutdown_timeout=0.1)
        await runner.setup()
        try:
            site = web.TCPSite(runner, "127.0.0.1", self.port, backlog=1024, reuse_address=True)
            await site.start()
            self._started.set_result(runner.addresses[0][1])
            await self._stop.wait()
        finally:
            await runner.cleanup()

    async def _handle(self, incoming: web.BaseRequest) -> web.StreamResponse:
        body = await incoming.read()
        headers = {name.lower(): value for name, value in incoming.headers.items()}
        request = Request(incoming.method, incoming.path_qs, headers, body, time.monotonic(), time.time())
        answer = self._program(request)
        self._requests.append(request)
        try:
            return await self._answer(incoming, answer)
        finally:
            self.spans.append((request.at, time.monotonic()))

    async def _answer(self, incoming: web.BaseRequest, answer: Answer) -> web.StreamResponse:
        if answer.delay:
            await asyncio.sleep(answer.delay)
        if answer.drop:
            if incoming.transport is not None:
                incoming.transport.abort()
            return web.Response()
        if answer.hang_after_headers:
            response = web.StreamResponse(status=answer.status, headers=answer.headers)
            response.content_length = 1
            await response.prepare(incoming)
            await asyncio.sleep(3600)
            return response
        return web.Response(status=answer.status, headers=answer.headers, body=answer.body)

    def _program(self, request: Request) -> Answer:
        path = request.path if request.path in self._programs else "*"
        program = self._programs.get(path)
        if program is None:
            return OK
        nth = self._counts[path]
        self._counts[path] = nth + 1
        return program(nth, request)
