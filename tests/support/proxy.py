"""A small forward proxy on 127.0.0.1: tunnels (CONNECT) and absolute-form requests, over real sockets."""

import asyncio
import base64
import ssl
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field

from yarl import URL

from tests.support.receivers import Behaviour, Reader, Receiver, Writer, receiving


@dataclass
class ForwardProxy:
    """What it was asked, in order: the first line of each request, and its Proxy-Authorization."""

    at: Receiver
    asked: list[str] = field(default_factory=list)
    credentials: list[str | None] = field(default_factory=list)
    heads: list[bytes] = field(default_factory=list)

    def url(self, userinfo: str = "", scheme: str = "http", host: str = "127.0.0.1") -> str:
        return f"{scheme}://{userinfo}{host}:{self.at.port}"


@asynccontextmanager
async def proxying(
    names: Mapping[str, str],
    *,
    login: str | None = None,
    tls: ssl.SSLContext | None = None,
    instead: Behaviour | None = None,
) -> AsyncIterator[ForwardProxy]:
    """A proxy for the length of the block.

    names: what the proxy resolves (others: 502); login: the `user:password` it wants; tls: it speaks TLS
    itself; instead: what it does with a request in place of passing it on.
    """
    wanted = None if login is None else "Basic " + base64.b64encode(login.encode()).decode()

    async def serve(receiver: Receiver, reader: Reader, writer: Writer) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        first, headers = _parsed(head)
        proxy.asked.append(first)
        proxy.heads.append(head)
        proxy.credentials.append(headers.get("proxy-authorization"))
        if wanted is not None and headers.get("proxy-authorization") != wanted:
            writer.write(b"HTTP/1.1 407 No\r\nProxy-Authenticate: Basic realm=p\r\nContent-Length: 0\r\n\r\n")
            await writer.drain()
            return
        if instead is not None:
            await instead(receiver, reader, writer)
            return
        method, target, _ = first.split(" ")
        url = URL(f"https://{target}" if method == "CONNECT" else target)
        try:
            there = await asyncio.open_connection(names[(url.host or "").removesuffix(".")], url.port)
        except (KeyError, OSError):
            writer.write(b"HTTP/1.1 502 No\r\nContent-Length: 0\r\n\r\n")
            await writer.drain()
            return
        if method == "CONNECT":
            writer.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
        else:
            there[1].write(_origin_form(head, url))
        await _joined((reader, writer), there)

    async with receiving(serve, tls) as receiver:
        proxy = ForwardProxy(receiver)
        yield proxy


def _parsed(head: bytes) -> tuple[str, dict[str, str]]:
    first, *lines = head.decode("latin-1").rstrip("\r\n").split("\r\n")
    return first, {k.lower(): v.strip() for k, _, v in (line.partition(":") for line in lines)}


def _origin_form(head: bytes, url: URL) -> bytes:
    lines = head.split(b"\r\n")
    lines[0] = lines[0].replace(str(url.origin()).encode(), b"", 1)
    return b"\r\n".join(line for line in lines if not line.lower().startswith(b"proxy-"))


async def _joined(here: tuple[Reader, Writer], there: tuple[Reader, Writer]) -> None:
    """Both ways until one side ends."""

    async def copy(reader: Reader, writer: Writer) -> None:
        with suppress(OSError):
            while data := await reader.read(65_536):
                writer.write(data)
                await writer.drain()

    ways = [asyncio.create_task(copy(here[0], there[1])), asyncio.create_task(copy(there[0], here[1]))]
    try:
        await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
    finally:
        there[1].transport.abort()  # first: the next line may be cancelled
        for way in ways:
            way.cancel()
        await asyncio.gather(*ways, return_exceptions=True)
