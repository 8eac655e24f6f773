"""Servers on an event loop of their own, for tests that block."""

import asyncio
import threading
from collections.abc import Awaitable, Callable, Iterator
from concurrent.futures import Future
from contextlib import AsyncExitStack, contextmanager
from typing import TypeVar

T = TypeVar("T")


@contextmanager
def beside(servers: Callable[[AsyncExitStack], Awaitable[T]]) -> Iterator[T]:
    """Servers in an event loop of their own, in a thread beside the test; what `servers` returns.

    It enters what it needs into the stack, which is left at the end of the block.
    """
    started: Future[tuple[T, asyncio.AbstractEventLoop, asyncio.Event]] = Future()

    async def serve() -> None:
        try:
            async with AsyncExitStack() as stack:
                stop = asyncio.Event()
                started.set_result((await servers(stack), asyncio.get_running_loop(), stop))
                await stop.wait()
        except BaseException as error:
            if started.done():
                raise
            started.set_exception(error)

    thread = threading.Thread(target=lambda: asyncio.run(serve()), name="servers", daemon=True)
    thread.start()
    made, loop, stop = started.result(30)
    try:
        yield made
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join(30)
        assert not thread.is_alive(), "the servers' thread ends"
