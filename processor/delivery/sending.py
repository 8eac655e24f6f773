"""The thread that talks HTTP: attempts go in, outcomes come out.

Nothing else is shared with the Kafka thread.
"""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from collections.abc import Callable, Iterable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from functools import partial
from typing import Protocol

import uvloop

from processor.delivery.http import WebhookRequest
from processor.delivery.lanes import JobInHand
from processor.delivery.outcome import Outcome


class Posting(Protocol):
    """What makes the requests; http.Poster is the one."""

    async def post(self, request: WebhookRequest) -> Outcome: ...


@dataclass(frozen=True, slots=True)
class Attempt:
    """One POST to be made for a job."""

    job: JobInHand
    request: WebhookRequest


@dataclass(frozen=True, slots=True)
class Ended:
    """What became of an attempt.

    No outcome means that it was not begun or was broken off, and the job is as it was.
    """

    attempt: Attempt
    outcome: Outcome | None


class Sending:
    """Runs attempts on an event loop of its own. All calls but may_send come from one other thread."""

    def __init__(
        self,
        poster: Callable[[], AbstractAsyncContextManager[Posting]],
        may_send: Callable[[], bool],
    ) -> None:
        """`may_send` is asked right before each POST.

        It says False when this process may have lost its partitions unawares.
        """
        self._poster = poster
        self._may_send = may_send
        self._loop: asyncio.AbstractEventLoop = uvloop.new_event_loop()
        self._ended: deque[Ended] = deque()
        self._tasks: dict[JobInHand, asyncio.Task[Outcome | None]] = {}
        self._stopping = asyncio.Event()
        self._started = threading.Event()
        self._thread = threading.Thread(target=self._run, name="sending", daemon=True)
        self.failed: BaseException | None = None

    def start(self) -> None:
        """Start the event loop; returns once it takes attempts. Raises what kept it from starting."""
        self._thread.start()
        self._started.wait()
        if self.failed is not None:
            raise self.failed

    def stop(self, timeout: float) -> None:
        """Cancel what is left and end the thread."""
        if self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._stopping.set)
            self._thread.join(timeout)

    def submit(self, attempts: list[Attempt]) -> None:
        """Make these attempts, all at once."""
        self._loop.call_soon_threadsafe(self._begin, attempts)

    def collect(self) -> list[Ended]:
        """What has ended since the last call; every attempt that was submitted comes back once."""
        ended = []
        while self._ended:
            ended.append(self._ended.popleft())
        return ended

    def cancel(self, jobs: Iterable[JobInHand]) -> None:
        """Break these attempts off; they come back from collect() without an outcome."""
        chosen = list(jobs)
        if chosen:
            self._loop.call_soon_threadsafe(self._break_off, chosen)

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        try:
            self._loop.run_until_complete(self._serve())
        except BaseException as failure:  # noqa: BLE001 - raised by start(), or reported by the service
            self.failed = failure
        finally:
            self._started.set()
            self._loop.close()

    async def _serve(self) -> None:
        async with self._poster() as self._open:
            self._started.set()
            await self._stopping.wait()
            tasks = list(self._tasks.values())
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    def _begin(self, attempts: list[Attempt]) -> None:
        for attempt in attempts:
            task = self._loop.create_task(self._make(attempt))
            self._tasks[attempt.job] = task
            # Not in the task itself: one that is cancelled before its first step never runs.
            task.add_done_callback(partial(self._over, attempt))

    def _break_off(self, jobs: list[JobInHand]) -> None:
        for job in jobs:
            task = self._tasks.get(job)
            if task is not None:
                task.cancel()

    async def _make(self, attempt: Attempt) -> Outcome | None:
        if attempt.job.gone or not self._may_send():
            return None
        return await self._open.post(attempt.request)

    def _over(self, attempt: Attempt, task: asyncio.Task[Outcome | None]) -> None:
        del self._tasks[attempt.job]
        outcome = None
        # Broken off on purpose: whether the receiver got it is unknown, so it counts as not made.
        if not task.cancelled():
            # The poster turns whatever a receiver does into an outcome: an exception is a fault of ours.
            self.failed = task.exception() or self.failed
            outcome = None if task.exception() else task.result()
        self._ended.append(Ended(attempt, outcome))
