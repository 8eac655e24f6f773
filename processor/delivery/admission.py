"""Which jobs that are due may go out now: queues per destination, then circuits, then rate limits.

    enter ──> queued for its destination ──(its turn)──> circuits ──> rate limit ──> sent
      │              full: held or put off        open: put off     none left: put off

Puts destinations.py, circuits.py, limits.py and woken.py together; never sends and never writes. One thread.
"""

from __future__ import annotations

import logging
import random
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from processor.delivery import deferral
from processor.delivery.circuit import State
from processor.delivery.circuits import Change, Circuits, Passed, Refused, verdicts
from processor.delivery.deferral import PutOff
from processor.delivery.destinations import Destinations, Hold
from processor.delivery.lanes import HELD_RECORDS, JobInHand
from processor.delivery.limits import PATIENCE_MS, Limits
from processor.delivery.outcome import Outcome
from processor.delivery.release import Heard, released
from processor.delivery.tiers import deferral_ms
from processor.delivery.woken import Woken
from processor.rules.releases import Releases

log = logging.getLogger(__name__)

NEAR_MS: Final = 5_000
"""What should have a place sooner waits for it in memory, while its partition has few there."""

WRITING_MS: Final = 500
"""So long the record of a job that was put off may be on its way: what is woken includes it."""

NEWS_MS: Final = 60_000
"""A release that is older was seen by whoever put jobs off since."""


@dataclass(frozen=True, slots=True)
class Queued:
    """It waits for its turn."""


@dataclass(frozen=True, slots=True)
class Held:
    """No place now: keep it, take nothing more from Kafka, and ask again."""


@dataclass(frozen=True, slots=True)
class Soon:
    """Ask again at `at_ms` (since 1970); it waits in memory."""

    at_ms: int


@dataclass(frozen=True, slots=True)
class Later:
    """Put it off into a retry topic; `why` is for people."""

    to: PutOff
    why: str


@dataclass(frozen=True, slots=True)
class Go:
    """Send it now, and say so with `over` when that has ended."""


class Admission:
    """All that stands between a job that is due and its attempt."""

    def __init__(
        self,
        destinations: Destinations[JobInHand],
        circuits: Circuits,
        tiers_ms: Sequence[int],
        chance: random.Random | None = None,
    ) -> None:
        """`tiers_ms`: the retry topics' delays, ascending."""
        self._destinations = destinations
        self._circuits = circuits
        self._limits = Limits()
        self._woken = Woken()
        self._tiers = tiers_ms
        self._chance = chance or random.Random()
        self._passed: dict[JobInHand, Passed] = {}
        self._releases = Heard()

    def enter(self, job: JobInHand, clock_ms: int, now_ms: int) -> Queued | Held | Soon | Later:
        """A job that has a rule and an origin is due.

        `clock_ms`: of a clock that never goes back; `now_ms`: since 1970.
        """
        returning = job.has_place or job.headers.deferrals > 0
        if self._destinations.offer(job.origin, job.headers.rule_id, job, clock_ms, returning=returning):
            return Queued()
        decided = self._destinations.full(job.origin, clock_ms)
        if isinstance(decided, Hold):
            return Held()
        if decided.wait_ms is None:
            return Later(self._climb(job, now_ms), "its destination is slow and its queue is full")
        if decided.wait_ms <= NEAR_MS and _has_memory(job):
            job.has_place = True
            return Soon(now_ms + decided.wait_ms)
        least = deferral_ms(job.headers.deferrals, self._tiers)
        put_off = deferral.within(now_ms, decided.wait_ms, self._tiers, at_least_ms=least)
        return Later(put_off, "the queue of its destination is full")

    def turns(self, room: int, clock_ms: int) -> list[JobInHand]:
        """Up to `room` jobs whose turn it is; `admit` or `pass_over` each."""
        return self._destinations.take(room, clock_ms)

    def admit(self, job: JobInHand, clock_ms: int, now_ms: int) -> Go | Soon | Later:
        """Whether a job whose turn it is may go out, by its circuits and its rule's limit."""
        passed = self._circuits.admits(job.origin, job.headers.rule_id, clock_ms, version=job.rule)
        if isinstance(passed, Refused):
            self.pass_over(job.origin, clock_ms)
            what = f"the circuit of its {passed.about} is open"
            if passed.wait_ms is None:
                return Later(self._climb(job, now_ms), what)
            return Later(deferral.within(now_ms, passed.wait_ms, self._tiers), what)
        wait = self._limited(job, clock_ms)
        if wait:
            self._tell(self._circuits.ended(passed, None, clock_ms, self._chance.random()), now_ms)
            self.pass_over(job.origin, clock_ms)
            job.in_line = True
            if wait <= PATIENCE_MS and _has_memory(job):
                return Soon(now_ms + wait)
            return Later(deferral.exact(now_ms, wait, self._tiers), "the rate limit of its rule")
        self._passed[job] = passed
        return Go()

    def pass_over(self, origin: str, clock_ms: int) -> None:
        """Nothing is sent for a job whose turn it was, in the queue of this destination."""
        self._destinations.ended(origin, clock_ms, attempted=False)

    def over(self, job: JobInHand, outcome: Outcome | None, clock_ms: int, now_ms: int) -> bool:
        """The attempt of a job that was let go has ended; None: it was not begun, or broken off.

        `outcome` is the audited one. True if something that waits may be due now.
        """
        passed = self._passed.pop(job)
        heard = outcome is not None and verdicts(outcome).destination is True
        self._destinations.ended(job.origin, clock_ms, attempted=outcome is not None, heard=heard)
        changes = self._circuits.ended(passed, outcome, clock_ms, self._chance.random())
        for change in changes:
            if change.state is State.CLOSED and isinstance(change.key, str):
                self._destinations.renew(change.key, clock_ms)
        return self._tell(changes, now_ms)

    def released(
        self, releases: Releases, origin_of: Callable[[int], str], clock_ms: int, now_ms: int
    ) -> bool:
        """Take note of what somebody wants tried at once. True if that is news.

        `origin_of`: the destination of a rule, empty if it isn't known. Whoever releases a rule wants its
        jobs tried whichever circuit they wait for, so that of its destination starts anew as well. Jobs that
        were put off between the release and now are woken with the others; of an old release, which a sender
        finds when it starts, there are none.
        """
        before = self._releases.told
        if releases is before or releases == before:
            return False
        self._releases.hear(releases, now_ms)
        origins = set()
        for origin, at_ms in releases.destinations.items():
            if at_ms > before.destinations.get(origin, -1):
                origins.add(origin)
                self._wake_released(origin, at_ms, now_ms)
        for rule_id, at_ms in releases.rules.items():
            if at_ms > before.rules.get(rule_id, -1):
                self._circuits.forget_rule(rule_id)
                origins.add(origin_of(rule_id))
                self._wake_released(rule_id, at_ms, now_ms)
        for origin in origins:
            self._circuits.forget_destination(origin)
            self._destinations.renew(origin, clock_ms)
        return True

    def is_free(self, job: JobInHand, origin: str) -> bool:
        """Whether a job that was put off need not wait any longer: released, or its circuit has closed."""
        return released(self._releases.now, job.headers, origin, job.appended_ms) or (
            job.headers.deferrals > 0 and self._woken.covers(origin, job.headers.rule_id, job.appended_ms)
        )

    def assigned(self, partitions: Iterable[int], clock_ms: int) -> None:
        """These partition numbers are this sender's from now on."""
        self._limits.assigned(partitions, clock_ms)

    def gone(self, partitions: Iterable[int], jobs: Iterable[JobInHand]) -> None:
        """They are somebody else's, with these jobs. Attempts under way still end with `over`."""
        self._limits.gone(partitions)
        self._destinations.remove(jobs)

    @property
    def frees(self) -> bool:
        """Whether there is anything that `is_free` could say yes for."""
        return bool(self._woken or self._releases.now.rules or self._releases.now.destinations)

    @property
    def waiting(self) -> int:
        """Jobs in the queues."""
        return self._destinations.waiting()

    def open_circuits(self, clock_ms: int) -> list[Change]:
        """For the metric and /status."""
        return self._circuits.open(clock_ms)

    def status(self, clock_ms: int) -> dict[str, object]:
        """For /status."""
        return {
            "destinations": [entry._asdict() for entry in self._destinations.status()],
            "circuits": [
                {"about": c.about, "key": c.key, "state": c.state.value, "retry_in_ms": c.retry_in_ms}
                for c in self._circuits.open(clock_ms)
            ],
        }

    def _wake_released(self, what: str | int, at_ms: int, now_ms: int) -> None:
        if now_ms - at_ms < NEWS_MS:
            self._woken.wake(what, now_ms + WRITING_MS)

    def _climb(self, job: JobInHand, now_ms: int) -> PutOff:
        return deferral.climbing(now_ms, job.headers.deferrals, self._tiers)

    def _limited(self, job: JobInHand, clock_ms: int) -> int:
        rate = job.rule.delivery.rate_limit if job.rule is not None else None
        if rate is None:
            return 0
        returning = job.in_line or job.headers.deferrals > 0
        return self._limits.take(
            job.headers.rule_id, rate, job.lane.position.partition, clock_ms, returning=returning
        )

    def _tell(self, changes: list[Change], now_ms: int) -> bool:
        """Log what opened and closed; True if something closed."""
        closed = False
        for change in changes:
            fields = {
                change.about: change.key,
                "state": change.state.value,
                "retry_in_ms": change.retry_in_ms,
            }
            if change.state is State.CLOSED:
                closed = True
                self._woken.wake(change.key, now_ms + WRITING_MS)
                log.info("circuit closed", extra={"fields": fields})
            else:
                self._woken.withdraw(change.key)
                log.warning("circuit opened", extra={"fields": fields})
        return closed


def _has_memory(job: JobInHand) -> bool:
    """Whether a job may wait in memory: a retry partition with many there is paused, the others are not."""
    return bool(job.lane.tier_ms) or len(job.lane.jobs) <= HELD_RECORDS
