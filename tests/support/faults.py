"""Receivers that go wrong, each in one way and on a port of its own, in a thread beside the test."""

import asyncio
import gzip
import socket
import struct
import threading
from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import Literal, Self

from tests.support.brokers import free_port
from tests.support.hosts import Hosts
from tests.support.receivers import Authority, Behaviour, Reader, Receiver, Writer, answering, receiving

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"
MIB = 1_048_576

_ZEROS = gzip.compress(b"\0" * 64 * MIB)
_BOMB = b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: %d\r\n\r\n%b" % (len(_ZEROS), _ZEROS)


@dataclass(frozen=True)
class Fault:
    """One way to go wrong, and what becomes of a job by it in how many attempts, two retries being scheduled.

    url: with `{port}`. hangs: whether an attempt lasts until its time-out. flips: its name becomes one that
    may not be called after the first request; a first attempt that has to be made again then is the last.
    """

    name: str
    ends: Literal["delivered", "exhausted", "gone", "blocked"]
    attempts: int
    behaviour: Behaviour | None = None
    url: str = "http://127.0.0.1:{port}/hook"
    certificate: Literal["another name", "expired"] | None = None
    hangs: bool = False
    stage: str | None = None
    flips: bool = False


async def _never(receiver: Receiver, reader: Reader, writer: Writer) -> None:
    await asyncio.Event().wait()


def _begins(head: bytes) -> Behaviour:
    """Reads the request, begins to answer, and hangs."""

    async def behave(receiver: Receiver, reader: Reader, writer: Writer) -> None:
        await receiver.read_request(reader)
        writer.write(head)
        await writer.drain()
        await asyncio.Event().wait()

    return behave


async def _resets(receiver: Receiver, reader: Reader, writer: Writer) -> None:
    await receiver.read_request(reader)
    sock: socket.socket = writer.get_extra_info("socket")
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


async def _drips(receiver: Receiver, reader: Reader, writer: Writer) -> None:
    await receiver.read_request(reader)
    for byte in b"HTTP/1.1 200 OK\r\nX-Slow: " + b"x" * 100_000:
        writer.write(bytes([byte]))
        await writer.drain()
        await asyncio.sleep(1)


async def _floods(receiver: Receiver, reader: Reader, writer: Writer) -> None:
    await receiver.read_request(reader)
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % (64 * MIB))
    for _ in range(64):
        writer.write(b"x" * MIB)
        await writer.drain()


async def _asks_for_patience(receiver: Receiver, reader: Reader, writer: Writer) -> None:
    """429 to a first attempt, however often it comes."""
    while True:
        await receiver.read_request(reader)
        first = receiver.header("webhook-attempt") == "1"
        writer.write(b"HTTP/1.1 429 No\r\nRetry-After: 2\r\nContent-Length: 0\r\n\r\n" if first else OK)
        await writer.drain()


FAULTS = (
    Fault("hangs after accept", "exhausted", 3, _never, hangs=True, stage="read"),
    Fault(
        "hangs after the status line",
        "exhausted",
        3,
        _begins(b"HTTP/1.1 200 OK\r\n"),
        hangs=True,
        stage="read",
    ),
    Fault(
        "hangs after the headers",
        "delivered",
        1,
        _begins(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n"),
    ),
    Fault(
        "hangs in the body of a 500",
        "exhausted",
        3,
        _begins(b"HTTP/1.1 500 No\r\nContent-Length: 100\r\n\r\nhalf"),
        hangs=True,
        stage="status",
    ),
    Fault(
        "hangs in the body of a 200",
        "delivered",
        1,
        _begins(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf"),
    ),
    Fault("drips a byte a second", "exhausted", 3, _drips, hangs=True, stage="read"),
    Fault("resets", "exhausted", 3, _resets, stage="read"),
    Fault("sends 64 MiB", "delivered", 1, _floods),
    Fault("sends 64 MiB in 64 KiB", "delivered", 1, answering(_BOMB)),
    Fault(
        "has another name's certificate",
        "exhausted",
        3,
        answering(OK),
        "https://127.0.0.1:{port}/hook",
        "another name",
        stage="tls",
    ),
    Fault(
        "has an expired certificate",
        "exhausted",
        3,
        answering(OK),
        "https://localhost:{port}/hook",
        "expired",
        stage="tls",
    ),
    Fault(
        "has a name that does not resolve",
        "exhausted",
        3,
        url="http://receiver.invalid:{port}/hook",
        stage="resolve",
    ),
    Fault("refuses connections", "exhausted", 3, stage="connect"),
    Fault("asks for patience", "delivered", 2, _asks_for_patience),
    Fault("is gone", "gone", 1, answering(b"HTTP/1.1 410 Gone\r\nContent-Length: 0\r\n\r\n"), stage="status"),
)

MIXED, FLIPS = "mixed.test", "flips.test"
PRIVATE = "10.255.255.1"
NAMES = {MIXED: [PRIVATE, "127.0.0.1", "10.255.255.2"], FLIPS: ["127.0.0.1"]}


def faults_of_names(hosts: Hosts) -> tuple[Fault, ...]:
    """What may go wrong with names, if the sender resolves them by `hosts` (of NAMES)."""

    async def flip(receiver: Receiver, reader: Reader, writer: Writer) -> None:
        await receiver.read_request(reader)
        hosts.change(FLIPS, [PRIVATE])
        # The next attempt comes after the sender has forgotten what the name was.
        writer.write(b"HTTP/1.1 503 No\r\nRetry-After: 12\r\nContent-Length: 0\r\n\r\n")
        await writer.drain()

    return (
        Fault(
            "has private addresses beside its own",
            "delivered",
            1,
            answering(OK),
            f"http://{MIXED}:{{port}}/hook",
        ),
        Fault("flips to a private address", "blocked", 2, flip, f"http://{FLIPS}:{{port}}/hook", flips=True),
    )


class Faulty:
    """A context manager: each fault once, listening from __enter__ to __exit__."""

    def __init__(self, authority: Authority, faults: Sequence[Fault]) -> None:
        self._authority = authority
        self._faults = faults
        self._receivers: dict[str, Receiver] = {}
        self._ports = {fault.name: free_port() for fault in faults}
        self._started: Future[None] = Future()
        self._stop: asyncio.Event | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve()), name="faults", daemon=True)

    def url(self, fault: Fault) -> str:
        """Where the fault is met."""
        return fault.url.format(port=self._ports[fault.name])

    def port(self, fault: Fault) -> int:
        """Its port; where nothing listens, a free one."""
        return self._ports[fault.name]

    @property
    def connections(self) -> Mapping[str, int]:
        """How many came so far, by fault."""
        return {name: receiver.connections for name, receiver in self._receivers.items()}

    def requests(self, fault: Fault) -> list[tuple[str, int]]:
        """The webhook-id and attempt number of each request that was read, in order."""
        receiver = self._receivers.get(fault.name)
        if receiver is None:
            return []
        return [
            (receiver.header("webhook-id", n) or "", int(receiver.header("webhook-attempt", n) or 0))
            for n in range(len(receiver.requests))
        ]

    def __enter__(self) -> Self:
        self._thread.start()
        self._started.result(30)
        return self

    def __exit__(self, *_: object) -> None:
        assert self._loop is not None
        assert self._stop is not None
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(30)
        assert not self._thread.is_alive(), "the receivers' thread ends"

    async def _serve(self) -> None:
        self._loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
        try:
            async with AsyncExitStack() as stack:
                for fault in self._faults:
                    if fault.behaviour is None:
                        continue
                    tls = None
                    if fault.certificate is not None:
                        expired = fault.certificate == "expired"
                        name = "localhost" if expired else "another.example"
                        tls = self._authority.serving(self._authority.issue(name, expired=expired))
                    self._receivers[fault.name] = await stack.enter_async_context(
                        receiving(fault.behaviour, tls, port=self._ports[fault.name])
                    )
                self._started.set_result(None)
                await self._stop.wait()
        except BaseException as error:
            if self._started.done():
                raise
            self._started.set_exception(error)
