"""One file, or standard input, read once from its start to its end: `tocsin run scanner --file`."""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Sequence
from concurrent.futures import CancelledError
from contextlib import suppress
from pathlib import Path
from typing import Final

from processor.lifecycle import Refused
from processor.scanning.lines import MAX_LINE, Lines, Sink, Tail
from processor.scanning.sources.plain_lines import PlainLog

STDIN: Final = "-"

_PORTION: Final = 1 << 18


class OneFile:
    """A `lines.Source` that ends with its file. It is read on a thread that nobody waits for: whoever writes
    into a pipe may take its time, also while the process ends.
    """

    def __init__(self, name: str) -> None:
        """`name`: a path, whose absolute form is the workload, or `-`, whose workload is `stdin`.

        Raises Refused if it can't be opened.
        """
        workload = "stdin" if name == STDIN else str(Path(name).absolute())
        self._tail = Tail(f"once/{name}", workload)
        self._trouble = ""
        try:
            self._file = 0 if name == STDIN else os.open(name, os.O_RDONLY | os.O_CLOEXEC)
        except OSError as failure:
            raise Refused(f"--file: {name} can't be read ({failure.strerror})") from None

    @property
    def tails(self) -> Sequence[Tail]:
        """See `lines.Source`."""
        return [self._tail]

    @property
    def trouble(self) -> str:
        """See `lines.Source`."""
        return self._trouble

    async def run(self, sink: Sink) -> None:
        """See `lines.Source`; returns at the end of the file. Raises OSError if it can't be read to there."""
        portions: asyncio.Queue[bytes | OSError] = asyncio.Queue(maxsize=1)
        loop = asyncio.get_running_loop()
        threading.Thread(target=self._read, args=(loop, portions), name="one file", daemon=True).start()
        log, kept = PlainLog(), b""
        while data := await portions.get():
            if isinstance(data, OSError):
                self._trouble = f"{self._tail.workload}: {data.strerror}"
                raise data
            kept += data
            end = kept.rfind(b"\n") + 1 or (len(kept) if len(kept) > MAX_LINE else 0)
            if end:
                await self._hand_over(sink, log, kept[:end])
                kept = kept[end:]
        if kept:
            await self._hand_over(sink, log, kept + b"\n")
        sink.gone(self._tail)

    async def _hand_over(self, sink: Sink, log: PlainLog, data: bytes) -> None:
        texts, streams, times, cut = log.parse(data)
        await sink.take(Lines(self._tail, texts, streams, times, {}, cut))

    def _read(self, loop: asyncio.AbstractEventLoop, portions: asyncio.Queue[bytes | OSError]) -> None:
        data: bytes | OSError = b"-"
        with suppress(RuntimeError, CancelledError):  # the event loop has ended
            while data and not isinstance(data, OSError):
                try:
                    data = os.read(self._file, _PORTION)
                except OSError as failure:
                    data = failure
                asyncio.run_coroutine_threadsafe(portions.put(data), loop).result()
        if self._file:
            os.close(self._file)
