"""Lines as container runtimes write them for the kubelet: `TIME STREAM TAG TEXT`.

The format is Kubernetes' CRI logging format (design-proposals-archive, node/kubelet-cri-logging.md): the time
is RFC 3339 with nanoseconds, the stream stdout or stderr, the tag F for a full line or P for a part of one,
perhaps with more tags behind a colon. Runtimes cut lines at 16 KiB; the parts are joined here. Pure.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import repeat
from typing import Final, NamedTuple

from processor.scanning.lines import MAX_LINE, STDERR, STDOUT

_LINE: Final = re.compile(
    rb"^(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{1,9})?(?:Z|[+-]\d\d:\d\d)) "
    rb"(stdout|stderr) ([FP])(?::[^ \n]*)? ?([^\n]*)\n",
    re.MULTILINE,
)
_STREAMS: Final = {b"stdout": STDOUT, b"stderr": STDERR}
_NAMES: Final = {STDOUT: "stdout", STDERR: "stderr"}

_Fields = tuple[bytes, bytes, bytes, bytes]


class Parsed(NamedTuple):
    """Lines in columns, as `lines.Lines` has them; cut counts the texts that are parts of too long a line."""

    texts: Sequence[bytes]
    streams: bytes
    times: Sequence[bytes]
    cut: int


@dataclass(slots=True)
class _Part:
    """The beginning of a line whose end has not come yet. `cut`: a part of it has been handed over."""

    time: bytes
    pieces: list[bytes] = field(default_factory=list)
    size: int = 0
    cut: bool = False


@dataclass(slots=True)
class _Columns:
    texts: list[bytes] = field(default_factory=list)
    streams: bytearray = field(default_factory=bytearray)
    times: list[bytes] = field(default_factory=list)
    cut: int = 0

    def add(self, text: bytes, stream: int, time: bytes, *, cut: bool) -> None:
        self.texts.append(text)
        self.streams.append(stream)
        self.times.append(time)
        self.cut += cut

    def done(self) -> Parsed:
        return Parsed(self.texts, bytes(self.streams), self.times, self.cut)


class CriLog:
    """Reads one container's lines in the order they were written; keeps what is not whole yet."""

    def __init__(self) -> None:
        self.foreign = 0
        """Lines so far that were not in the format; each is handed over as it is, without a time."""
        self._open: dict[int, _Part] = {}

    def parse(self, data: bytes) -> Parsed:
        """The lines in `data`, which ends with an end of line unless its last line is too long to be had."""
        found: list[_Fields] = _LINE.findall(data)
        if found and len(data) <= MAX_LINE and len(found) == data.count(b"\n") and data.endswith(b"\n"):
            times, names, tags, texts = zip(*found, strict=True)
            if not self._open and b"P" not in tags:
                if b"stderr" not in names:
                    return Parsed(texts, bytes(repeat(STDOUT, len(texts))), times, 0)
                return Parsed(texts, bytes(map(_STREAMS.__getitem__, names)), times, 0)
        return self._carefully(data)

    def finish(self) -> Parsed:
        """What is left when nothing more will come: lines that never got their end."""
        columns = _Columns()
        for stream, part in sorted(self._open.items()):
            columns.add(b"".join(part.pieces), stream, part.time, cut=part.cut)
        self._open.clear()
        return columns.done()

    def save(self) -> dict[str, str | int]:
        """What is not whole yet, as a part of a position."""
        saved: dict[str, str | int] = {}
        for stream, part in self._open.items():
            name = _NAMES[stream]
            saved[name] = base64.b64encode(b"".join(part.pieces)).decode()
            saved[f"{name}_time"] = part.time.decode()
            saved[f"{name}_cut"] = int(part.cut)
        return saved

    def restore(self, position: Mapping[str, str | int]) -> None:
        """Take back what save() gave."""
        for stream, name in _NAMES.items():
            text, time = position.get(name), position.get(f"{name}_time")
            if isinstance(text, str) and isinstance(time, str):
                try:
                    piece = base64.b64decode(text, validate=True)
                except (binascii.Error, ValueError):
                    continue
                cut = bool(position.get(f"{name}_cut"))
                self._open[stream] = _Part(time.encode(), [piece], len(piece), cut)

    def _carefully(self, data: bytes) -> Parsed:
        columns = _Columns()
        for line in _lines(data):
            match = _LINE.fullmatch(line)
            if match is None:
                self._take_foreign(line.removesuffix(b"\n"), columns)
                continue
            time, name, tag, text = match.groups()
            self._take(_STREAMS[name], time, text, columns, full=tag == b"F")
        return columns.done()

    def _take(self, stream: int, time: bytes, text: bytes, columns: _Columns, *, full: bool) -> None:
        part = self._open.get(stream)
        if part is None:
            if full and len(text) <= MAX_LINE:
                columns.add(text, stream, time, cut=False)
                return
            part = self._open[stream] = _Part(time)
        part.pieces.append(text)
        part.size += len(text)
        while part.size > MAX_LINE:
            whole = b"".join(part.pieces)
            columns.add(whole[:MAX_LINE], stream, part.time, cut=True)
            part.pieces, part.size, part.cut = [whole[MAX_LINE:]], part.size - MAX_LINE, True
        if full:
            columns.add(b"".join(part.pieces), stream, part.time, cut=part.cut)
            del self._open[stream]

    def _take_foreign(self, line: bytes, columns: _Columns) -> None:
        self.foreign += 1
        pieces = [line[at : at + MAX_LINE] for at in range(0, len(line), MAX_LINE)] or [b""]
        for piece in pieces:
            columns.add(piece, STDOUT, b"", cut=len(pieces) > 1)


def _lines(data: bytes) -> Iterator[bytes]:
    """Each with its end of line, which the last one may lack. (bytes.splitlines knows more ends.)"""
    at = 0
    while at < len(data):
        end = data.find(b"\n", at) + 1 or len(data)
        yield data[at:end]
        at = end
