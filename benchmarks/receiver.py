"""Receivers for load: a process of its own that answers 200 to whatever is POSTed, as cheaply as it can.

It listens on several addresses of 127.0.0.0/8 at one port, counts, and notes how long each body that is
stamped took to come. Some of its addresses may hang: they read and never answer. What it has counted is asked
for by GET: /count is one number, /delays the seconds by address since the last time they were asked for.
"""

import argparse
import asyncio
import json
import time
from collections import defaultdict
from typing import cast

import uvloop

from benchmarks.workload import sent_at

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
_END = b"\r\n\r\n"
_LENGTH = b"content-length:"


class Tally:
    """What all connections have received."""

    def __init__(self, *, timed: bool) -> None:
        self.timed = timed
        self.count = 0
        self.delays: dict[str, list[float]] = defaultdict(list)

    def answer(self, path: bytes) -> bytes:
        """The answer to a GET."""
        if path == b"/delays":
            body = json.dumps(self.delays)
            self.delays.clear()
        else:
            body = str(self.count)
        return b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body.encode())


class Hook(asyncio.Protocol):
    """One connection. Requests hold a Content-Length or no body."""

    def __init__(self, tally: Tally, address: str, *, hangs: bool) -> None:
        self._tally = tally
        self._address = address
        self._hangs = hangs
        self._rest = b""
        self._transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        data = self._rest + data if self._rest else data
        while (end := data.find(_END)) >= 0:
            head = data[:end].lower()
            at = head.find(_LENGTH)
            length = 0 if at < 0 else int(head[at + len(_LENGTH) :].split(b"\r", 1)[0])
            whole = end + len(_END) + length
            if len(data) < whole:
                break
            self._request(data, end + len(_END), whole)
            data = data[whole:]
        self._rest = data

    def _request(self, data: bytes, start: int, end: int) -> None:
        tally = self._tally
        if data.startswith(b"GET "):
            self._transport.write(tally.answer(data.split(b" ", 2)[1]))
            return
        if tally.timed and (sent := sent_at(data[start:end])) is not None:
            tally.delays[self._address].append((time.time_ns() - sent) / 1e9)
        if not self._hangs:
            tally.count += 1
            self._transport.write(OK)


async def serve(network: str, port: int, count: int, hanging: list[int], *, timed: bool) -> None:
    """Listen on `network`.1 to `network`.`count`; `hanging` are the numbers that never answer."""
    loop = asyncio.get_running_loop()
    tally = Tally(timed=timed)
    servers = []
    for number in range(1, count + 1):
        address, hangs = f"{network}.{number}", number in hanging
        servers.append(
            await loop.create_server(
                lambda address=address, hangs=hangs: Hook(tally, address, hangs=hangs),  # type: ignore[misc]
                address,
                port,
                backlog=1024,
            )
        )
    await asyncio.Event().wait()


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("network")
    parser.add_argument("port", type=int)
    parser.add_argument("count", type=int)
    parser.add_argument("--hanging", type=int, nargs="*", default=[])
    parser.add_argument("--timed", action="store_true")
    options = parser.parse_args()
    uvloop.run(serve(options.network, options.port, options.count, options.hanging, timed=options.timed))


if __name__ == "__main__":
    main()
