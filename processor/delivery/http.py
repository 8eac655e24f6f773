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

from processor import __version__
from processor.delivery.audit import snippet
from processor.delivery.faults import Way, explain, refused_by_proxy, timed_out
from processor.delivery.outcome import Kind, Outcome, Reason, Stage
from processor.delivery.proxy import Proxy
from processor.delivery.resolver import ThreadResolver
from processor.delivery.session import PROGRESS, Body, Progress, guarded_session
from processor.delivery.signing import sign
from processor.delivery.tls import HANDSHAKE
from processor.egress import EgressPolicy, Refusal
from processor.egress.target import Target, TargetError, read_target

MAX_BODY: Final = 65_536
"""Bytes of an answer's body that are read; the connection of a longer one is closed."""

BODY_PATIENCE: Final = 1.0
"""Seconds an answer's body may take after its headers: it is only wanted for the snippet and to keep the
connection."""


_PROXY_AUTHENTICATION: Final = 407


@dataclass(frozen=True, slots=True)
class WebhookRequest:
    """One attempt to be made.

    url: resolved and secret; keys: of the signature, newest first, none for no signature; headers: the
    rule's own; timeout: seconds for all of it, None for the sender's.
    """

    url: str
    webhook_id: str
    attempt: int
    body: bytes
    keys: Sequence[bytes] = ()
    headers: Mapping[str, str] = field(default_factory=dict)
    traceparent: str | None = None
    timeout: float | None = None


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
        # Of CONNECT, which the receiver doesn't see.
        self._to_proxy = None if proxy is None else {"User-Agent": self._user_agent, **proxy.headers}
        self._read_target = lru_cache(maxsize=4096)(self._checked_target)

    async def __aenter__(self) -> Self:
        self._session = guarded_session(
            self._policy,
            self._tls,
            self._connect_timeout,
            self._resolver or ThreadResolver(),
            bufsize=MAX_BODY,
            proxy=self._proxy,
        )
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._session.close()

    async def post(self, request: WebhookRequest) -> Outcome:
        """Make one attempt: delivered, failed, or dead where egress refuses the target.

        Cancelling it closes the connection; whether the receiver has got the request is then unknown.
        """
        started_ms = self._clock_ms()
        target = self._read_target(request.url)
        if isinstance(target, Refusal):
            stage = Stage.CONNECT if target.about in {"address", "port"} else Stage.RENDER
            return _blocked(started_ms, 0, stage, target)
        progress = Progress(target.host)
        begun = time.perf_counter()

        def spent() -> int:
            return round((time.perf_counter() - begun) * 1000)

        timeout = self._timeout if request.timeout is None else request.timeout
        of_progress, of_handshake = PROGRESS.set(progress), HANDSHAKE.set(progress)
        try:
            async with self._session.post(
                target.url,
                data=Body(request.body, progress),
                headers=self._headers(request, target, started_ms // 1000),
                proxy_headers=self._to_proxy,
                allow_redirects=False,
                timeout=_limit(timeout),
                # As the direct way does: a name's last dot is in no certificate.
                server_hostname=None if self._proxy is None else target.host,
            ) as response:
                duration_ms = spent()
                body = await _read_start(response)
                if self._proxy is not None and target.scheme == "http":
                    return _answered_by_proxy(response, started_ms, duration_ms, body, self._proxy.place)
                return _answered(response, started_ms, duration_ms, body)
        except TimeoutError:  # before OSError, which it is as well
            if progress.only_refused:
                return _blocked(started_ms, spent(), Stage.CONNECT, progress.refused[0])
            connecting = progress.stage in {Stage.RESOLVE, Stage.CONNECT, Stage.TLS}
            limit = min(timeout, self._connect_timeout) if connecting else timeout
            why = timed_out(self._way(target, progress), limit)
            return _failed(started_ms, spent(), progress.stage, why)
        except (aiohttp.ClientError, OSError, ValueError) as error:
            if progress.only_refused:
                return _blocked(started_ms, spent(), Stage.CONNECT, progress.refused[0])
            stage, why = explain(error, self._way(target, progress))
            return _failed(started_ms, spent(), stage, why)
        finally:
            PROGRESS.reset(of_progress)
            HANDSHAKE.reset(of_handshake)

    def _way(self, target: Target, progress: Progress) -> Way:
        proxy = "" if self._proxy is None else self._proxy.place
        return Way(progress.stage, f"{target.host}:{target.port}", proxy, progress.at_proxy)

    def _checked_target(self, url: str) -> Target | Refusal:
        try:
            target = read_target(url)
        except TargetError as error:
            return Refusal(error.about, str(error))
        return self._policy.check_target(target) or target

    def _headers(self, request: WebhookRequest, target: Target, at: int) -> dict[str, str]:
        headers = dict(request.headers)
        if self._proxy is not None and target.scheme == "http":
            headers.update(self._proxy.headers)  # the proxy reads the request itself
        headers["Content-Type"] = "application/json"
        headers["User-Agent"] = self._user_agent
        headers["webhook-id"] = request.webhook_id
        headers["webhook-timestamp"] = str(at)
        headers["webhook-attempt"] = str(request.attempt)
        if request.keys:
            headers["webhook-signature"] = sign(request.keys, request.webhook_id, at, request.body)
        if request.traceparent is not None:
            headers["traceparent"] = request.traceparent
        return headers


@lru_cache(maxsize=256)
def _limit(timeout: float) -> aiohttp.ClientTimeout:
    return aiohttp.ClientTimeout(total=timeout)


async def _read_start(response: aiohttp.ClientResponse) -> bytes:
    """The first 64 KiB of the body that come in time; unless that is all of it, the connection is closed."""
    content = response.content
    body = content.read_nowait() if content.is_eof() else b""
    if content.at_eof():
        return body
    parts: list[bytes] = []
    size = 0
    try:
        async with asyncio.timeout(BODY_PATIENCE):
            while size <= MAX_BODY:
                part = await content.readany()
                if not part:
                    return b"".join(parts)
                parts.append(part)
                size += len(part)
    except (TimeoutError, aiohttp.ClientError, OSError, ValueError):
        pass  # the status has decided already
    response.close()
    return b"".join(parts)


def _answered(response: aiohttp.ClientResponse, started_ms: int, duration_ms: int, body: bytes) -> Outcome:
    status = response.status
    encoded = response.headers.get("Content-Encoding", "identity").lower() != "identity"
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
        retry_after=response.headers.get("Retry-After"),
    )


def _answered_by_proxy(
    response: aiohttp.ClientResponse, started_ms: int, duration_ms: int, body: bytes, proxy: str
) -> Outcome:
    """An answer that came through a proxy without a tunnel: all but one status may be the receiver's."""
    if response.status == _PROXY_AUTHENTICATION:
        return _failed(started_ms, duration_ms, Stage.CONNECT, refused_by_proxy(proxy, "", response.status))
    return _answered(response, started_ms, duration_ms, body)


def _blocked(started_ms: int, duration_ms: int, stage: Stage, refusal: Refusal) -> Outcome:
    return Outcome(
        Kind.DEAD, started_ms, duration_ms, reason=Reason.BLOCKED, stage=stage, error=refusal.message
    )


def _failed(started_ms: int, duration_ms: int, stage: Stage, error: str) -> Outcome:
    return Outcome(Kind.FAILED, started_ms, duration_ms, stage=stage, error=error)
