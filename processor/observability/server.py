"""The telemetry port: /healthz, /readyz, /metrics and /status over HTTP.

It runs on a thread and an event loop of its own, so that it still answers when a role's loop hangs, which is
just when somebody asks. It has no authentication and shows no secret and no target URL; whoever can reach the
port can read it.
"""

import asyncio
import json
import logging
import socket
import time
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from threading import Thread

from aiohttp import web
from prometheus_client.exposition import choose_encoder

from processor.lifecycle import Deadline
from processor.observability.health import Health, Verdict
from processor.observability.listening import listen_on, shown_address
from processor.observability.metrics import Metrics
from processor.settings_values import parse_host_port

log = logging.getLogger(__name__)


class TelemetryServer:
    """A service of processor.lifecycle: start() returns when the port answers, stop() when it is closed.

    start() comes once; stop() may come from another thread, and without a start().
    """

    def __init__(
        self,
        listen: str,
        metrics: Metrics,
        health: Health,
        status: Callable[[], Mapping[str, object]],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`listen` is `host:port` (`[::1]:9464` for IPv6; port 0 takes a free one), or empty: no port.

        `status` gives what /status shows, as JSON values; it is called on this server's thread and must not
        block. `clock` is the one the heartbeats are beaten with, in seconds. Raises ValueError if
        `listen` is neither.
        """
        self._endpoint = parse_host_port(listen) if listen else None
        self._metrics = metrics
        self._health = health
        self._status = status
        self._clock = clock
        self._address: str | None = None
        self._stopping: Future[None] = Future()
        self._thread: Thread | None = None
        self._failed: Exception | None = None

    @property
    def name(self) -> str:
        return "telemetry"

    @property
    def address(self) -> str | None:
        """`host:port` as it is listened on, None before start() and without a port."""
        return self._address

    @property
    def failed(self) -> BaseException | None:
        """Why the port stopped answering by itself, None while all is well."""
        return self._failed

    def start(self) -> None:
        """Open the port and answer on it. Blocks for milliseconds.

        Raises Refused if the port can't be had.
        """
        if self._endpoint is None:
            log.info("telemetry is off: telemetry.listen is empty")
            return
        listener = listen_on(
            "telemetry.listen",
            *self._endpoint,
            "choose another address (port 0 takes a free port, an empty value turns it off)",
        )
        started: Future[None] = Future()
        self._thread = Thread(target=self._run, args=(listener, started), name="telemetry", daemon=True)
        self._thread.start()
        started.result()
        self._address = shown_address(listener.getsockname())
        log.info("listening", extra={"fields": {"address": self._address}})

    def stop(self, deadline: Deadline) -> None:
        """Close the port and join the thread, for at most what remains until `deadline`."""
        if self._thread is None:
            return
        if not self._stopping.done():
            self._stopping.set_result(None)
        self._thread.join(deadline.remaining())

    def _run(self, listener: socket.socket, started: Future[None]) -> None:
        try:
            asyncio.run(self._serve(listener, started))
        except Exception as error:  # noqa: BLE001 - handed on: to start() or, later, to whoever watches `failed`
            if started.done():
                self._failed = error
            else:
                started.set_exception(error)

    async def _serve(self, listener: socket.socket, started: Future[None]) -> None:
        app = web.Application()
        app.add_routes(
            [
                web.get("/healthz", self._healthz),
                web.get("/readyz", self._readyz),
                web.get("/metrics", self._show_metrics),
                web.get("/status", self._show_status),
            ]
        )
        # Nobody waits long for an answer from here, and a scraper's idle connection must not hold up the end
        # of the process.
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=1.0)
        await runner.setup()
        try:
            await web.SockSite(runner, listener).start()
            started.set_result(None)
            await asyncio.wrap_future(self._stopping)
        finally:
            await runner.cleanup()

    async def _healthz(self, _: web.Request) -> web.Response:
        return _verdict(self._health.alive(self._clock()))

    async def _readyz(self, _: web.Request) -> web.Response:
        return _verdict(self._health.ready())

    async def _show_metrics(self, request: web.Request) -> web.Response:
        encode, content_type = choose_encoder(request.headers.get("Accept", ""))
        return web.Response(body=encode(self._metrics.registry), headers={"Content-Type": content_type})

    async def _show_status(self, _: web.Request) -> web.Response:
        return _json(dict(self._status()), 200)


def _verdict(verdict: Verdict) -> web.Response:
    return _json(verdict.as_json(), 200 if verdict.ok else 503)


def _json(body: Mapping[str, object], status: int) -> web.Response:
    text = json.dumps(body, ensure_ascii=False) + "\n"
    return web.Response(
        text=text, status=status, content_type="application/json", headers={"Cache-Control": "no-store"}
    )
