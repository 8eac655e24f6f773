"""A small name server: tells of each name what it is told to, at each look-up something else if need be."""

import asyncio
import socket
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Final, cast

View = Sequence[str]
"""What one look-up gets: addresses, `cname:<name>`, or one of the words below."""

NXDOMAIN: Final = "NXDOMAIN"
SERVFAIL: Final = "SERVFAIL"
SILENCE: Final = "SILENCE"

# RFC 1035, 3.2.2, 4.1.1; RFC 3596, 2.1
_A, _CNAME, _AAAA = 1, 5, 28
_CODES: Final = {SERVFAIL: 2, NXDOMAIN: 3}


@dataclass
class NameServer(asyncio.DatagramProtocol):
    """names: by lower-case name its views, one for each look-up of one type; the last stays.

    asked: (name, type) of each question, in order. Answers live for no time at all (TTL 0).
    """

    names: Mapping[str, Sequence[View]] = field(default_factory=dict)
    asked: list[tuple[str, int]] = field(default_factory=list)

    def tell(self, names: Mapping[str, Sequence[View]]) -> None:
        """Know these names from now on, each from its first view."""
        self.names = names
        self.asked.clear()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.DatagramTransport", transport)  # uvloop's is of no such class

    def datagram_received(self, data: bytes, addr: tuple[str | object, int]) -> None:
        answer = self.answer(data)
        if answer is not None:
            self._transport.sendto(answer, addr)

    def answer(self, query: bytes) -> bytes | None:
        """The bytes to answer with; None for silence."""
        name, after = _read_name(query, 12)
        kind = struct.unpack_from("!H", query, after)[0]
        question = query[12 : after + 4]
        view = self._view(name, kind)
        if SILENCE in view:
            return None
        code = next((_CODES[word] for word in view if word in _CODES), 0)
        records = [] if code else list(self._records(name, kind, view))
        flags = 0x8580 | code  # an answer, authoritative, recursion desired and available
        head = query[:2] + struct.pack("!HHHHH", flags, 1, len(records), 0, 0)
        return head + question + b"".join(records)

    def _view(self, name: str, kind: int) -> View:
        count = self.asked.count((name, kind))
        self.asked.append((name, kind))
        views = self.names.get(name, [[NXDOMAIN]])
        return views[min(count, len(views) - 1)]

    def _records(self, name: str, kind: int, view: View) -> list[bytes]:
        records = []
        for text in view:
            if text.startswith("cname:"):
                alias = text.removeprefix("cname:")
                records.append(_record(name, _CNAME, _write_name(alias)))
                records.extend(self._records(alias, kind, self._view(alias, kind)))
                continue
            address = ip_address(text)
            if isinstance(address, IPv4Address if kind == _A else IPv6Address):
                records.append(_record(name, kind, address.packed))
        return records


async def serve_names() -> NameServer:
    """A server on 127.0.0.1:53, until the loop ends."""
    _, server = await asyncio.get_running_loop().create_datagram_endpoint(
        NameServer, ("127.0.0.1", 53), family=socket.AF_INET
    )
    return server


def _record(name: str, kind: int, data: bytes) -> bytes:
    return _write_name(name) + struct.pack("!HHIH", kind, 1, 0, len(data)) + data


def _write_name(name: str) -> bytes:
    return b"".join(bytes([len(label)]) + label.encode() for label in name.split(".")) + b"\0"


def _read_name(message: bytes, at: int) -> tuple[str, int]:
    labels = []
    while length := message[at]:
        labels.append(message[at + 1 : at + 1 + length].decode("ascii").lower())
        at += 1 + length
    return ".".join(labels), at + 1
