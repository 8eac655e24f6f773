"""How far long work is: one line that is written over, and only on a terminal."""

from __future__ import annotations

import time
from collections.abc import Callable
from types import TracebackType
from typing import Final, Self, TextIO

_EVERY: Final = 0.2
"""Seconds between two looks."""


class Progress:
    """A context manager; the line is gone when it ends."""

    def __init__(self, stream: TextIO, clock: Callable[[], float] = time.monotonic) -> None:
        """`clock`: seconds."""
        self.total: int | None = None
        """How many there will be, if that is known: record offsets between two points, markers included."""
        self._what = "events"
        self._stream = stream if stream.isatty() else None
        self._clock = clock
        self._began = self._shown = clock()
        self._width = 0

    def report(self, what: str, done: int, total: int | None = None) -> None:
        """So many of these are done; with another `what` than before, the time is taken anew."""
        if what != self._what:
            self._what, self._began = what, self._clock()
        self.total = total
        self.show(done)

    def show(self, done: int) -> None:
        """So many are done."""
        if self._stream is None or (now := self._clock()) - self._shown < _EVERY:
            return
        self._shown = now
        of = "" if self.total is None else f" of at most {self.total:,}"
        rate = f", {done / (now - self._began):,.0f}/s" if now > self._began else ""
        self._write(f"{done:,}{of} {self._what}{rate}")

    def _write(self, text: str) -> None:
        if self._stream is not None:
            self._stream.write(f"\r{text.ljust(self._width)}")
            self._stream.flush()
            self._width = len(text)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._width and self._stream is not None:
            self._stream.write(f"\r{' ' * self._width}\r")
            self._stream.flush()
