"""From a job in hand to its attempt, and from the end of the attempt to the ledger.

Puts the clerk's decisions, admission's gates, the jobs in hand and the HTTP thread together; takes nothing
from Kafka and writes nothing to it. For the loop's thread alone.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Container, Iterable
from typing import Final

from processor.delivery.admission import Admission, Go, Held, Later, Queued, Soon
from processor.delivery.clerk import Clerk
from processor.delivery.clock import steady_ms, wall_ms
from processor.delivery.hand import Hand
from processor.delivery.lanes import JobInHand, State
from processor.delivery.ledger import Entry
from processor.delivery.sending import Attempt, Sending
from processor.delivery.tiers import Wait
from processor.delivery.writing import Writer

ENDS_SOON: Final = 0.05
"""Seconds after the end of an attempt in which the next is expected."""


class Dispatch:
    """All jobs between their lane and the ledger. `most`: attempts under way at the same time."""

    def __init__(
        self, clerk: Clerk, admission: Admission, sending: Sending, writer: Writer, most: int
    ) -> None:
        self._clerk = clerk
        self._admission = admission
        self._sending = sending
        self._writer = writer
        self._most = most
        self._hand = Hand()
        self._flows_until = 0.0
        self.holds = False
        """Whether a job was held: nothing more is to be taken until it has a place."""

    @property
    def load(self) -> int:
        """How many jobs are ready, queued or in flight."""
        return self._hand.load + self._admission.waiting

    @property
    def in_flight(self) -> int:
        """How many attempts are under way."""
        return len(self._hand.in_flight)

    @property
    def flows(self) -> bool:
        """Whether jobs wait for the places of attempts that end all the time."""
        return bool(self._admission.waiting) and time.monotonic() < self._flows_until

    @property
    def next_due_ms(self) -> int | None:
        """When the first of the jobs that wait in memory is due (ms since 1970)."""
        return self._hand.next_due_ms

    def schedule(self, job: JobInHand, now_ms: int) -> None:
        """Send now, wait in memory, or go on in another retry topic."""
        if self._is_free(job):
            self._hand.make_ready(job)
            return
        step = self._clerk.next_step(job, now_ms)
        if isinstance(step, Wait):
            self._hand.wait(job, step.until_ms)
        elif step is None:
            self._hand.make_ready(job)
        else:
            self._settle(job, step)

    def wake(self) -> None:
        """Go on with the jobs in memory whose time has come."""
        now_ms = wall_ms()
        for job in self._hand.due(now_ms):
            self.schedule(job, now_ms)

    def _is_free(self, job: JobInHand) -> bool:
        """Whether a job that was put off need not wait any longer."""
        admission = self._admission
        return bool(job.headers.deferrals and admission.frees) and admission.is_free(
            job, self._clerk.origin_of(job.headers.rule_id)
        )

    def recall(self) -> None:
        """Something that stopped jobs does so no longer: those that wait for it in memory are due."""
        for job in self._hand.recall(self._is_free):
            self._hand.make_ready(job)

    def admit(self) -> None:
        """Queue what is ready for its destination; what must not be sent (yet) is settled or put off."""
        hand, clerk, admission = self._hand, self._clerk, self._admission
        ready, hand.ready = hand.ready, deque()
        now_ms, clock_ms = wall_ms(), steady_ms()
        full: set[str] = set()
        for job in ready:
            if job.origin in full:
                hand.ready.append(job)
                continue
            decided = clerk.decide(job, now_ms)
            if decided is None:
                job.state = State.RULES
                hand.ready.append(job)
            elif isinstance(decided, Attempt):
                job.state = State.READY
                job.request = decided.request
                verdict = admission.enter(job, clock_ms, now_ms)
                if isinstance(verdict, Held):
                    full.add(job.origin)
                    hand.ready.append(job)
                elif not isinstance(verdict, Queued):
                    self._put_off(job, verdict, now_ms)
            else:
                self._settle(job, decided)
        self.holds = bool(full)

    def send(self) -> None:
        """Hand over those whose turn it is, as far as there is room."""
        hand, admission = self._hand, self._admission
        now_ms, clock_ms = wall_ms(), steady_ms()
        attempts: list[Attempt] = []
        # Who is put off leaves a place: ask until nobody has a turn. Otherwise a rule with a limit and a
        # backlog would fill the queue of its destination.
        while turns := admission.turns(self._most - len(hand.in_flight), clock_ms):
            for job in turns:
                if not self._still_goes(job, clock_ms, now_ms) or job.request is None:
                    continue
                verdict = admission.admit(job, clock_ms, now_ms)
                if isinstance(verdict, Go):
                    hand.send(job)
                    attempts.append(Attempt(job, job.request))
                else:
                    self._put_off(job, verdict, now_ms)
        if attempts:
            self._sending.submit(attempts)

    def _still_goes(self, job: JobInHand, clock_ms: int, now_ms: int) -> bool:
        """Decide again about a job that waited for its turn, if need be; False: the turn is passed over."""
        clerk, origin = self._clerk, job.origin
        if clerk.is_current(job, now_ms):
            return True
        decided = clerk.decide(job, now_ms)
        if isinstance(decided, Attempt) and job.origin == origin:
            job.request = decided.request
            return True
        self._admission.pass_over(origin, clock_ms)
        if decided is None or isinstance(decided, Attempt):
            self._hand.make_ready(job, first=True)  # the rules are behind, or say another destination
        else:
            self._settle(job, decided)
        return False

    def _put_off(self, job: JobInHand, verdict: Soon | Later, now_ms: int) -> None:
        if isinstance(verdict, Soon):
            self._hand.wait(job, verdict.at_ms)
        else:
            self._settle(job, self._clerk.put_off(job, verdict.to, verdict.why, now_ms))

    def collect(self) -> None:
        """Take note of the attempts that have ended."""
        now_ms, clock_ms = wall_ms(), steady_ms()
        admission, clerk = self._admission, self._clerk
        if collected := self._sending.collect():
            self._flows_until = time.monotonic() + ENDS_SOON
        for ended in collected:
            job = ended.attempt.job
            self._hand.landed(job)
            entry = None
            if ended.outcome is not None and not job.gone:
                entry = clerk.settle(job, ended.outcome, now_ms)
            # A job that is gone is its new owner's to try again, under the same webhook-id.
            closed = admission.over(job, entry.outcome if entry is not None else None, clock_ms, now_ms)
            if entry is not None:
                self._settle(job, entry)
            elif not job.gone:
                self._hand.make_ready(job, first=True)
            if closed:
                self.recall()

    def cancel(self, jobs: Iterable[JobInHand]) -> None:
        """Break the attempts of these off; they come back to collect() as not made."""
        self._sending.cancel(jobs)

    def sent_from(self, lanes: Container[int]) -> list[JobInHand]:
        """Those in flight whose lane's id() is among `lanes`."""
        return self._hand.sent_from(lanes)

    def gone(self, partitions: Iterable[int], jobs: Iterable[JobInHand]) -> None:
        """These partition numbers are somebody else's, with these jobs; their lanes are closed.

        Their attempts under way are still collected.
        """
        self._admission.gone(partitions, jobs)
        self._hand.drop_gone()

    def break_off_gone(self) -> None:
        """Break off the attempts of jobs that are somebody else's."""
        self._sending.cancel([job for job in self._hand.in_flight if job.gone])

    def _settle(self, job: JobInHand, entry: Entry) -> None:
        job.state = State.FINISHED
        job.lane.finish(job)
        self._writer.add(entry)
