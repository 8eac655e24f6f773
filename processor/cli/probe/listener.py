"""The probe's own receiver: takes webhooks at one secret path, answers 204, and says when they came."""

from __future__ import annotations

import queue
import secrets
import socket
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Final, Self

_MAX_BODY: Final = 4 << 20
_SILENT: Final = 10.0  # seconds a connection may say nothing


@dataclass(frozen=True, slots=True)
class Arrival:
    """A webhook as it came; `at` is monotonic, in seconds."""

    at: float
    headers: Mapping[str, str]
    body: bytes


class Listener:
    """Listens from its making to close(), in threads of its own."""

    def __init__(self, host: str, port: int) -> None:
        """Port 0 takes a free one. Raises OSError when the address can't be had."""
        self._arrivals: queue.SimpleQueue[Arrival] = queue.SimpleQueue()
        self.path = f"/tocsin-probe/{secrets.token_urlsafe(16)}"
        """Nobody who doesn't know the rule can send something here."""
        self._server = _Server(host, port, self.path, self._arrivals)
        self.port: int = self._server.server_address[1]
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.1,), daemon=True)
        self._thread.start()

    def wait(self, timeout: float) -> Arrival | None:
        """The next webhook, waited for up to `timeout` seconds."""
        try:
            return self._arrivals.get(timeout=max(0.0, timeout))
        except queue.Empty:
            return None

    def close(self) -> None:
        """Stop listening."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False

    def __init__(self, host: str, port: int, path: str, arrivals: queue.SimpleQueue[Arrival]) -> None:
        self.path = path
        self.arrivals = arrivals
        self.address_family = socket.AF_INET6 if ":" in host else socket.AF_INET
        super().__init__((host, port), _Handler)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A connection that breaks is the other side's business."""


class _Handler(BaseHTTPRequestHandler):
    server: _Server
    timeout = _SILENT

    def do_POST(self) -> None:
        at = time.monotonic()
        length = self.headers.get("content-length", "")
        size = int(length) if length.isdecimal() else _MAX_BODY + 1
        if self.path != self.server.path or size > _MAX_BODY:
            self.send_error(404)
            return
        body = self.rfile.read(size)
        headers = {name.lower(): value for name, value in self.headers.items()}
        self.send_response(204)
        self.end_headers()
        self.server.arrivals.put(Arrival(at, headers, body))

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002  (the base class's name)
        """The probe says itself what came."""
