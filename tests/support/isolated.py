"""Makes the sender's attempts in a network namespace of its own, for tests/support/isolation.py.

    unshare -n -m python -m tests.support.isolated DIRECTORY

Every address is local there (loopback.py), receivers listen on all of them, and getaddrinfo(3) asks a name
server of this process. Commands come as lines of JSON on standard input; each is answered by one.
"""

import asyncio
import json
import socket
import sys
from collections.abc import Mapping
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import uvloop
from msgspec.structs import asdict

from processor.delivery.http import Poster, WebhookRequest
from processor.delivery.tls import tls_context
from processor.egress import EgressPolicy
from tests.support.loopback import has_only_loopback, make_every_address_local, replace_file
from tests.support.name_server import serve_names

ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
EVERYWHERE = ("0.0.0.0", "::")
TLS = tls_context()
_IPV6_FREEBIND = 78  # linux/in6.h


def prepare(directory: Path) -> None:
    """The namespace as the tests want it; names come from the server on 127.0.0.1 and nowhere else."""
    make_every_address_local()
    files = {
        "resolv.conf": "nameserver 127.0.0.1\nsearch .\noptions timeout:5 attempts:1\n",
        "nsswitch.conf": "hosts: files dns\n",
        "hosts": "",
    }
    for name, text in files.items():
        place = Path("/etc") / name
        if place.exists():
            (directory / name).write_text(text)
            replace_file(place, directory / name)


class Receivers:
    """They listen on port 80 of every address, and where they are told to beside."""

    def __init__(self) -> None:
        self.reached: list[str] = []

    async def listen(self, host: str, port: int) -> asyncio.Server:
        six = ":" in host
        sock = socket.socket(socket.AF_INET6 if six else socket.AF_INET)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if six:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            # An address that is local by a route only can be bound to all the same.
            sock.setsockopt(socket.IPPROTO_IPV6, _IPV6_FREEBIND, 1)
        sock.bind((host, port))
        return await asyncio.start_server(self._serve, sock=sock)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reached.append(writer.get_extra_info("sockname")[0])
        try:
            await reader.readuntil(b"\r\n\r\n")
            writer.write(ANSWER)
            await writer.drain()
        except (OSError, EOFError):
            pass
        finally:
            writer.close()


async def attempts(command: Mapping[str, Any]) -> list[dict[str, Any]]:
    """One attempt for each URL: all at once through one Poster, or in turn through one each ("in_turn")."""
    policy = EgressPolicy(**command.get("policy", {}))

    def poster() -> Poster:
        return Poster(policy, TLS, timeout=10.0, connect_timeout=command.get("connect_timeout", 5.0))

    def request(url: str) -> WebhookRequest:
        return WebhookRequest(url=url, webhook_id="msg_x", attempt=1, body=b"{}")

    urls = command["urls"]
    outcomes = []
    if command.get("in_turn"):
        for url in urls:
            async with poster() as one:
                outcomes.append(await one.post(request(url)))
    else:
        async with poster() as one:
            outcomes = await asyncio.gather(*(one.post(request(url)) for url in urls))
    return [asdict(outcome) for outcome in outcomes]


async def main() -> None:
    names, receivers = await serve_names(), Receivers()
    for host in EVERYWHERE:
        await receivers.listen(host, 80)
    reader = asyncio.StreamReader(limit=2**24)
    await asyncio.get_running_loop().connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(reader), sys.stdin.buffer
    )
    print(json.dumps({"ready": has_only_loopback()}), flush=True)
    while line := await reader.readline():
        command = json.loads(line)
        names.tell(command.get("names", {}))
        receivers.reached.clear()
        async with AsyncExitStack() as stack:
            for host, port in command.get("listen", []):
                await stack.enter_async_context(await receivers.listen(host, port))
            outcomes = await attempts(command)
        print(json.dumps({"outcomes": outcomes, "reached": receivers.reached}), flush=True)


if __name__ == "__main__":
    try:
        prepare(Path(sys.argv[1]))
    except OSError as error:
        print(json.dumps({"refused": str(error)}), flush=True)
        sys.exit(1)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(main())
