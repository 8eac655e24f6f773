"""One POST to one receiver: the request's exact form, and what came of it.

The status line and the headers decide. Whatever a receiver does becomes an Outcome; an exception out of
post() is a fault of this program. session.py has the guard on the sockets.
"""

import asyncio
import ssl
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from types import TracebackType
from typing import Final, Self

import aiohttp
from aiohttp.abc import AbstractResolver
from aiohttp.connector import Connection
from aiohttp.http import HttpProcessingError, RawResponseMessage
from aiohttp.streams import StreamReader

from processor import __version__
from processor.delivery.audit import snippet
from processor.delivery.faults import Way, explain, refused_by_proxy, timed_out
from processor.delivery.outcome import Kind, Outcome, Reason, Stage
from processor.delivery.proxy import Proxy
from processor.delivery.resolver import ThreadResolver
from processor.delivery.session import PROGRESS, Connections, Progress, Route
from processor.delivery.signing import sign
from processor.delivery.tls import HANDSHAKE
from processor.egress import EgressPolicy, Refusal
from processor.egress.target import TargetError, read_target
from processor.rules.headers import check_header_name, check_header_value

MAX_BODY: Final = 65_536
"""Bytes of an answer's body that are read; the connection of a longer one is closed."""

_ONE_WRITE: Final = 65_536
"""Bytes up to which a body is copied behind its head, to go out in one piece."""

BODY_PATIENCE: Final = 1.0
"""Seconds an answer's body may take after its headers: it is only wanted for the snippet and to keep the
connection."""


_PROXY_AUTHENTICATION: Final = 407


@dataclass(frozen=True, slots=True)
class WebhookRequest:
    """One attempt to be made.

    url: resolved and secret; keys: of the signature, newest first, none for no signature; headers: the
    rule's own; timeout: seconds for all of it, None for the sender's; rule_id: for traces.
    """

    url: str
    webhook_id: str
    attempt: int
    body: bytes
    keys: Sequence[bytes] = ()
    headers: Mapping[str, str] = field(default_factory=dict)
    traceparent: str | None = None
    timeout: float | None = None
    rule_id: int = 0


class Poster:
    """Makes requests on one event loop; an async context manager.

    policy: whom it may call; tls: from tls_context; timeout, connect_timeout: seconds, the latter for name,
    connection and TLS handshake together; clock_ms: ms since 1970; resolver: the name service,
    getaddrinfo(3) by default; proxy: what every request goes through.
    """

    def __init__(
        self,
        policy: EgressPolicy,
        tls: ssl.SSLContext,
        *,
        timeout: float = 15.0,
        connect_timeout: float = 5.0,
        clock_ms: Callable[[], int] = lambda: time.time_ns() // 1_000_000,
        resolver: AbstractResolver | None = None,
        proxy: Proxy | None = None,
    ) -> None:
        self._policy = policy
        self._tls = tls
        self._timeout = timeout
        self._connect_timeout = connect_timeout
        self._clock_ms = clock_ms
        self._resolver = resolver
        self._proxy = proxy
        self._user_agent = f"Tocsin/{__version__}"
        self._fixed = f"Content-Type: application/json\r\nUser-Agent: {self._user_agent}\r\n".encode()
        self._route = lru_cache(maxsize=4096)(self._checked_route)

    async def __aenter__(self) -> Self:
        self._connections = Connections(
            self._policy, self._tls, self._connect_timeout, self._resolver or ThreadResolver(), self._proxy
        )
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._connections.close()

    async def post(self, request: WebhookRequest) -> Outcome:
        """Make one attempt: delivered, failed, or dead where egress refuses the target.

        Cancelling it closes the connection; whether the receiver has got the request is then unknown.
        """
        started_ms = self._clock_ms()
        route = self._route(request.url)
        if isinstance(route, Refusal):
            stage = Stage.CONNECT if route.about in {"address", "port"} else Stage.RENDER
            return _blocked(started_ms, 0, stage, route)
        progress = Progress(route.target.host)
        begun = time.perf_counter()

        def spent() -> int:
            return round((time.perf_counter() - begun) * 1000)

        timeout = self._timeout if request.timeout is None else request.timeout
        of_progress, of_handshake = PROGRESS.set(progress), HANDSHAKE.set(progress)
        connection: Connection | None = None
        try:
            head = self._head(route, request, started_ms // 1000)
            connection = await self._connections.connect(route, timeout)
            remaining = timeout - (time.perf_counter() - begun)
            message, content = await _exchange(connection, head, request.body, remaining)
            duration_ms = spent()
            body, whole = await _read_start(content, remaining - duration_ms / 1000)
            if whole and _is_sent(connection):
                connection.release()
            if self._proxy is not None and route.target.scheme == "http":
                return _answered_by_proxy(message, started_ms, duration_ms, body, self._proxy.place)
            return _answered(message, started_ms, duration_ms, body)
        except TimeoutError:  # before OSError, which it is as well
            if progress.only_refused:
                return _blocked(started_ms, spent(), Stage.CONNECT, progress.refused[0])
            way = self._way(route, progress, connection)
            limit = timeout if connection is not None else min(timeout, self._connect_timeout)
            return _failed(started_ms, spent(), way.reached, timed_out(way, limit))
        except (aiohttp.ClientError, HttpProcessingError, OSError, ValueError) as error:
            if progress.only_refused:
                return _blocked(started_ms, spent(), Stage.CONNECT, progress.refused[0])
            stage, why = explain(error, self._way(route, progress, connection))
            return _failed(started_ms, spent(), stage, why)
        finally:
            if connection is not None and connection.protocol is not None:  # not released
                # A mere close would wait until a receiver that doesn't read has taken all of the body.
                connection.protocol.abort()
                connection.close()
            PROGRESS.reset(of_progress)
            HANDSHAKE.reset(of_handshake)

    def _way(self, route: Route, progress: Progress, connection: Connection | None) -> Way:
        proxy = "" if self._proxy is None else self._proxy.place
        place = f"{route.target.host}:{route.target.port}"
        return Way(_reached(progress, connection), place, proxy, progress.at_proxy)

    def _checked_route(self, url: str) -> Route | Refusal:
        try:
            target = read_target(url)
        except TargetError as error:
            return Refusal(error.about, str(error))
        return self._policy.check_target(target) or Route(target, self._user_agent, self._proxy)

    def _head(self, route: Route, request: WebhookRequest, at: int) -> bytes:
        """Raises ValueError when a header can't be written."""
        own = [f"webhook-id: {request.webhook_id}"]
        own.append(f"webhook-timestamp: {at}\r\nwebhook-attempt: {request.attempt}")
        if request.keys:
            own.append(f"webhook-signature: {sign(request.keys, request.webhook_id, at, request.body)}")
        if request.traceparent is not None:
            own.append(f"traceparent: {request.traceparent}")
        own.append(f"Content-Length: {len(request.body)}\r\n\r\n")
        return b"".join((route.head, _fields(request.headers), self._fixed, "\r\n".join(own).encode("ascii")))


def _fields(headers: Mapping[str, str]) -> bytes:
    """The rule's own headers, checked when they were resolved; once more, because it costs nothing here."""
    for name, value in headers.items():
        check_header_name(name)
        check_header_value(value)
    return "".join(f"{name}: {value}\r\n" for name, value in headers.items()).encode("ascii")


async def _exchange(
    connection: Connection, head: bytes, body: bytes, seconds: float
) -> tuple[RawResponseMessage, StreamReader]:
    """Send a request; the start of its answer, and where its body comes, TimeoutError after `seconds`."""
    protocol, transport = connection.protocol, connection.transport
    if protocol is None or transport is None:
        raise aiohttp.ServerDisconnectedError
    protocol.set_response_params(read_until_eof=True, auto_decompress=False, read_bufsize=MAX_BODY)
    if len(body) <= _ONE_WRITE:
        transport.write(head + body)
    else:
        transport.writelines((head, body))
    # A timer of the loop is a third of the price of asyncio.timeout().
    timer = asyncio.get_running_loop().call_later(seconds, protocol.set_exception, TimeoutError())
    try:
        message, content = await protocol.read()
        while 100 <= message.code < 200 and message.code != 101:
            message, content = await protocol.read()
    finally:
        timer.cancel()
    return message, content


def _reached(progress: Progress, connection: Connection | None) -> Stage:
    """How far a request came."""
    if connection is None:
        return progress.stage
    paused = connection.protocol is not None and connection.protocol.writing_paused
    return Stage.WRITE if paused else Stage.READ


def _is_sent(connection: Connection) -> bool:
    transport = connection.transport
    return transport is not None and not transport.get_write_buffer_size()


async def _read_start(content: StreamReader, remaining: float) -> tuple[bytes, bool]:
    """The first 64 KiB of the body that come in time, and whether that is all of it."""
    body = content.read_nowait() if content.is_eof() else b""
    if content.at_eof():
        return body, True
    parts: list[bytes] = []
    size = 0
    try:
        async with asyncio.timeout(min(BODY_PATIENCE, remaining)):
            while size <= MAX_BODY:
                part = await content.readany()
                if not part:
                    return b"".join(parts), True
                parts.append(part)
                size += len(part)
    except (TimeoutError, aiohttp.ClientError, OSError, ValueError):
        pass  # the status has decided already
    return b"".join(parts), False


def _answered(message: RawResponseMessage, started_ms: int, duration_ms: int, body: bytes) -> Outcome:
    status = message.code
    encoded = message.headers.get("Content-Encoding", "identity").lower() != "identity"
    shown = "" if encoded else snippet(body)
    if 200 <= status < 300:
        return Outcome(Kind.DELIVERED, started_ms, duration_ms, status=status, snippet=shown)
    return Outcome(
        Kind.FAILED,
        started_ms,
        duration_ms,
        stage=Stage.STATUS,
        status=status,
        error=f"HTTP {status}" + (", redirects are not followed" if 300 <= status < 400 else ""),
        snippet=shown,
        retry_after=message.headers.get("Retry-After"),
    )


def _answered_by_proxy(
    message: RawResponseMessage, started_ms: int, duration_ms: int, body: bytes, proxy: str
) -> Outcome:
    """An answer that came through a proxy without a tunnel: all but one status may be the receiver's."""
    if message.code == _PROXY_AUTHENTICATION:
        return _failed(started_ms, duration_ms, Stage.CONNECT, refused_by_proxy(proxy, "", message.code))
    return _answered(message, started_ms, duration_ms, body)


def _blocked(started_ms: int, duration_ms: int, stage: Stage, refusal: Refusal) -> Outcome:
    return Outcome(
        Kind.DEAD, started_ms, duration_ms, reason=Reason.BLOCKED, stage=stage, error=refusal.message
    )


def _failed(started_ms: int, duration_ms: int, stage: Stage, error: str) -> Outcome:
    return Outcome(Kind.FAILED, started_ms, duration_ms, stage=stage, error=error)
