"""Log streams of the Docker engine into lines: stamps off, parts of long lines joined, done entries skipped.

The engine splits a line into log entries of PART bytes. All parts have the stamp of the first; whether the
last one ends in a newline depends on the logging driver (json-file writes it, local doesn't). So a part
without a newline that is as long as a part can be goes on in the next entry of its stream with that stamp.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final, Protocol

from processor.scanning.lines import MAX_LINE, STDERR, STDOUT, Position
from processor.scanning.sources.docker_frames import Frames
from processor.scanning.sources.docker_position import Progress
from processor.scanning.sources.docker_stamps import SECONDS, STAMP, nanoseconds_of

PART: Final = 16 << 10
"""Bytes of a log entry that the engine cut; other drivers' cuts are longer, never shorter."""


@dataclass(frozen=True, slots=True)
class Portion:
    """What `lines.Lines` says, without whose lines they are."""

    texts: list[bytes]
    streams: bytes
    times: list[bytes]
    after: Position
    cut: int


class Log(Protocol):
    """One stream of the engine while it is read."""

    progress: Progress

    def feed(self, data: bytes) -> Portion | None:
        """The lines that `data` completes; None if it completes none."""
        ...

    def finish(self) -> Portion | None:
        """The log ended properly: what is there of an unfinished line is one."""
        ...

    def take_lost(self) -> int:
        """Bytes that could not be read, since the last time it was asked."""
        ...


class _Gathering:
    """Lines on their way into a portion."""

    __slots__ = ("cut", "streams", "texts", "times")

    def __init__(self) -> None:
        self.texts: list[bytes] = []
        self.streams = bytearray()
        self.times: list[bytes] = []
        self.cut = 0

    def add(self, stream: int, stamp: bytes, text: bytes) -> None:
        self.texts.append(text)
        self.streams.append(stream)
        self.times.append(stamp)

    def portion(self, progress: Progress, unfinished: list[bytes]) -> Portion | None:
        if not self.texts:
            return None
        places = {stream: self.streams.rfind(stream) for stream in (STDOUT, STDERR)}
        last = {stream: self.times[at] for stream, at in places.items() if at >= 0 and self.times[at]}
        after = progress.after(last, unfinished)
        return Portion(self.texts, bytes(self.streams), self.times, after, self.cut)


@dataclass(slots=True)
class _Unfinished:
    """Parts of a line; `is_rest`: what came before them was cut off and handed on."""

    stamp: bytes
    parts: list[bytes] = field(default_factory=list)
    size: int = 0
    entries: int = 0
    is_rest: bool = False


class MultiplexedLog:
    """The log of a container without a terminal: frames of two streams."""

    def __init__(self, progress: Progress) -> None:
        self.progress = progress
        self._frames = Frames()
        self._unfinished: dict[int, _Unfinished] = {}
        self._lost = 0

    def feed(self, data: bytes) -> Portion | None:
        """See `Log`."""
        streams, payloads = self._frames.feed(data)
        lines = _Gathering()
        progress, unfinished, match = self.progress, self._unfinished, STAMP.match
        add_text, add_stream, add_time = lines.texts.append, lines.streams.append, lines.times.append
        # Entries of one stream and second that follow each other are counted together.
        run, run_stream, run_second, run_stamp = 0, 0, b"", b""
        for stream, payload in zip(streams, payloads, strict=True):
            found = match(payload)
            stamp, start = (payload[: found.end() - 1], found.end()) if found else (b"", 0)
            if progress.pending and progress.skip(stream, stamp):
                continue
            end = len(payload) - 1
            if payload.find(b"\n", start) == end and end - start < MAX_LINE and stream not in unfinished:
                second = payload[:SECONDS]
                if stream != run_stream or second != run_second:
                    if run:
                        progress.add(run_stamp, run_stream, run)
                    run, run_stream, run_second, run_stamp = 0, stream, second, stamp
                run += 1
                add_text(payload[start:end])
                add_stream(stream)
                add_time(stamp)
            else:
                self._join(lines, stream, stamp, payload[start:])
        if run:
            progress.add(run_stamp, run_stream, run)
        return lines.portion(progress, [each.stamp for each in unfinished.values() if each.stamp])

    def finish(self) -> Portion | None:
        """See `Log`."""
        lines = _Gathering()
        for stream in list(self._unfinished):
            self._close(lines, stream)
        self._lost += self._frames.held
        return lines.portion(self.progress, [])

    def take_lost(self) -> int:
        """See `Log`."""
        lost, self._lost = self._lost + self._frames.skipped, 0
        self._frames.skipped = 0
        return lost

    def _join(self, lines: _Gathering, stream: int, stamp: bytes, text: bytes) -> None:
        line = self._unfinished.get(stream)
        if line is not None and line.stamp != stamp:
            self._close(lines, stream)
            line = None
        if line is None:
            line = self._unfinished[stream] = _Unfinished(stamp)
        ended = text.endswith(b"\n")
        *inner, text = (text[:-1] if ended else text).split(b"\n")
        for each in inner:  # an entry of several lines, which the engine doesn't make
            self._append(lines, stream, line, each)
            self._hand_on(lines, stream, line, entries=0)
            line.is_rest = False
        self._append(lines, stream, line, text)
        line.entries += 1
        if ended or len(text) < PART:
            self._close(lines, stream)

    def _append(self, lines: _Gathering, stream: int, line: _Unfinished, text: bytes) -> None:
        if line.parts and line.size + len(text) > MAX_LINE:
            self._cut_off(lines, stream, line)
        while len(text) > MAX_LINE:
            end = boundary(text, MAX_LINE)
            line.parts, text = [text[:end]], text[end:]
            self._cut_off(lines, stream, line)
        line.parts.append(text)
        line.size += len(text)

    def _cut_off(self, lines: _Gathering, stream: int, line: _Unfinished) -> None:
        line.is_rest = True
        self._hand_on(lines, stream, line, entries=line.entries)
        line.entries = 0

    def _close(self, lines: _Gathering, stream: int) -> None:
        line = self._unfinished.pop(stream)
        self._hand_on(lines, stream, line, entries=line.entries)

    def _hand_on(self, lines: _Gathering, stream: int, line: _Unfinished, *, entries: int) -> None:
        text = b"".join(line.parts)
        if text or not line.is_rest:
            lines.add(stream, line.stamp, text)
            lines.cut += line.is_rest
        if entries:
            self.progress.add(line.stamp, stream, entries)
        line.parts, line.size = [], 0


class TerminalLog:
    """The log of a container with a terminal: stamped lines as they are, all of standard output.

    Stamps in the middle of a line are the engine's own in two cases, and otherwise the container's text: one
    that equals the line's begins the next part of a long line, and a later one begins the next entry, where a
    terminal's last line had no newline. (A stamp that a container prints is older than the engine's for its
    line. One that prints the future gets its line split there; positions only count beginnings of lines.)
    """

    def __init__(self, progress: Progress) -> None:
        self.progress = progress
        self._held = b""
        self._is_rest = False

    def feed(self, data: bytes) -> Portion | None:
        """See `Log`."""
        lines = _Gathering()
        units = (self._held + data if self._held else data).split(b"\n")
        self._held = units.pop()
        progress, match, search = self.progress, STAMP.match, STAMP.search
        run, run_second, run_stamp = 0, b"", b""
        for unit in units:
            found = match(unit)
            if found and not self._is_rest and not progress.pending and len(unit) < PART:
                start = found.end()
                if search(unit, start) is None:
                    second = unit[:SECONDS]
                    stamp = unit[: start - 1]
                    if second != run_second:
                        if run:
                            progress.add(run_stamp, STDOUT, run)
                        run, run_second, run_stamp = 0, second, stamp
                    run += 1
                    lines.add(STDOUT, stamp, unit[start:-1] if unit.endswith(b"\r") else unit[start:])
                    continue
            if run:
                progress.add(run_stamp, STDOUT, run)
                run, run_second = 0, b""
            self._unit(lines, unit)
        if run:
            progress.add(run_stamp, STDOUT, run)
        while len(self._held) > MAX_LINE + (MAX_LINE >> 3):
            self._cut_held(lines)
        return lines.portion(progress, [])

    def finish(self) -> Portion | None:
        """See `Log`."""
        lines = _Gathering()
        if self._held:
            self._unit(lines, self._held)
            self._held = b""
        return lines.portion(self.progress, [])

    def take_lost(self) -> int:
        """See `Log`."""
        return 0

    def _unit(self, lines: _Gathering, unit: bytes) -> None:
        """All lines of what stands before a newline."""
        pieces, _ = split_terminal(unit)
        stamp = pieces[0][0]
        for number, (time, text, is_rest) in enumerate(pieces):
            is_rest = is_rest or (number == 0 and self._is_rest)
            goes_on = number + 1 < len(pieces) and pieces[number + 1][2]
            self._line(lines, stamp, time, text, is_rest=is_rest, goes_on=goes_on)
        self._is_rest = False

    def _cut_held(self, lines: _Gathering) -> None:
        """A line that is too long and hasn't ended: hand on what is certain of it."""
        pieces, offset = split_terminal(self._held)
        stamp = pieces[0][0]
        if len(pieces) == 1:  # without a stamp for MAX_LINE bytes
            offset = boundary(self._held, MAX_LINE)
            first = split_terminal(self._held[:offset])[0][0]
            pieces = [first, (first[0], b"", True)]
        for number, (time, text, is_rest) in enumerate(pieces[:-1]):
            is_rest = is_rest or (number == 0 and self._is_rest)
            self._line(lines, stamp, time, text, is_rest=is_rest, goes_on=pieces[number + 1][2])
        self._is_rest = pieces[-1][2]
        self._held = self._held[offset:]

    def _line(
        self, lines: _Gathering, stamp: bytes, time: bytes, text: bytes, *, is_rest: bool, goes_on: bool
    ) -> None:
        if self.progress.pending and self.progress.skip(STDOUT, stamp):
            return
        self.progress.add(stamp, STDOUT, 1)
        if text or not is_rest:
            lines.add(STDOUT, time, text)
            lines.cut += is_rest or goes_on


def split_terminal(unit: bytes) -> tuple[list[tuple[bytes, bytes, bool]], int]:
    """Lines of a terminal's log without a newline: (time, text, whether it goes on the line before, which was
    cut), and where in `unit` the last of them begins.
    """
    found = STAMP.match(unit)
    stamp, start = (unit[: found.end() - 1], found.end()) if found else (b"", 0)
    pieces: list[tuple[bytes, bytes, bool]] = []
    parts: list[bytes] = []
    size, begin, is_rest = 0, 0, False
    for inner in STAMP.finditer(unit, start):
        time = unit[inner.start() : inner.end() - 1]
        length = inner.start() - start
        if time == stamp and length >= PART:
            parts.append(unit[start : inner.start()])
            size += length
            start = inner.end()
            if size + PART > MAX_LINE:
                pieces.append((stamp, b"".join(parts), is_rest))
                parts, size, begin, is_rest = [], 0, inner.start(), True
        elif stamp and nanoseconds_of(time) > nanoseconds_of(stamp):
            parts.append(unit[start : inner.start()])
            pieces.append((stamp, b"".join(parts).removesuffix(b"\r"), is_rest))
            parts, size, begin, is_rest = [], 0, inner.start(), False
            stamp, start = time, inner.end()
    parts.append(unit[start:])
    text = b"".join(parts).removesuffix(b"\r")
    while len(text) > MAX_LINE:
        end = boundary(text, MAX_LINE)
        pieces.append((stamp, text[:end], is_rest))
        text, is_rest = text[end:], True
    pieces.append((stamp, text, is_rest))
    return pieces, begin


def boundary(text: bytes, end: int) -> int:
    """The last place at or before `end` that is not inside a character of UTF-8."""
    for at in range(end, max(end - 4, 0), -1):
        if text[at] & 0xC0 != 0x80:
            return at
    return end
