"""Takes what the sources read: judges it, hands the events to Kafka, and lets the sources go on.

All of it on the scanner's event loop, apart from the acknowledgements, which come from the client's thread.
What is on its way is bounded; a source that has read more waits in take(), and what it hasn't read yet stays
where it is. So with no broker, memory doesn't grow.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Final, Protocol

from processor.kafka.records import OutRecord
from processor.lifecycle import Deadline
from processor.observability.metrics import Metrics
from processor.scanning.cooldown import Changes
from processor.scanning.engine import Engine, Now
from processor.scanning.event import to_record
from processor.scanning.ledger import Ledger, Portion
from processor.scanning.lines import Lines, Position, Tail

log = logging.getLogger(__name__)

MOST_EVENTS: Final = 10_000
MOST_BYTES: Final = 8 << 20
"""On their way to the broker; one portion more may be added to what is just below."""

TURN: Final = 0.005
"""Seconds of judging after which others on the event loop have a turn."""


class Stream(Protocol):
    """Writes records: kafka.stream.RecordStream."""

    def write(self, record: OutRecord, answered: Callable[[str | None], None], /) -> None: ...


class Intake:
    """The scanner's Sink (lines.py)."""

    def __init__(
        self,
        engine: Engine,
        ledger: Ledger,
        stream: Stream,
        *,
        topic: str,
        limit: int,
        metrics: Metrics,
        now: Callable[[], Now],
    ) -> None:
        """`limit`: bytes of a record of `topic`. Made on the event loop."""
        self._engine = engine
        self._ledger = ledger
        self._stream = stream
        self._topic = topic
        self._limit = limit
        self._metrics = metrics
        self._now = now
        self._loop = asyncio.get_running_loop()
        self._answers: deque[tuple[Portion, int, str | None]] = deque()
        self._told = False
        self._events = 0
        self._bytes = 0
        self._room = asyncio.Event()
        self._room.set()
        self._ruled = asyncio.Event()
        self._done = asyncio.Event()
        self._busy_since = 0.0
        self.lines = self.cut_lines = self.lost_bytes = 0
        """Since the start, for reports."""

    def begin(self) -> None:
        """The rules are there: from now on lines are taken."""
        self._ruled.set()

    @property
    def begun(self) -> bool:
        """Whether lines are taken."""
        return self._ruled.is_set()

    def position(self, key: str) -> Position | None:
        """See lines.Sink."""
        return self._ledger.positions.get(key)

    def known(self, prefix: str) -> Sequence[str]:
        """See lines.Sink."""
        return [key for key in self._ledger.positions if key.startswith(prefix)]

    async def take(self, lines: Lines) -> None:
        """See lines.Sink."""
        if not self._ruled.is_set():
            await self._ruled.wait()
        while not self._room.is_set():
            await self._room.wait()
        begun = time.monotonic()
        judged = self._engine.judge(lines, self._now())
        records = [to_record(event, self._topic, self._limit) for event in judged.events]
        portion = self._ledger.add(Portion(lines.tail, lines.after, judged.changes, len(records), begun))
        for record in records:
            self._write(record, portion)
        self._count(lines, judged.changes)
        if self._room.is_set() and begun - self._busy_since > TURN:
            self._busy_since = begun
            await asyncio.sleep(0)

    def lost(self, tail: Tail, size: int) -> None:
        """See lines.Sink."""
        self.lost_bytes += size
        self._metrics.scanner_lost.inc()
        self._metrics.scanner_lost_bytes.inc(size)
        log.warning(
            "a part of a log went away unread",
            extra={"fields": {"tail": tail.key, "bytes": size or None}},
        )

    def gone(self, tail: Tail) -> None:
        """See lines.Sink."""
        self._engine.forget(tail.key)
        self._ledger.add(Portion(tail, None, Changes(), 0, time.monotonic()))

    async def settled(self, deadline: Deadline) -> bool:
        """Wait until all that was taken is done with; False if it isn't by the deadline."""
        with suppress(TimeoutError):
            async with asyncio.timeout(deadline.remaining()):
                while self._ledger.waits():
                    self._done.clear()
                    await self._done.wait()
        return not self._ledger.waits()

    @property
    def on_their_way(self) -> int:
        """Events that no broker has acknowledged."""
        return self._events

    def _write(self, record: OutRecord, portion: Portion) -> None:
        size = len(record.value or b"") + len(record.key or b"")
        self._events += 1
        self._bytes += size
        if self._events >= MOST_EVENTS or self._bytes >= MOST_BYTES:
            self._room.clear()
        self._stream.write(record, lambda error: self._answered(portion, size, error))

    def _answered(self, portion: Portion, size: int, error: str | None) -> None:
        """On any thread."""
        self._answers.append((portion, size, error))
        if not self._told:
            self._told = True
            self._loop.call_soon_threadsafe(self._settle)

    def _settle(self) -> None:
        self._told = False
        while self._answers:
            portion, size, error = self._answers.popleft()
            self._events -= 1
            self._bytes -= size
            if error is not None:
                self._metrics.scanner_refused.inc()
                log.error(
                    "the topic doesn't take an event",
                    extra={"fields": {"topic": self._topic, "tail": portion.tail.key, "error": error}},
                )
            self._ledger.acknowledged(portion)
        self._done.set()
        if self._events < MOST_EVENTS // 2 and self._bytes < MOST_BYTES // 2:
            self._room.set()

    def _count(self, lines: Lines, changes: Changes) -> None:
        metrics = self._metrics
        self.lines += len(lines.texts)
        self.cut_lines += lines.cut
        metrics.scanner_lines.inc(len(lines.texts))
        if lines.cut:
            metrics.scanner_cut_lines.inc(lines.cut)
        if changes.hits:
            metrics.scanner_hits.inc(sum(changes.hits.values()))
        if changes.suppressed:
            metrics.scanner_suppressed.inc(sum(changes.suppressed.values()))
        if changes.dropped:
            metrics.scanner_dropped.inc(sum(changes.dropped.values()))
