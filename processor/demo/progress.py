"""How far the run is: asked of the roles' own metrics and of the receiver, until nothing is left to come."""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from processor.demo.errors import DemoError
from processor.demo.receiver import Receiver
from processor.demo.roles import Role

PATIENCE: Final = 30.0
"""Seconds without a further event judged or job ended before the demo gives up."""

LOOK_EVERY: Final = 0.1


@dataclass(frozen=True, slots=True)
class Progress:
    """Events that the matcher is done with, jobs they made, and what became of those."""

    judged: int
    matches: int
    delivered: int
    dead: int
    cancelled: int

    def is_complete(self, events: int) -> bool:
        """Whether all `events` are judged and every job has ended."""
        return self.judged >= events and self.delivered + self.dead + self.cancelled >= self.matches


async def until_complete(
    events: int, matcher: Role, sender: Role, receiver: Receiver, check: Callable[[], None]
) -> Progress:
    """Wait until every event is judged and every job has come to its end.

    `check` is called now and then. Raises what it raises, and DemoError when a webhook wasn't signed as its
    rule asks or nothing moves for PATIENCE.
    """
    last: Progress | None = None
    moved = time.monotonic()
    while True:
        check()
        now = await _look(matcher, sender, receiver)
        if receiver.forged:
            raise DemoError(f"{receiver.forged} webhooks were not signed with their rule's secret")
        if now.is_complete(events):
            return now
        if now != last:
            last, moved = now, time.monotonic()
        elif time.monotonic() - moved > PATIENCE:
            raise DemoError(
                f"nothing moved for {PATIENCE:g} s: {now.judged:,} of {events:,} events judged, "
                f"{now.delivered:,} of {now.matches:,} webhooks delivered; the sender's last words: "
                f"{sender.child.last_words()}"
            )
        await asyncio.sleep(LOOK_EVERY)


async def _look(matcher: Role, sender: Role, receiver: Receiver) -> Progress:
    # The matcher counts an event and its jobs after their transaction, so once all are judged the number of
    # jobs is final. A role that doesn't answer shows no progress, and check() says when it has ended.
    judged = await matcher.totals("tocsin_events_total", "outcome")
    jobs = await matcher.totals("tocsin_jobs_total", "")
    ended = await sender.totals("tocsin_attempts_total", "outcome")
    return Progress(
        int(sum(judged.values())),
        int(sum(jobs.values())),
        len(receiver.delivered),
        int(ended.get("dead", 0)),
        int(ended.get("cancelled", 0)),
    )
