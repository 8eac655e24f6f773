"""Name look-ups that can't hold up each other, nor the end of the process.

getaddrinfo(3) blocks for as long as a name server is silent. The event loop's own look-ups share a handful of
threads, so a few dead names would stop all others; here each has a daemon thread of its own.
"""

import asyncio
import socket
import threading
from contextlib import suppress
from typing import Final

from aiohttp.abc import AbstractResolver, ResolveResult

MAX_LOOKUPS: Final = 256
"""At once; the connector asks once per name and keeps the answer for some seconds."""


class ThreadResolver(AbstractResolver):
    """getaddrinfo(3), so with the machine's hosts file and name service switch."""

    def __init__(self) -> None:
        self._slots = asyncio.Semaphore(MAX_LOOKUPS)

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        """All addresses of host. Raises OSError."""
        loop = asyncio.get_running_loop()
        async with self._slots:
            answer: asyncio.Future[list[ResolveResult]] = loop.create_future()
            threading.Thread(
                target=_look_up, args=(loop, answer, host, port, family), name="resolve", daemon=True
            ).start()
            return await answer

    async def close(self) -> None:
        """Nothing to release: threads that still wait end by themselves."""


def _look_up(
    loop: asyncio.AbstractEventLoop,
    answer: "asyncio.Future[list[ResolveResult]]",
    host: str,
    port: int,
    family: socket.AddressFamily,
) -> None:
    error: OSError | None = None
    found: list[ResolveResult] = []
    try:
        for kind, _, proto, _, address in socket.getaddrinfo(
            host, port, family, socket.SOCK_STREAM, 0, socket.AI_ADDRCONFIG
        ):
            if kind in {socket.AF_INET, socket.AF_INET6}:
                found.append(
                    ResolveResult(
                        hostname=host,
                        host=str(address[0]),
                        port=port,
                        family=kind,
                        proto=proto,
                        flags=socket.AI_NUMERICHOST | socket.AI_NUMERICSERV,
                    )
                )
    except OSError as failure:
        error = failure
    except UnicodeError:
        error = OSError(None, "not a name that can be looked up")

    def tell() -> None:
        if answer.done():
            return
        if error is not None:
            answer.set_exception(error)
        else:
            answer.set_result(found)

    with suppress(RuntimeError):  # the loop was closed meanwhile
        loop.call_soon_threadsafe(tell)
