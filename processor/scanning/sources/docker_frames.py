"""Frames of the Docker Engine API's log streams: bytes in, payloads out.

A container without a terminal has its two streams multiplexed: each log entry is a frame of an eight-byte
header (which stream, three zeros, the payload's size in network order) and the payload
(https://docs.docker.com/reference/api/engine/version/v1.41/#tag/Container/operation/ContainerAttach).
"""

from __future__ import annotations

import re
import struct
from typing import Final

from processor.scanning.sources.docker_stamps import STAMP

MAX_PAYLOAD: Final = 16 << 20
"""Bytes of one frame's payload; a header that says more lies."""

HEADER: Final = struct.Struct(">II")
_STDIN, _STDERR = 0, 2
_SHIFT: Final = 24

# How a frame with a time stamp begins: where to go on after a header that lied.
_BEGINNING: Final = re.compile(rb"[\x00-\x02]\x00\x00\x00[\x00\x01][\s\S]{3}(?=" + STAMP.pattern + rb")")
_LONGEST_BEGINNING: Final = HEADER.size + 36


class Frames:
    """Takes the bytes of a multiplexed stream as they come, gives whole frames.

    A header that can't be one (an unknown stream, a size over MAX_PAYLOAD) makes it look for the next place
    where a frame with a time stamp begins; what lies between is counted in `skipped` (bytes) and `lies`
    (headers). It holds at most one payload and what came with it.
    """

    __slots__ = ("_astray", "_held", "_size", "_wanted", "lies", "skipped")

    def __init__(self) -> None:
        self.lies = 0
        self.skipped = 0
        self._astray = False
        self._held: list[bytes] = []
        self._size = 0
        self._wanted = HEADER.size

    @property
    def held(self) -> int:
        """Bytes of a frame that isn't whole yet."""
        return self._size

    def feed(self, data: bytes) -> tuple[bytearray, list[bytes]]:
        """The streams (1 stdout, 2 stderr) and payloads of the frames that `data` completes."""
        if self._size:
            self._held.append(data)
            self._size += len(data)
            if self._size < self._wanted:
                return bytearray(), []
            data = b"".join(self._held)
        streams, payloads = bytearray(), list[bytes]()
        at, end = 0, len(data)
        wanted = HEADER.size
        unpack = HEADER.unpack_from
        while end - at >= HEADER.size:
            if self._astray:
                at = self._find(data, at)
                if self._astray:
                    break
            word, size = unpack(data, at)
            stream = word >> _SHIFT
            if word & 0xFFFFFF or stream > _STDERR or size > MAX_PAYLOAD:
                self.lies += 1
                self._astray = True
                self.skipped += 1
                at += 1
                continue
            stop = at + HEADER.size + size
            if stop > end:
                wanted = HEADER.size + size
                break
            # Stream 0 is standard input, which is written to standard output where it shows up at all.
            streams.append(stream or 1)
            payloads.append(data[at + HEADER.size : stop])
            at = stop
        self._held = [data[at:]] if at < end else []
        self._size = end - at
        self._wanted = wanted
        return streams, payloads

    def _find(self, data: bytes, at: int) -> int:
        found = _BEGINNING.search(data, at)
        self._astray = found is None
        # The last bytes may be the first ones of a beginning that isn't all here yet.
        to = found.start() if found else max(at, len(data) - _LONGEST_BEGINNING)
        self.skipped += to - at
        return to
