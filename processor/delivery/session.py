"""Connections to receivers, each socket of which is checked, and how they report the way of a request.

The guard looks at the address a socket will be connected to, when the socket is made: whatever a name service
said before or says later, there is no other way to a connection.

aiohttp's connector makes the connections and keeps them, its parser reads the answers; its client session,
which costs twice as much as all the rest of a request, is not used (DESIGN.md, "Where a delivery's
microseconds go").
"""

import asyncio
import socket
import ssl
from contextvars import ContextVar
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, Final

import aiohttp
from aiohttp.abc import AbstractResolver
from aiohttp.client_proto import ResponseHandler
from aiohttp.connector import Connection
from multidict import CIMultiDict

from processor.delivery.outcome import Stage
from processor.delivery.proxy import Proxy
from processor.egress import EgressPolicy, Refusal
from processor.egress.target import Target

KEEP_ALIVE: Final = 4.0
"""Seconds an idle connection is kept: less than the 5 s of common servers, which would close it under a
request."""

DNS_TTL: Final = 10
"""Seconds an answer of the name service is used; its addresses are checked for each socket all the same."""

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


class Route:
    """The way to one URL: what the connector has to know of it, and how requests to it begin.

    head: request line, Host, and what a proxy that reads the request itself is told.
    """

    __slots__ = ("head", "request", "target")

    def __init__(self, target: Target, user_agent: str, proxy: Proxy | None = None) -> None:
        """For the running event loop. `user_agent` is what CONNECT carries; the receiver doesn't see it."""
        self.target = target
        loop = asyncio.get_running_loop()
        form, told = target.url.raw_path_qs, ""
        if proxy is None:
            self.request = _Request("POST", target.url, loop=loop)
        else:
            to_proxy = CIMultiDict({"User-Agent": user_agent, **proxy.headers})
            self.request = _Request(
                "POST",
                target.url,
                loop=loop,
                proxy=proxy.url,
                proxy_headers=to_proxy,
                # As the direct way does: a name's last dot is in no certificate.
                server_hostname=target.host,
            )
            # Connections are kept by these headers among others, and connecting for the first time adds it.
            to_proxy["Host"] = self.request.headers["Host"]
            if target.scheme == "http":
                form = str(target.url.with_fragment(None))
                told = "".join(f"{name}: {value}\r\n" for name, value in proxy.headers.items())
        host = self.request.headers["Host"]
        self.head = f"POST {form} HTTP/1.1\r\nHost: {host}\r\n{told}".encode("ascii")


class Connections:
    """Opens connections and keeps them for a while: no cookies, no inflating, no proxy but the one given."""

    def __init__(
        self,
        policy: EgressPolicy,
        tls: ssl.SSLContext,
        connect_timeout: float,
        resolver: AbstractResolver,
        proxy: Proxy | None = None,
    ) -> None:
        """For the running event loop.

        connect_timeout: seconds for name, connection and handshake together.
        """
        self._connector = _Connector(
            connect_timeout,
            proxied=proxy is not None,
            limit=0,  # how many are in flight is the sender's decision
            ssl=tls,
            resolver=resolver,
            ttl_dns_cache=DNS_TTL,
            keepalive_timeout=KEEP_ALIVE,
            socket_factory=Guard(policy, proxy),
        )

    async def connect(self, route: Route, seconds: float) -> Connection:
        """A connection for one request; a kept one if there is one.

        Raises TimeoutError after so many seconds (or the limit for connecting), aiohttp.ClientError, OSError.
        To be released if the whole answer was read, else to be closed.
        """
        while True:
            connection = await self._connector.connect(route.request, [], _limit(seconds))
            if connection.protocol is not None and not connection.protocol.should_close:
                return connection
            connection.close()  # something came on it while it was kept: an answer nobody asked for

    async def close(self) -> None:
        """Close all of them."""
        await self._connector.close()


@lru_cache(maxsize=256)
def _limit(seconds: float) -> aiohttp.ClientTimeout:
    return aiohttp.ClientTimeout(total=seconds)


class _Request(aiohttp.ClientRequest):
    """No headers but ours: no Accept, and no Accept-Encoding that would invite compression."""

    DEFAULT_HEADERS = {}  # noqa: RUF012 - as the base class declares it


class _Connector(aiohttp.TCPConnector):
    """Limits the way to a new connection, and only that: a kept one needs no timer."""

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
        async with asyncio.timeout(min(self._limit_seconds, timeout.total or self._limit_seconds)):
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
