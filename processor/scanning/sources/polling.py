"""Reads many logs in turn, a portion each: none holds up the others, and one portion is in memory."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path
from typing import Final, Protocol

from processor.scanning.lines import Lines, Sink, Tail
from processor.scanning.sources.cri_lines import Parsed
from processor.scanning.sources.following import Follower

LOG = logging.getLogger(__name__)

PORTION: Final = 1 << 18
"""Bytes that are read of a log at a time."""

PAUSE: Final = 0.2
"""Seconds between two looks when nothing has come."""

LOOK_EVERY: Final = 2.0
"""Seconds between two looks at which logs there are."""


class Log(Protocol):
    """Makes lines of bytes: CriLog, PlainLog."""

    def parse(self, data: bytes) -> Parsed: ...

    def finish(self) -> Parsed: ...

    def save(self) -> dict[str, str | int]: ...

    def restore(self, position: Mapping[str, str | int]) -> None: ...


class FileTail:
    """One log: its files, and what makes lines of them."""

    def __init__(
        self, tail: Tail, follower: Follower, log: Log, chosen: Callable[[Parsed], Parsed] | None = None
    ) -> None:
        """`chosen`: leaves out lines, for a log that begins in the middle."""
        self.tail = tail
        self._follower = follower
        self._begun = False
        self._log = log
        self._chosen = chosen

    async def turn(self, sink: Sink) -> bool:
        """Read a portion; whether there was one."""
        if not self._begun:
            self._begun = True
            if (position := sink.position(self.tail.key)) is not None:
                self._chosen = None
                self._log.restore(position)
                self._follower.restore(position)
        data = self._follower.read(PORTION)
        if data:
            await self._hand_over(sink, self._log.parse(data))
        return bool(data)

    async def finish(self, sink: Sink) -> None:
        """The log has gone: read what can still be read of it."""
        while await self.turn(sink):
            pass
        if data := self._follower.rest():
            await self._hand_over(sink, self._log.parse(data))
        await self._hand_over(sink, self._log.finish())
        self._follower.close()
        sink.gone(self.tail)

    async def _hand_over(self, sink: Sink, parsed: Parsed) -> None:
        if self._chosen is not None:
            parsed = self._chosen(parsed)
        texts, streams, times, cut = parsed
        if texts:
            after = {**self._follower.save(), **self._log.save()}
            await sink.take(Lines(self.tail, texts, streams, times, after, cut))


async def follow(
    tails: Mapping[Path, FileTail],
    compare: Callable[[], Awaitable[None]],
    sink: Sink,
    clock: Callable[[], float],
) -> None:
    """Read them in turn until cancelled; `compare` brings `tails` up to date, now and every two seconds.

    clock: monotonic seconds.
    """
    next_look = clock()
    while True:
        if clock() >= next_look:
            next_look = clock() + LOOK_EVERY
            await compare()
        await _read_in_turn(list(tails.values()), sink)


async def _read_in_turn(tails: Sequence[FileTail], sink: Sink) -> None:
    """One portion of each, and a pause when none had any."""
    busy = False
    for tail in tails:
        try:
            busy |= await tail.turn(sink)
        except OSError as error:
            LOG.warning("%s can't be read: %s", tail.tail.workload, error)
    await asyncio.sleep(0 if busy else PAUSE)
