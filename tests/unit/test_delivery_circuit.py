"""The circuit breaker: when it opens, how it probes, what it costs while it is open."""

from hypothesis import given
from hypothesis import strategies as st

from processor.delivery.circuit import (
    FIRST_BACKOFF_MS,
    IN_A_ROW,
    MIN_SAMPLES,
    PROBE_LOST_MS,
    PROBE_PATIENCE_MS,
    SCOUT_STEP_MS,
    SCOUTS,
    Circuit,
    CircuitPolicy,
    State,
)
from processor.settings import Settings

POLICY = CircuitPolicy(window_ms=60_000, failure_share=0.5, backoff_max_ms=300_000)
T = 1_000_000


def fail(circuit: Circuit, times: int, now_ms: int = T, chance: float = 0.0) -> None:
    for _ in range(times):
        circuit.record(now_ms, ok=False, chance=chance)


def opened(now_ms: int = T, policy: CircuitPolicy = POLICY) -> Circuit:
    circuit = Circuit(policy)
    fail(circuit, MIN_SAMPLES, now_ms)
    assert circuit.state(now_ms) is State.OPEN
    return circuit


def test_the_settings_defaults_are_the_policys() -> None:
    assert CircuitPolicy.of(Settings().sender.circuit) == CircuitPolicy()


def test_single_failures_open_nothing_and_a_dead_receiver_opens_at_the_fifth() -> None:
    circuit = Circuit(POLICY)
    fail(circuit, MIN_SAMPLES - 1)

    assert circuit.state(T) is State.CLOSED
    assert circuit.record(T, ok=False, chance=0.0)
    assert circuit.state(T) is State.OPEN
    assert not circuit.admits(T)


def test_failures_that_lie_a_window_apart_don_t_add_up() -> None:
    circuit = Circuit(POLICY)
    for step in range(100):
        circuit.record(T + step * 60_000 // (MIN_SAMPLES - 2), ok=False, chance=0.0)
        circuit.record(T + step * 60_000 // (MIN_SAMPLES - 2), ok=True, chance=0.0)
        circuit.record(T + step * 60_000 // (MIN_SAMPLES - 2), ok=True, chance=0.0)

        assert circuit.state(T + step * 60_000) is State.CLOSED


def test_it_opens_at_the_share_and_not_below() -> None:
    circuit = Circuit(CircuitPolicy(failure_share=0.3))
    for _ in range(8):
        circuit.record(T, ok=True, chance=0.0)
    fail(circuit, 3)  # 3 of 11

    assert circuit.state(T) is State.CLOSED
    fail(circuit, 1)  # 4 of 12
    assert circuit.state(T) is State.OPEN


def test_a_receiver_that_hangs_after_thousands_of_successes_opens_within_twenty_failures() -> None:
    circuit = Circuit(POLICY)
    for _ in range(60_000):
        circuit.record(T, ok=True, chance=0.0)
    fail(circuit, IN_A_ROW - 1, T + 1)

    assert circuit.state(T + 1) is State.CLOSED
    fail(circuit, 1, T + 1)
    assert circuit.state(T + 1) is State.OPEN


def test_one_success_interrupts_the_row() -> None:
    circuit = Circuit(POLICY)
    for _ in range(100):
        circuit.record(T, ok=True, chance=0.0)
    for _ in range(4):
        fail(circuit, IN_A_ROW - 1)
        circuit.record(T, ok=True, chance=0.0)

    assert circuit.state(T) is State.CLOSED


def test_half_open_lets_one_probe_through_at_a_time() -> None:
    circuit = opened()
    at = T + FIRST_BACKOFF_MS

    assert not circuit.admits(at - 1)
    assert circuit.admits(at)
    assert circuit.state(at) is State.HALF_OPEN
    assert circuit.enter(at)
    assert not circuit.admits(at)
    assert circuit.state(at) is State.HALF_OPEN


def test_a_successful_probe_closes_and_what_was_before_is_forgotten() -> None:
    circuit = opened()
    probe = circuit.enter(T + FIRST_BACKOFF_MS)

    assert circuit.record(T + FIRST_BACKOFF_MS, ok=True, chance=0.0, probe=probe)
    assert circuit.state(T + FIRST_BACKOFF_MS) is State.CLOSED
    fail(circuit, MIN_SAMPLES - 1, T + FIRST_BACKOFF_MS)
    assert circuit.state(T + FIRST_BACKOFF_MS) is State.CLOSED


def test_each_failed_probe_doubles_the_back_off_up_to_its_maximum_and_success_resets_it() -> None:
    circuit, now = opened(), T
    waits = []
    for _ in range(9):
        waits.append(circuit.retry_in(now))
        now += waits[-1]
        assert not circuit.record(now, ok=False, chance=0.0, probe=circuit.enter(now))
    assert waits == [5_000, 10_000, 20_000, 40_000, 80_000, 160_000, 300_000, 300_000, 300_000]

    now += circuit.retry_in(now)
    circuit.record(now, ok=True, chance=0.0, probe=circuit.enter(now))
    fail(circuit, MIN_SAMPLES, now)
    assert circuit.retry_in(now) == FIRST_BACKOFF_MS


@given(st.floats(0, 1, exclude_max=True), st.integers(0, 12), st.integers(1, 600_000))
def test_chance_shortens_a_back_off_by_half_at_most(chance: float, failures: int, most: int) -> None:
    circuit, now = Circuit(CircuitPolicy(backoff_max_ms=most)), T
    fail(circuit, MIN_SAMPLES, now, chance)
    for _ in range(failures):
        now += circuit.retry_in(now)
        circuit.record(now, ok=False, chance=chance, probe=circuit.enter(now))

    whole = min(most, FIRST_BACKOFF_MS * 2**failures)
    assert whole / 2 <= circuit.retry_in(now) <= whole


def test_a_probe_that_was_broken_off_frees_its_place() -> None:
    circuit = opened()
    probe = circuit.enter(T + FIRST_BACKOFF_MS)
    circuit.free(probe)

    assert circuit.admits(T + FIRST_BACKOFF_MS)
    assert circuit.enter(T + FIRST_BACKOFF_MS) != probe


def test_a_probe_nobody_ever_heard_of_again_does_not_keep_it_open_for_ever() -> None:
    circuit = opened()
    lost = circuit.enter(T + FIRST_BACKOFF_MS)
    later = T + FIRST_BACKOFF_MS + PROBE_LOST_MS

    assert not circuit.admits(later - 1)
    assert circuit.admits(later)
    probe = circuit.enter(later)
    assert not circuit.record(later, ok=True, chance=0.0, probe=lost)
    assert circuit.record(later, ok=True, chance=0.0, probe=probe)


def test_what_ends_while_it_is_open_and_is_not_the_probe_changes_nothing() -> None:
    circuit = opened()
    before = circuit.retry_in(T)
    fail(circuit, 50)
    circuit.record(T, ok=True, chance=0.0)

    assert circuit.retry_in(T) == before
    probe = circuit.enter(T + before)
    circuit.record(T + before, ok=False, chance=0.0, probe=probe + 1)
    circuit.record(T + before, ok=True, chance=0.0)
    assert circuit.state(T + before) is State.HALF_OPEN


def test_a_few_refused_jobs_come_back_for_the_probe_and_all_others_climb() -> None:
    circuit = opened()
    told = [circuit.refused(T) for _ in range(SCOUTS + 1_000)]

    assert told[:SCOUTS] == [FIRST_BACKOFF_MS + n * SCOUT_STEP_MS for n in range(1, SCOUTS + 1)]
    assert set(told[SCOUTS:]) == {None}


def test_each_open_period_has_its_own_scouts() -> None:
    circuit = opened()
    while circuit.refused(T) is not None:
        pass
    circuit.record(T + 5_000, ok=False, chance=0.0, probe=circuit.enter(T + 5_000))

    assert circuit.refused(T + 5_000) == 10_000 + SCOUT_STEP_MS


def test_a_scout_that_meets_a_probe_under_way_comes_again_when_that_is_over() -> None:
    circuit = opened()
    circuit.enter(T + 5_000)

    assert circuit.refused(T + 6_000) == PROBE_PATIENCE_MS - 1_000 + SCOUT_STEP_MS
    assert (circuit.refused(T + 600_000) or 0) > 0


def test_it_is_idle_when_it_has_nothing_to_tell() -> None:
    circuit = Circuit(POLICY)
    assert circuit.idle(T)
    circuit.record(T, ok=True, chance=0.0)
    assert not circuit.idle(T)
    assert circuit.idle(T + 60_000)

    circuit = opened()
    assert not circuit.idle(T + FIRST_BACKOFF_MS)
    assert circuit.idle(T + FIRST_BACKOFF_MS + 360_000)
    circuit.enter(T + FIRST_BACKOFF_MS + 360_000)
    assert not circuit.idle(T + FIRST_BACKOFF_MS + 360_000)


class Naive:
    """The same, by remembering everything."""

    def __init__(self, policy: CircuitPolicy) -> None:
        self.policy = policy
        self.samples: list[tuple[int, bool]] = []
        self.backoff = 0
        self.retry_at = 0
        self.probing = False

    def admits(self, now: int) -> bool:
        return not self.backoff or (now >= self.retry_at and not self.probing)

    def record(self, now: int, ok: bool, chance: float, probe: bool) -> None:
        if self.backoff:
            if probe and ok:
                self.backoff, self.samples, self.probing = 0, [], False
            elif probe:
                self.open(now, self.backoff * 2, chance)
            return
        self.samples.append((now, ok))
        width = self.policy.window_ms // 10
        inside = [ok for at, ok in self.samples if at // width > now // width - 10]
        failed = inside.count(False)
        row = [ok for _, ok in self.samples[-IN_A_ROW:]]
        share = len(inside) >= MIN_SAMPLES and failed / len(inside) >= self.policy.failure_share
        if not ok and (share or (len(row) == IN_A_ROW and not any(row))):
            self.open(now, FIRST_BACKOFF_MS, chance)

    def open(self, now: int, backoff: int, chance: float) -> None:
        self.backoff = min(backoff, self.policy.backoff_max_ms)
        self.retry_at = now + self.backoff - int(self.backoff / 2 * chance)
        self.probing = False


steps = st.tuples(
    st.integers(0, 15_000),
    st.sampled_from(["begin", "well", "badly", "badly", "free"]),
    st.sampled_from([0.0, 0.25, 0.99]),
)


@given(
    st.lists(steps, max_size=300),
    st.sampled_from([0.1, 0.5, 0.75, 1.0]),
    st.sampled_from([10_000, 60_000]),
)
def test_it_agrees_with_one_that_remembers_everything(
    script: list[tuple[int, str, float]], share: float, window: int
) -> None:
    policy = CircuitPolicy(window, share, 40_000)
    circuit, naive = Circuit(policy), Naive(policy)
    now = T
    under_way: list[tuple[int, bool]] = []
    for passed, what, chance in script:
        now += passed
        assert circuit.admits(now) == naive.admits(now)
        if what == "begin":
            if circuit.admits(now):
                probe = bool(naive.backoff)
                under_way.append((circuit.enter(now), probe))
                naive.probing = naive.probing or probe
        elif under_way:
            number, probe = under_way.pop(0)
            probe = probe and naive.probing
            assert bool(number) >= probe
            if what == "free":
                circuit.free(number)
                naive.probing = naive.probing and not probe
            else:
                circuit.record(now, ok=what == "well", chance=chance, probe=number)
                naive.record(now, what == "well", chance, probe)
        assert circuit.retry_in(now) == (max(0, naive.retry_at - now) if naive.backoff else 0)
