"""The HTTP session whose every socket is checked, and how it reports the way of a request.

The guard looks at the address a socket will be connected to, when the socket is made: whatever a name service
said before or says later, there is no other way to a connection.
"""

import asyncio
import socket
import ssl
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any, Final

import aiohttp
from aiohttp.abc import AbstractResolver, AbstractStreamWriter
from aiohttp.client_proto import ResponseHandler
from aiohttp.payload import Payload

from processor.delivery.outcome import Stage
from processor.delivery.proxy import Proxy
from processor.egress import EgressPolicy, Refusal

KEEP_ALIVE: Final = 4.0
"""Seconds an idle connection is kept: less than the 5 s of common servers, which would close it under a
request."""

DNS_TTL: Final = 10
"""Seconds an answer of the name service is used; its addresses are checked for each socket all the same."""

_CHUNK: Final = 65_536
AddrInfo = tuple[int | socket.AddressFamily, int | socket.SocketKind, int, str, tuple[Any, ...]]


@dataclass(slots=True)
class Progress:
    """How far one request has come, and what the guard said on its way.

    host: of the request, for what allow_hosts allows; opened: sockets made; refused: addresses it was
    refused; at_proxy: the connection to a proxy stands, and stages from here on are those behind it.
    """

    host: str
    stage: Stage = Stage.RESOLVE
    opened: int = 0
    refused: list[Refusal] = field(default_factory=list)
    at_proxy: bool = False

    def handshake_begins(self) -> None:
        """A connection stands, TLS comes next."""
        self.stage = Stage.TLS

    @property
    def only_refused(self) -> bool:
        """Whether the guard is the only reason for a failure; an allowed address may work next time."""
        return bool(self.refused) and not self.opened


PROGRESS: ContextVar[Progress | None] = ContextVar("progress", default=None)
"""The request that this task, and the tasks it starts to connect, are about."""


class EgressRefusedError(PermissionError):
    """The guard made no socket."""


class Guard:
    """Makes the connector's sockets, or refuses to.

    With a proxy the only sockets are those to it. Wherever it is, somebody has set it.
    """

    def __init__(self, policy: EgressPolicy, proxy: Proxy | None = None) -> None:
        self._policy = policy
        self._proxy_port = None if proxy is None else proxy.port

    def __call__(self, info: AddrInfo) -> socket.socket:
        """A socket for one address of the current request's host. Raises EgressRefusedError."""
        family, kind, proto, _, address = info
        progress = PROGRESS.get()
        if progress is None:
            # Without a host nothing can be allowed by name, and nothing should connect outside a request.
            raise EgressRefusedError("a connection outside a request")
        progress.stage = Stage.CONNECT
        refusal = self._refusal(address[0], address[1], progress.host)
        if refusal is not None:
            progress.refused.append(refusal)
            raise EgressRefusedError(refusal.message)
        progress.opened += 1
        return socket.socket(family, kind, proto)

    def _refusal(self, ip: str, port: int, host: str) -> Refusal | None:
        if self._proxy_port is None:
            return self._policy.check_address(ip, port, host)
        if port == self._proxy_port:
            return None
        return Refusal("port", f"port {port} is not the proxy's: nothing is called but through the proxy")


def guarded_session(
    policy: EgressPolicy,
    tls: ssl.SSLContext,
    connect_timeout: float,
    resolver: AbstractResolver,
    *,
    bufsize: int,
    proxy: Proxy | None = None,
) -> aiohttp.ClientSession:
    """The one session of a Poster: no cookies, no inflating, no proxy but the one given.

    connect_timeout: seconds for name, connection and handshake together; bufsize: bytes of an answer held at
    most while nobody reads it. Redirects are its caller's business.
    """
    connector = _Connector(
        connect_timeout,
        proxied=proxy is not None,
        limit=0,  # how many are in flight is the sender's decision
        ssl=tls,
        resolver=resolver,
        ttl_dns_cache=DNS_TTL,
        keepalive_timeout=KEEP_ALIVE,
        socket_factory=Guard(policy, proxy),
    )
    return aiohttp.ClientSession(
        connector=connector,
        cookie_jar=aiohttp.DummyCookieJar(),
        trust_env=False,
        auto_decompress=False,
        request_class=_Request,
        read_bufsize=bufsize,
        proxy=None if proxy is None else proxy.url,
    )


class Body(Payload):
    """A request's body; tells its progress when it begins and when all of it is on its way."""

    _value: bytes

    def __init__(self, value: bytes, progress: Progress) -> None:
        super().__init__(value, content_type="application/json")
        self._size = len(value)
        self._progress = progress

    def decode(self, encoding: str = "utf-8", errors: str = "strict") -> str:
        """The body as text, for aiohttp's own error reports."""
        return self._value.decode(encoding, errors)

    async def write(self, writer: AbstractStreamWriter) -> None:
        """Called by aiohttp once a connection stands."""
        self._progress.stage = Stage.WRITE
        if len(self._value) <= _CHUNK:
            await writer.write(self._value)
        else:
            # In pieces, so that a receiver that doesn't read stops it, and other requests get their turn.
            for start in range(0, len(self._value), _CHUNK):
                await writer.write(self._value[start : start + _CHUNK])
        self._progress.stage = Stage.READ

    async def write_with_length(self, writer: AbstractStreamWriter, content_length: int | None) -> None:
        """The same: the length is always the whole body's."""
        del content_length
        await self.write(writer)


class _Request(aiohttp.ClientRequest):
    """No headers but ours: no Accept, and no Accept-Encoding that would invite compression."""

    DEFAULT_HEADERS = {}  # noqa: RUF012 - as the base class declares it


class _Connector(aiohttp.TCPConnector):
    """Limits the way to a new connection.

    aiohttp's own limit sets a timer for each request on a kept connection too, a tenth of what a request
    costs.
    """

    def __init__(
        self,
        limit_seconds: float,
        *,
        proxied: bool,
        **options: Any,  # passed on as they come
    ) -> None:
        super().__init__(**options)
        self._limit_seconds = limit_seconds
        self._proxied = proxied

    async def _create_connection(
        self,
        req: aiohttp.ClientRequest,
        traces: list[Any],
        timeout: aiohttp.ClientTimeout,  # noqa: ASYNC109 - the base class's
    ) -> ResponseHandler:
        async with asyncio.timeout(self._limit_seconds):
            return await super()._create_connection(req, traces, timeout)

    async def _create_direct_connection(
        self, req: aiohttp.ClientRequest, *args: Any, **kwargs: Any
    ) -> tuple[asyncio.Transport, ResponseHandler]:
        """To the receiver; with a proxy, to that: what is between the two connections shows nowhere else."""
        made = await super()._create_direct_connection(req, *args, **kwargs)
        progress = PROGRESS.get()
        if self._proxied and progress is not None:
            progress.at_proxy, progress.stage = True, Stage.CONNECT
        return made
