"""All circuits of a sender: per destination for connection trouble, per rule for what receivers answer.

A host that can't be reached is no rule's fault, so all rules that call it stop together; a path that
answers 500 is no fault of the host's, so only its rule stops. Which of the two an attempt speaks about is
`verdicts`.

    passed = circuits.admits(origin, rule.id, now_ms, version=rule)  # right before the attempt
    …                                                                # Refused: put the job off
    changes = circuits.ended(passed, outcome, now_ms, random())      # always; None: it was not begun

Bounded: circuits that have nothing to tell any more are forgotten, and of too many the one longest unused.
Pure; times are ms of a clock that never goes back.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable, Iterator
from dataclasses import dataclass
from typing import Final, Generic, Literal, NamedTuple, TypeVar

from processor.delivery.circuit import Circuit, CircuitPolicy, State
from processor.delivery.outcome import Kind, Outcome, Reason, Stage

MOST: Final = 10_000
"""Circuits of each sort at most."""

_SWEEP: Final = 2
"""Looked at, for being idle, whenever a new one is made: the registry shrinks as it is used."""

About = Literal["destination", "rule"]

_CONNECTION: Final = frozenset({Stage.RESOLVE, Stage.CONNECT, Stage.TLS, Stage.WRITE, Stage.READ})
_FINAL: Final = frozenset({Reason.REFUSED, Reason.GONE})


class Verdicts(NamedTuple):
    """What an attempt says about the destination and about the rule: well, badly, or nothing (None)."""

    destination: bool | None
    rule: bool | None


def verdicts(outcome: Outcome) -> Verdicts:
    """Which circuits an outcome feeds. It is the one that is audited: decided by the retry policy already.

    Any answer, whatever its status, shows that the destination works. A status that will be tried again (or
    was for the last time) is the rule's trouble; a final 4xx is a receiver at work that didn't like this
    one job. What failed on the way, time-outs included, is the destination's trouble and leaves the rule
    unjudged. Attempts that never reached the network say nothing.
    """
    if outcome.kind is Kind.DELIVERED:
        return Verdicts(destination=True, rule=True)
    if outcome.kind not in {Kind.FAILED, Kind.DEAD}:
        return Verdicts(None, None)
    if outcome.stage is Stage.STATUS:
        return Verdicts(destination=True, rule=outcome.reason in _FINAL)
    if outcome.stage in _CONNECTION and outcome.reason is not Reason.BLOCKED:
        return Verdicts(destination=False, rule=None)
    return Verdicts(None, None)


class Passed(NamedTuple):
    """An attempt that was let through; to be handed back to `ended`, exactly once."""

    origin: str
    rule_id: int
    destination: Circuit
    rule: Circuit
    destination_probe: int
    """0 unless it is the probe of that circuit."""
    rule_probe: int


class Refused(NamedTuple):
    """Put the job off: for `wait_ms` if it is a scout, else as any deferral (None)."""

    about: About
    wait_ms: int | None


class Change(NamedTuple):
    """A circuit opened (next probe in `retry_in_ms`) or closed: log it; on closing wake what waits for it."""

    about: About
    key: str | int
    """The origin, or the rule's id."""
    state: State
    retry_in_ms: int


class Circuits:
    """The registry; one thread."""

    def __init__(self, policy: CircuitPolicy, most: int = MOST) -> None:
        self._destinations: _Family[str] = _Family(policy, most)
        self._rules: _Family[int] = _Family(policy, most)

    def admits(self, origin: str, rule_id: int, now_ms: int, version: object = None) -> Passed | Refused:
        """Whether an attempt may begin. It needs both circuits, and is the probe of each that is half-open.

        `version`: the rule as it is (compared by identity): a changed rule may have been mended, so its
        circuit starts anew.
        """
        destination = self._destinations.circuit(origin, now_ms)
        if not destination.admits(now_ms):
            return Refused("destination", destination.refused(now_ms))
        rule = self._rules.circuit(rule_id, now_ms, version)
        if not rule.admits(now_ms):
            return Refused("rule", rule.refused(now_ms))
        return Passed(origin, rule_id, destination, rule, destination.enter(now_ms), rule.enter(now_ms))

    def ended(self, passed: Passed, outcome: Outcome | None, now_ms: int, chance: float) -> list[Change]:
        """The attempt is over. None: it was not begun, or broken off; probes of it are freed.

        `chance` is from [0, 1). The circuits that opened or closed by it, mostly none.
        """
        said = Verdicts(None, None) if outcome is None else verdicts(outcome)
        changes = []
        if self._destinations.told(
            passed.origin,
            passed.destination,
            _Told(said.destination, passed.destination_probe, now_ms, chance),
        ):
            changes.append(_change("destination", passed.origin, passed.destination, now_ms))
        if self._rules.told(passed.rule_id, passed.rule, _Told(said.rule, passed.rule_probe, now_ms, chance)):
            changes.append(_change("rule", passed.rule_id, passed.rule, now_ms))
        return changes

    def open(self, now_ms: int) -> list[Change]:
        """Those that are not closed, for the metric and /status."""
        return [
            *(_change("destination", key, circuit, now_ms) for key, circuit in self._destinations.open()),
            *(_change("rule", key, circuit, now_ms) for key, circuit in self._rules.open()),
        ]

    def forget_destination(self, origin: str) -> None:
        """Start anew with it, as somebody asked to (`deliveries release`)."""
        self._destinations.forget(origin)

    def forget_rule(self, rule_id: int) -> None:
        """Start anew with it."""
        self._rules.forget(rule_id)

    def __len__(self) -> int:
        return len(self._destinations) + len(self._rules)


def _change(about: About, key: str | int, circuit: Circuit, now_ms: int) -> Change:
    return Change(about, key, circuit.state(now_ms), circuit.retry_in(now_ms))


class _Told(NamedTuple):
    ok: bool | None
    probe: int
    now_ms: int
    chance: float


_Key = TypeVar("_Key", bound=Hashable)


@dataclass(slots=True)
class _Known:
    circuit: Circuit
    version: object


class _Family(Generic[_Key]):
    """Circuits of one sort by their key, the longest unused first."""

    def __init__(self, policy: CircuitPolicy, most: int) -> None:
        self._policy = policy
        self._most = most
        self._known: OrderedDict[_Key, _Known] = OrderedDict()
        self._open: dict[_Key, Circuit] = {}

    def circuit(self, key: _Key, now_ms: int, version: object = None) -> Circuit:
        known = self._known.get(key)
        if known is not None and known.version is version:
            self._known.move_to_end(key)
            return known.circuit
        self.forget(key)
        self._make_room(now_ms)
        circuit = Circuit(self._policy)
        self._known[key] = _Known(circuit, version)
        return circuit

    def told(self, key: _Key, circuit: Circuit, told: _Told) -> bool:
        if told.ok is None:
            circuit.free(told.probe)
            return False
        changed = circuit.record(told.now_ms, ok=told.ok, chance=told.chance, probe=told.probe)
        known = self._known.get(key)
        if not changed or known is None or known.circuit is not circuit:
            return False  # nothing new, or forgotten while the attempt was on its way
        if circuit.state(told.now_ms) is State.CLOSED:
            self._open.pop(key, None)
        else:
            self._open[key] = circuit
        return True

    def open(self) -> Iterator[tuple[_Key, Circuit]]:
        yield from self._open.items()

    def forget(self, key: _Key) -> None:
        self._known.pop(key, None)
        self._open.pop(key, None)

    def __len__(self) -> int:
        return len(self._known)

    def _make_room(self, now_ms: int) -> None:
        for _ in range(_SWEEP):
            oldest = next(iter(self._known.items()), None)
            if oldest is None or not (len(self._known) >= self._most or oldest[1].circuit.idle(now_ms)):
                return
            self.forget(oldest[0])
