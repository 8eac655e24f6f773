"""The jobs in a sender's memory, by what they wait for. Pure bookkeeping, for the loop's thread alone."""

from __future__ import annotations

import heapq
import itertools
from collections import deque
from collections.abc import Callable, Container, Iterator

from processor.delivery.lanes import JobInHand, State


class Hand:
    """Each job is in one of three places: waiting for its time, ready, or in flight.

    Those that are queued for their destination are admission.py's.
    """

    def __init__(self) -> None:
        self._waiting: list[tuple[int, int, JobInHand]] = []
        self._order = itertools.count()
        self.ready: deque[JobInHand] = deque()
        self.in_flight: set[JobInHand] = set()

    def wait(self, job: JobInHand, until_ms: int) -> None:
        """Keep the job until then (ms since 1970)."""
        job.state = State.WAITING
        heapq.heappush(self._waiting, (until_ms, next(self._order), job))

    def due(self, now_ms: int) -> Iterator[JobInHand]:
        """Take out what has waited long enough; the caller says what comes next for each."""
        while self._waiting and self._waiting[0][0] <= now_ms:
            yield heapq.heappop(self._waiting)[2]

    def recall(self, wanted: Callable[[JobInHand], bool]) -> list[JobInHand]:
        """Take out those of the waiting jobs that need not wait any longer."""
        recalled = [job for _, _, job in self._waiting if wanted(job)]
        if recalled:
            chosen = set(recalled)
            self._waiting = [entry for entry in self._waiting if entry[2] not in chosen]
            heapq.heapify(self._waiting)
        return recalled

    @property
    def next_due_ms(self) -> int | None:
        """When the first of those that wait is due, None without any."""
        return self._waiting[0][0] if self._waiting else None

    def make_ready(self, job: JobInHand, *, first: bool = False) -> None:
        """The job wants to be sent; `first`: before the others, because it had its turn already."""
        job.state = State.READY
        if first:
            self.ready.appendleft(job)
        else:
            self.ready.append(job)

    def send(self, job: JobInHand) -> None:
        """The job is in flight from now on, until it is landed."""
        job.state = State.SENDING
        self.in_flight.add(job)

    def landed(self, job: JobInHand) -> None:
        """Its attempt is over, whatever came of it."""
        self.in_flight.discard(job)

    def sent_from(self, lanes: Container[int]) -> list[JobInHand]:
        """Those in flight whose lane's id() is among `lanes`."""
        return [job for job in self.in_flight if id(job.lane) in lanes]

    @property
    def load(self) -> int:
        """How many are ready or in flight."""
        return len(self.ready) + len(self.in_flight)

    def drop_gone(self) -> None:
        """Forget the jobs of partitions that are somebody else's now.

        Not those in flight: they hold a place until their attempts are over. The others may wait for hours.
        """
        self._waiting = [entry for entry in self._waiting if not entry[2].gone]
        heapq.heapify(self._waiting)
        self.ready = deque(job for job in self.ready if not job.gone)
