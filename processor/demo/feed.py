"""Sends the events, at a pace, and knows of each when that was.

An event carries its number in a `traceparent` header (W3C Trace Context), which Tocsin hands on to the
receiver: so the way of an event is timed without a change to the event itself.
"""

import asyncio
import time
from collections.abc import Callable, Sequence
from typing import Final

from processor.demo.blocking import in_thread
from processor.kafka.event_log import EventLog

AT_ONCE: Final = 500
"""Events sent before the event loop gets its turn again."""

FLUSH_TIMEOUT: Final = 30.0


class Feed:
    """Sends events and remembers when; one per run. Times are monotonic seconds."""

    def __init__(self, log: EventLog, run: bytes) -> None:
        """`run`: eight random bytes, so that nobody else's traces are taken for this run's."""
        self._log = log
        self._run = run.hex()
        self._sent_at: list[float] = []

    @property
    def sent(self) -> int:
        """How many events were sent so far."""
        return len(self._sent_at)

    async def send(self, events: Sequence[bytes], rate: float, turn: Callable[[], None]) -> None:
        """Send all of them, `rate` a second (0: as fast as it goes); `turn` is called in between.

        Returns when the broker has acknowledged them. Raises KafkaFailure.
        """
        begun = time.monotonic()
        for number, event in enumerate(events):
            due = begun + number / rate if rate else begun
            while (early := due - time.monotonic()) > 0:
                turn()
                await asyncio.sleep(min(early, 0.1))
            if number % AT_ONCE == AT_ONCE - 1:
                turn()
                await asyncio.sleep(0)
            header = ("traceparent", traceparent(self._run, self.sent).encode())
            self._sent_at.append(time.monotonic())
            self._log.append(event, [header])
        await in_thread(lambda: self._log.flush(FLUSH_TIMEOUT))

    def sent_at(self, trace: str) -> float | None:
        """When the event with this `traceparent` was sent; None if it isn't one of this run's."""
        number = number_in(self._run, trace)
        return self._sent_at[number] if number is not None and number < self.sent else None


def traceparent(run: str, number: int) -> str:
    """`00-<trace id>-<parent id>-01`; the trace id is `run` (16 hex digits) and the number."""
    return f"00-{run}{number:016x}-{number + 1:016x}-01"


def number_in(run: str, trace: str) -> int | None:
    """The number that traceparent() put into `trace`; None if that is of another origin."""
    parts = trace.split("-")
    if len(parts) != 4 or len(parts[1]) != 32 or not parts[1].startswith(run):
        return None
    try:
        return int(parts[1][len(run) :], 16)
    except ValueError:
        return None
