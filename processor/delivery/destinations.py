"""Jobs that are due and wait for their destination: a bounded queue and a fair share of the sender for each.

A destination (scheme, host, port: the origin) has at most `concurrency` attempts under way. Whose turn it
is goes round, one job each time: over the destinations that have room, and within a destination over its
rules. So neither a slow host nor a rule with a backlog takes more than its share. Every operation on a job
takes constant time.

How long a queue may get depends on how much room is left in all: never longer than that room. One busy
destination gets half of the memory, two get a third each, and there is always room for one that was quiet
until now; no destination has to be asked to give back what it has.

A job that finds its queue full is held or put off: `when_full` decides. Holding means back-pressure: the
job stays in hand, nothing more is taken from Kafka until it fits. That costs nothing and keeps the order,
but everything behind it in the partitions stands still, so it is right only where nobody else would suffer:
no other destination has been active in the last minute, and the queue will be through in a few seconds. A
healthy receiver with a backlog is that case; were its backlog put off instead, every one of its jobs would
be written to a retry topic and read again, round and round, only to find the queue full of others. In any
other case a queue that is full must not hold up the rest: the job is put off, and the partition goes on. It
is told a time when there should be a place for it: places are given out at the pace at which the
destination has been getting through its jobs, so those put off come back spaced like that, once each, and
the receiver neither idles nor is asked in vain. While somebody has such a place, new jobs get only the
first half of the queue.

Destinations that hang all at once could take all places for the length of a time-out, 16 each, and the
healthy would stand behind them. So the second half of all places is only for destinations that were heard
from a moment ago; the others get one place each there, to be heard from. Who answers, however slowly, is
heard from often enough once it has a few attempts under way, and nobody is told apart before the first half
is gone.

Pure: times are ms of a clock that never goes back. One thread.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable, Iterable
from typing import Final, Generic, NamedTuple, TypeVar

from processor.delivery.pace import Pace

HOLD_MS: Final = 5_000
"""A queue that will be through sooner may hold the partitions."""

ACTIVE_MS: Final = 60_000
"""A destination that was offered a job within this time counts as active."""

WARM_UP_MS: Final = 5_000
"""So long a destination may be busy without having finished anything before it counts as slow."""

FARTHEST_MS: Final = 600_000
"""No place behind a full queue is farther off: what was put off is looked at again within ten minutes."""

LOOK_AGAIN_MS: Final = 250
"""When to ask again about a destination that has only just begun: it may turn out to be fast."""

HEARD_MS: Final = 250
"""So long an answer entitles a destination to more places than one while places are scarce."""


class Load(NamedTuple):
    """What is known of a destination whose queue is full."""

    waiting: int
    busy_ms: float
    """How long it has had attempts under way, in all."""
    per_ms: float
    """Attempts it would finish per ms with all its places taken, as they have been of late; 0: none did."""
    others_active: bool


class Hold(NamedTuple):
    """Keep the job in hand and take no more from the partitions until it fits."""


class Defer(NamedTuple):
    """Put the job off: until `wait_ms` from now there should be a place; None: nobody can tell."""

    wait_ms: int | None


def when_full(load: Load) -> Hold | Defer:
    """What to do with a job whose destination's queue is full. Defer's time is that of the queue alone."""
    if not load.per_ms:
        if load.busy_ms >= WARM_UP_MS:
            return Defer(None)
        return Defer(LOOK_AGAIN_MS) if load.others_active else Hold()
    wait = load.waiting / load.per_ms
    if wait < HOLD_MS and not load.others_active:
        return Hold()
    return Defer(int(min(wait, FARTHEST_MS)) + 1)


class DestinationStatus(NamedTuple):
    """One destination, for /status."""

    origin: str
    waiting: int
    in_flight: int


_Job = TypeVar("_Job", bound=Hashable)


class Destinations(Generic[_Job]):
    """The queues. `concurrency`: attempts under way per destination; `most`: in all, and jobs that wait."""

    def __init__(self, concurrency: int, most: int) -> None:
        self._concurrency = concurrency
        self._most = most
        self._in_flight = 0
        self._all: dict[str, _Destination[_Job]] = {}  # all that are active or have anything to do
        self._active: OrderedDict[str, int] = (
            OrderedDict()
        )  # when each was last offered a job, longest ago first
        self._turns: OrderedDict[str, _Destination[_Job]] = OrderedDict()  # those that could start a job
        self._where: OrderedDict[_Job, tuple[_Destination[_Job], int]] = OrderedDict()  # in the order offered

    def offer(self, origin: str, rule_id: int, job: _Job, now_ms: int, *, returning: bool = False) -> bool:
        """Queue a job that is due. False: no place, see `full`.

        `returning`: whether it was put off before.
        """
        destination = self._all.get(origin)
        if destination is None:
            destination = self._all[origin] = _Destination(origin, now_ms)
        self._active[origin] = now_ms
        self._active.move_to_end(origin)
        self._forget_quiet(now_ms)
        room = self._most - len(self._where)
        if destination.line_at > now_ms and not returning:
            room //= 2
        if destination.waiting >= room:
            return False
        destination.rules.setdefault(rule_id, OrderedDict())[job] = None
        destination.waiting += 1
        self._where[job] = (destination, rule_id)
        self._may_start(destination)
        return True

    def full(self, origin: str, now_ms: int) -> Hold | Defer:
        """What to do with a job that `offer` has just refused."""
        destination = self._all[origin]
        busy_ms, each_ms = destination.pace.of(now_ms, destination.in_flight)
        per_ms = self._concurrency / each_ms if each_ms else 0.0
        self._forget_quiet(now_ms)
        others = len(self._active) > (origin in self._active)
        decided = when_full(Load(destination.waiting, busy_ms, per_ms, others))
        if isinstance(decided, Hold) or decided.wait_ms is None or not per_ms:
            return decided
        place = max(destination.line_at + 1 / per_ms, now_ms + decided.wait_ms)
        destination.line_at = min(place, now_ms + FARTHEST_MS)
        return Defer(int(destination.line_at - now_ms) + 1)

    def take(self, room: int, now_ms: int) -> list[_Job]:
        """Up to `room` jobs to start now; each needs one `ended`."""
        taken: list[_Job] = []
        silent: list[_Destination[_Job]] = []
        while self._turns and len(taken) < room:
            _, destination = self._turns.popitem(last=False)
            if self._has_its_share(destination, now_ms):
                silent.append(destination)
                continue
            rule_id, queue = destination.rules.popitem(last=False)
            job, _ = queue.popitem(last=False)
            if queue:
                destination.rules[rule_id] = queue  # behind the destination's other rules
            del self._where[job]
            destination.waiting -= 1
            destination.pace.tick(now_ms, destination.in_flight)
            destination.in_flight += 1
            self._in_flight += 1
            self._may_start(destination)
            taken.append(job)
        for destination in silent:
            self._may_start(destination)
        return taken

    def _has_its_share(self, destination: _Destination[_Job], now_ms: int) -> bool:
        """Whether places are scarce, and it has one and wasn't heard from of late."""
        if self._in_flight < self._most // 2 or not destination.in_flight:
            return False
        return destination.heard_at is None or now_ms - destination.heard_at > HEARD_MS

    def ended(self, origin: str, now_ms: int, *, attempted: bool = True, heard: bool = False) -> None:
        """A job that was taken is done with.

        attempted: False if nothing was sent after all; heard: whether the destination has answered.
        """
        destination = self._all[origin]
        destination.pace.tick(now_ms, destination.in_flight)
        if attempted:
            destination.pace.finish()
        if heard:
            destination.heard_at = now_ms
        destination.in_flight -= 1
        self._in_flight -= 1
        self._may_start(destination)
        self._forget_idle(destination)

    def renew(self, origin: str, now_ms: int) -> None:
        """What was known of its pace doesn't hold any more: it was down and has come back.

        By the pace of an outage, those that waited for its end would get places minutes away.
        """
        if (destination := self._all.get(origin)) is not None:
            destination.pace = Pace(now_ms)
            destination.line_at = 0.0

    def remove(self, jobs: Iterable[_Job]) -> None:
        """Forget these where they wait; those that don't are ignored."""
        for job in jobs:
            found = self._where.pop(job, None)
            if found is None:
                continue
            destination, rule_id = found
            queue = destination.rules[rule_id]
            del queue[job]
            if not queue:
                del destination.rules[rule_id]
            destination.waiting -= 1
            if not destination.waiting:
                self._turns.pop(destination.origin, None)
                self._forget_idle(destination)

    def waiting(self) -> int:
        """Jobs that wait, in all."""
        return len(self._where)

    def oldest(self) -> _Job | None:
        """The one that was offered first of those that wait."""
        return next(iter(self._where), None)

    def status(self) -> list[DestinationStatus]:
        """Every destination with anything to do."""
        return [
            DestinationStatus(d.origin, d.waiting, d.in_flight)
            for d in self._all.values()
            if d.waiting or d.in_flight
        ]

    def _may_start(self, destination: _Destination[_Job]) -> None:
        """At the end of the round, if it could start a job now and isn't in the round already."""
        if destination.waiting and destination.in_flight < self._concurrency:
            self._turns.setdefault(destination.origin, destination)

    def _forget_quiet(self, now_ms: int) -> None:
        while self._active:
            origin, at = next(iter(self._active.items()))
            if now_ms - at <= ACTIVE_MS:
                return
            del self._active[origin]
            self._forget_idle(self._all[origin])

    def _forget_idle(self, destination: _Destination[_Job]) -> None:
        """Unless it has anything to do, or had a moment ago."""
        idle = not destination.waiting and not destination.in_flight
        if idle and destination.origin not in self._active:
            del self._all[destination.origin]


class _Destination(Generic[_Job]):
    """One queue: by rule, the rule whose turn is next first."""

    __slots__ = ("heard_at", "in_flight", "line_at", "origin", "pace", "rules", "waiting")

    def __init__(self, origin: str, now_ms: int) -> None:
        self.origin = origin
        self.rules: OrderedDict[int, OrderedDict[_Job, None]] = OrderedDict()
        self.waiting = 0
        self.in_flight = 0
        self.heard_at: int | None = None
        self.line_at = 0.0  # the last place given to a job that was put off
        self.pace = Pace(now_ms)
