"""Which circuit an outcome feeds, and the registry of all circuits."""

import pytest

from processor.delivery.circuit import FIRST_BACKOFF_MS, MIN_SAMPLES, CircuitPolicy, State
from processor.delivery.circuits import Change, Circuits, Passed, Refused, Verdicts, verdicts
from processor.delivery.outcome import Kind, Outcome, Reason, Stage
from processor.delivery.woken import Woken

POLICY = CircuitPolicy(window_ms=60_000, failure_share=0.5, backoff_max_ms=300_000)
T = 1_000_000
A, B = "https://a.example:443", "https://b.example:443"
DELIVERED = Outcome(Kind.DELIVERED, 0, status=200)
NO_CONNECTION = Outcome(Kind.FAILED, 0, stage=Stage.CONNECT)
ERROR_500 = Outcome(Kind.FAILED, 0, stage=Stage.STATUS, status=500)
NOT_BEGUN = None


def attempt(
    circuits: Circuits, outcome: Outcome | None, now_ms: int = T, *, origin: str = A, rule: int = 1
) -> list[Change]:
    passed = circuits.admits(origin, rule, now_ms)
    assert isinstance(passed, Passed)
    return circuits.ended(passed, outcome, now_ms, 0.0)


def refused(circuits: Circuits, origin: str, rule: int, now_ms: int = T) -> str | None:
    said = circuits.admits(origin, rule, now_ms)
    if isinstance(said, Refused):
        return said.about
    circuits.ended(said, None, now_ms, 0.0)
    return None


@pytest.mark.parametrize(
    ("outcome", "verdict"),
    [
        (DELIVERED, Verdicts(destination=True, rule=True)),
        *(
            (
                Outcome(Kind.FAILED, 0, stage=Stage.STATUS, status=status),
                Verdicts(destination=True, rule=False),
            )
            for status in (301, 400, 404, 408, 425, 429, 500, 503)
        ),
        (
            Outcome(Kind.DEAD, 0, reason=Reason.EXHAUSTED, stage=Stage.STATUS, status=500),
            Verdicts(True, False),
        ),
        (Outcome(Kind.DEAD, 0, reason=Reason.REFUSED, stage=Stage.STATUS, status=422), Verdicts(True, True)),
        (Outcome(Kind.DEAD, 0, reason=Reason.GONE, stage=Stage.STATUS, status=410), Verdicts(True, True)),
        *(
            (Outcome(Kind.FAILED, 0, stage=stage), Verdicts(destination=False, rule=None))
            for stage in (Stage.RESOLVE, Stage.CONNECT, Stage.TLS, Stage.WRITE, Stage.READ)
        ),
        (Outcome(Kind.DEAD, 0, reason=Reason.EXHAUSTED, stage=Stage.READ), Verdicts(False, None)),
        (Outcome(Kind.DEAD, 0, reason=Reason.BLOCKED, stage=Stage.CONNECT), Verdicts(None, None)),
        (Outcome(Kind.FAILED, 0, stage=Stage.RENDER), Verdicts(None, None)),
        (Outcome(Kind.DEAD, 0, reason=Reason.EXPIRED), Verdicts(None, None)),
        (Outcome(Kind.CANCELLED, 0, reason=Reason.DELETED), Verdicts(None, None)),
        (Outcome(Kind.DEFERRED, 0), Verdicts(None, None)),
    ],
)
def test_connection_trouble_is_the_destinations_and_status_trouble_the_rules(
    outcome: Outcome, verdict: Verdicts
) -> None:
    assert verdicts(outcome) == verdict


def test_a_destination_that_can_t_be_reached_stops_all_its_rules_and_no_other_destination() -> None:
    circuits = Circuits(POLICY)
    for rule in range(MIN_SAMPLES - 1):
        assert attempt(circuits, NO_CONNECTION, rule=rule) == []

    assert attempt(circuits, NO_CONNECTION, rule=99) == [
        Change("destination", A, State.OPEN, FIRST_BACKOFF_MS)
    ]
    assert refused(circuits, A, 1000) == "destination"
    assert refused(circuits, B, 1) is None


def test_a_rule_whose_receiver_answers_500_stops_and_its_neighbours_at_the_same_host_go_on() -> None:
    circuits = Circuits(POLICY)
    for _ in range(MIN_SAMPLES - 1):
        attempt(circuits, ERROR_500, rule=1)

    assert attempt(circuits, ERROR_500, rule=1) == [Change("rule", 1, State.OPEN, FIRST_BACKOFF_MS)]
    assert refused(circuits, A, 1) == "rule"
    assert refused(circuits, A, 2) is None


def test_a_successful_probe_closes_and_says_so() -> None:
    circuits = Circuits(POLICY)
    for _ in range(MIN_SAMPLES):
        attempt(circuits, NO_CONNECTION)

    assert [change.key for change in circuits.open(T)] == [A]
    assert attempt(circuits, DELIVERED, T + FIRST_BACKOFF_MS) == [Change("destination", A, State.CLOSED, 0)]
    assert circuits.open(T) == []


def test_a_failed_probe_is_no_news_and_stays_listed() -> None:
    circuits = Circuits(POLICY)
    for _ in range(MIN_SAMPLES):
        attempt(circuits, NO_CONNECTION)

    assert attempt(circuits, NO_CONNECTION, T + FIRST_BACKOFF_MS) == []
    assert circuits.open(T + FIRST_BACKOFF_MS) == [Change("destination", A, State.OPEN, 2 * FIRST_BACKOFF_MS)]


@pytest.mark.parametrize("outcome", [NOT_BEGUN, Outcome(Kind.FAILED, 0, stage=Stage.RENDER)])
def test_a_probe_that_told_nothing_leaves_its_place_to_the_next(outcome: Outcome | None) -> None:
    circuits = Circuits(POLICY)
    for _ in range(MIN_SAMPLES):
        attempt(circuits, NO_CONNECTION)
    at = T + FIRST_BACKOFF_MS

    first = circuits.admits(A, 1, at)
    assert isinstance(first, Passed)
    assert refused(circuits, A, 1, at) == "destination"
    circuits.ended(first, outcome, at, 0.0)
    assert refused(circuits, A, 1, at) is None


def test_a_rules_probe_that_met_connection_trouble_is_freed_not_failed() -> None:
    circuits = Circuits(POLICY)
    for _ in range(MIN_SAMPLES):
        attempt(circuits, ERROR_500)
    at = T + FIRST_BACKOFF_MS

    attempt(circuits, NO_CONNECTION, at)
    assert refused(circuits, A, 1, at) is None
    assert attempt(circuits, DELIVERED, at) == [Change("rule", 1, State.CLOSED, 0)]


def test_a_rules_open_circuit_uses_up_no_probe_of_the_destination() -> None:
    circuits = Circuits(POLICY)
    at = T + FIRST_BACKOFF_MS
    for _ in range(MIN_SAMPLES):
        attempt(circuits, NO_CONNECTION, T, rule=2)
        attempt(circuits, ERROR_500, at, origin=B, rule=1)

    assert refused(circuits, A, 1, at) == "rule"
    assert isinstance(circuits.admits(A, 2, at), Passed)


def test_a_changed_rule_starts_anew_and_old_attempts_no_longer_count() -> None:
    circuits = Circuits(POLICY)
    old, new = object(), object()
    passed = [circuits.admits(A, 1, T, old) for _ in range(3 * MIN_SAMPLES)]
    for one in passed[:MIN_SAMPLES]:
        assert isinstance(one, Passed)
        circuits.ended(one, ERROR_500, T, 0.0)
    assert isinstance(circuits.admits(A, 1, T, old), Refused)

    assert isinstance(circuits.admits(A, 1, T, new), Passed)
    assert circuits.open(T) == []
    for one in passed[MIN_SAMPLES:]:
        assert isinstance(one, Passed)
        assert circuits.ended(one, ERROR_500, T, 0.0) == []
    assert isinstance(circuits.admits(A, 1, T, new), Passed)


def test_somebody_may_ask_to_start_anew() -> None:
    circuits = Circuits(POLICY)
    for _ in range(MIN_SAMPLES):
        attempt(circuits, NO_CONNECTION)
        attempt(circuits, ERROR_500, origin=B)
    circuits.forget_destination(A)
    circuits.forget_rule(1)

    assert refused(circuits, A, 1) is None
    assert circuits.open(T) == []


def test_idle_circuits_are_forgotten_as_others_come() -> None:
    circuits = Circuits(POLICY)
    for n in range(1_000):
        attempt(circuits, DELIVERED, T + n * 10_000, origin=f"https://{n}.example", rule=n)

    assert len(circuits) <= 20


def test_there_are_never_more_than_the_bound() -> None:
    circuits = Circuits(POLICY, most=10)
    for n in range(100):
        attempt(circuits, ERROR_500, origin=f"https://{n}.example", rule=n)

    assert len(circuits) == 20


def test_what_was_put_off_before_its_circuit_closed_is_due_and_what_came_later_is_not() -> None:
    woken = Woken()
    assert not woken
    woken.wake(A, 1_000)

    assert woken.covers(A, 1, 999)
    assert not woken.covers(A, 1, 1_000)
    assert not woken.covers(B, 1, 999)
    woken.wake(1, 2_000)
    assert woken.covers(B, 1, 1_999)
    woken.wake(1, 500)
    assert woken.covers(B, 1, 1_999)
    woken.withdraw(1)
    assert not woken.covers(B, 1, 0)


def test_what_was_woken_longest_ago_is_forgotten() -> None:
    woken = Woken(most=2)
    for n in (1, 2, 1, 3):
        woken.wake(n, 1_000)

    assert [woken.covers("", n, 0) for n in (1, 2, 3)] == [True, False, True]
