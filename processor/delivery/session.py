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
    refused.
    """

    host: str
    stage: Stage = Stage.RESOLVE
    opened: int = 0
    refused: list[Refusal] = field(default_factory=list)

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
    """Makes the connector's sockets, or refuses to."""

    def __init__(self, policy: EgressPolicy) -> None:
        self._policy = policy

    def __call__(self, info: AddrInfo) -> socket.socket:
        """A socket for one address of the current request's host. Raises EgressRefusedError."""
        family, kind, proto, _, address = info
        progress = PROGRESS.get()
        if progress is None:
            # Without a host nothing can be allowed by name, and nothing should connect outside a request.
            raise EgressRefusedError("a connection outside a request")
        progress.stage = Stage.CONNECT
        refusal = self._policy.check_address(address[0], address[1], progress.host)
        if refusal is not None:
            progress.refused.append(refusal)
            raise EgressRefusedError(refusal.message)
        progress.opened += 1
        return socket.socket(family, kind, proto)


def guarded_session(
    policy: EgressPolicy,
    tls: ssl.SSLContext,
    connect_timeout: float,
    resolver: AbstractResolver,
    bufsize: int,
) -> aiohttp.ClientSession:
    """The one session of a Poster: no proxies, no cookies, no inflating; redirects are its caller's business.

    connect_timeout: seconds for name, connection and handshake together; bufsize: bytes of an answer held at
    most while nobody reads it.
    """
    connector = _Connector(
        connect_timeout,
        limit=0,  # how many are in flight is the sender's decision
        ssl=tls,
        resolver=resolver,
        ttl_dns_cache=DNS_TTL,
        keepalive_timeout=KEEP_ALIVE,
        socket_factory=Guard(policy),
    )
    return aiohttp.ClientSession(
        connector=connector,
        cookie_jar=aiohttp.DummyCookieJar(),
        trust_env=False,
        auto_decompress=False,
        request_class=_Request,
        read_bufsize=bufsize,
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

    def __init__(self, limit_seconds: float, **options: Any) -> None:  # Any: passed on as they come
        super().__init__(**options)
        self._limit_seconds = limit_seconds

    async def _create_connection(
        self,
        req: aiohttp.ClientRequest,
        traces: list[Any],
        timeout: aiohttp.ClientTimeout,  # noqa: ASYNC109 - the base class's
    ) -> ResponseHandler:
        async with asyncio.timeout(self._limit_seconds):
            return await super()._create_connection(req, traces, timeout)
