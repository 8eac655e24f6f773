"""Is this process alive, and is it ready? Pure: time enters as an argument, no clock and no thread here.

*Alive* asks whether the loops still turn: each loop beats its `Heartbeat` at least every so often, and a beat
that is missing makes /healthz fail, so that the process gets restarted. Being without a broker, or without a
caught-up rule table, is never a reason: a restart would not help.

*Ready* asks whether the role does its work now: named `Condition`s, each met or not met for a reason.

Any thread may report and any thread may ask.
"""

from collections.abc import Callable
from dataclasses import dataclass
from threading import Lock
from typing import Self

NO_ROLE = "no role has started yet"


@dataclass(frozen=True, slots=True)
class Verdict:
    """One answer: each check's reason to fail, None where it passes."""

    checks: dict[str, str | None]

    @property
    def ok(self) -> bool:
        return all(reason is None for reason in self.checks.values())

    def as_json(self) -> dict[str, object]:
        """The body of /healthz and /readyz: `{"status": "ok" | "unavailable", "checks": {name: reason}}`.

        The reason of a check that passes is null.
        """
        return {"status": "ok" if self.ok else "unavailable", "checks": dict(self.checks)}


class Heartbeat:
    """A loop's sign of life, or that of something that must end in time (a transaction).

    It is at rest until the first beat. From then on a beat is due every `max_age` seconds until `rest()`.
    Rest says "don't wait for me": a transaction that has ended, a loop that waits inside one long call for a
    broker which isn't there.
    """

    def __init__(self, max_age: float) -> None:
        if max_age <= 0:
            raise ValueError("a heartbeat's max_age has to be above 0 seconds")
        self.max_age = max_age
        self._last: float | None = None

    def beat(self, now: float) -> None:
        """Still here, at `now`: seconds on a clock that never goes back, the one /healthz is asked with."""
        self._last = now

    def rest(self) -> None:
        """No beat is due until the next one."""
        self._last = None

    def reason(self, now: float) -> str | None:
        """Why this isn't alive at `now`, None if it is."""
        last = self._last
        if last is None or now - last <= self.max_age:
            return None
        return f"no sign of life for {now - last:.1f} s, allowed are {self.max_age:g} s"


class Condition:
    """Something that has to hold before a role is ready. Not met until it is said to be."""

    def __init__(self, reason: str) -> None:
        self._reason: str | None = reason

    def met(self) -> None:
        self._reason = None

    def failed(self, reason: str) -> None:
        """`reason` is shown to whoever asks: one line, no secret, no target URL."""
        self._reason = reason

    @property
    def reason(self) -> str | None:
        return self._reason


class Health:
    """All heartbeats and conditions of one process, by name.

    Register while building the roles, before anything starts: a process with nothing registered is alive and
    not ready.
    """

    def __init__(self) -> None:
        self._lock = Lock()
        self._heartbeats: dict[str, Heartbeat] = {}
        self._conditions: dict[str, Callable[[], str | None]] = {}

    def heartbeat(self, name: str, max_age: float) -> Heartbeat:
        """A new liveness check, e.g. `matcher.loop`. Raises ValueError if the name is taken."""
        heartbeat = Heartbeat(max_age)
        with self._lock:
            self._refuse_taken(name, self._heartbeats)
            self._heartbeats[name] = heartbeat
        return heartbeat

    def condition(self, name: str, reason: str = "not yet") -> Condition:
        """A new readiness check, e.g. `matcher.group`, not met for `reason`.

        Raises ValueError if the name is taken.
        """
        condition = Condition(reason)
        self.ask(name, lambda: condition.reason)
        return condition

    def ask(self, name: str, reason: Callable[[], str | None]) -> None:
        """A new readiness check that is asked for its reason each time, on whichever thread asks.

        `reason` must not block. Raises ValueError if the name is taken.
        """
        with self._lock:
            self._refuse_taken(name, self._conditions)
            self._conditions[name] = reason

    def alive(self, now: float) -> Verdict:
        """`now` in seconds, on the clock the beats were given."""
        with self._lock:
            heartbeats = list(self._heartbeats.items())
        return Verdict({name: heartbeat.reason(now) for name, heartbeat in heartbeats})

    def ready(self) -> Verdict:
        with self._lock:
            conditions = list(self._conditions.items())
        return Verdict({name: reason() for name, reason in conditions} or {"process": NO_ROLE})

    @staticmethod
    def _refuse_taken(name: str, names: dict[str, Heartbeat] | dict[str, Callable[[], str | None]]) -> None:
        if name in names:
            raise ValueError(f"there is a health check {name!r} already")


@dataclass(frozen=True, slots=True)
class RoleChecks:
    """What matcher and sender have to tell about themselves, under the same names (`matcher.group`,
    `sender.group`, …).
    """

    loop: Heartbeat
    transaction: Heartbeat
    """Beaten when a transaction begins, at rest when it has ended."""
    broker: Condition
    """A connection to a broker stands."""
    table: Condition
    """The rule table has been read to its end."""
    group: Condition
    """The consumer group is joined. An empty assignment counts: more processes than partitions is no fault.
    """
    offsets: Condition
    """The group has a committed position wherever it begins to read."""

    @classmethod
    def register(cls, health: Health, role: str, *, loop_max_age: float, transaction_max_age: float) -> Self:
        """Ages in seconds. Raises ValueError if `role` is registered already."""
        return cls(
            loop=health.heartbeat(f"{role}.loop", loop_max_age),
            transaction=health.heartbeat(f"{role}.transaction", transaction_max_age),
            broker=health.condition(f"{role}.broker", "no connection to a broker yet"),
            table=health.condition(f"{role}.table", "the rule table has not been read to its end yet"),
            group=health.condition(f"{role}.group", "the consumer group is not joined yet"),
            offsets=health.condition(f"{role}.offsets", "the starting offsets are not committed yet"),
        )
