"""Rate limits: never more than they say in any stretch of time, and not less than there is to send."""

import heapq
from collections.abc import Iterable, Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from processor.delivery.limits import GRACE_MS, PATIENCE_MS, Limit, Limits
from processor.rules.rate import MAX_COUNT, Rate, parse_rate

T = 1_000_000

rates = st.builds(Rate, st.integers(1, 200), st.sampled_from("smh"))


def full(rate: Rate, now_ms: int = T) -> Limit:
    return Limit(rate, now_ms, now_ms - rate.per_ms)


def keeps(rate: Rate, sent: Sequence[int]) -> bool:
    """No stretch of time, from one attempt to another, has more than burst + rate × its length."""
    # Enough to look at the stretches that begin and end with an attempt; a running maximum spares the pairs:
    # number × interval - time must never rise by more than burst × interval, all times count.
    lowest = None
    for number, at in enumerate(sent):
        score = number * rate.per_ms - at * rate.count
        lowest = score if lowest is None else min(lowest, score)
        if score - lowest > (rate.count - 1) * rate.per_ms:
            return False
    return True


class Simulation:
    """Jobs that ask, are sent or told when to come again, and come then, some of them late."""

    def __init__(self, limit: Limit, arrivals: Iterable[int]) -> None:
        self.limit = limit
        self.coming = [(at, number, 0) for number, at in enumerate(sorted(arrivals))]
        heapq.heapify(self.coming)
        self.sent: list[tuple[int, int]] = []
        self.asked: dict[int, int] = {}

    def run(self, until: int | None = None, late: Sequence[int] = (0,)) -> "Simulation":
        while self.coming and (until is None or self.coming[0][0] <= until):
            at, number, tries = heapq.heappop(self.coming)
            self.asked[number] = self.asked.get(number, 0) + 1
            wait = self.limit.take(at, returning=tries > 0)
            if not wait:
                self.sent.append((at, number))
            else:
                again = at + wait + late[(number + tries) % len(late)]
                heapq.heappush(self.coming, (again, number, tries + 1))
        return self

    @property
    def times(self) -> list[int]:
        return [at for at, _ in self.sent]


@pytest.mark.parametrize(
    ("written", "rate", "text"),
    [
        ("20/s", Rate(20, "s"), "20/s"),
        ("90/m", Rate(90, "m"), "90/m"),
        ("5/h", Rate(5, "h"), "5/h"),
        ("20", Rate(20, "s"), "20/s"),
        (20, Rate(20, "s"), "20/s"),
        ("60/m", Rate(60, "m"), "60/m"),
        (MAX_COUNT, Rate(MAX_COUNT, "s"), f"{MAX_COUNT}/s"),
    ],
)
def test_a_rate_is_read_and_written(written: object, rate: Rate, text: str) -> None:
    assert parse_rate(written) == rate
    assert str(rate) == text
    assert parse_rate(text) == rate


@pytest.mark.parametrize(
    "written",
    [
        "",
        "0",
        "0/s",
        0,
        -1,
        "-1/s",
        "1.5/s",
        0.5,
        True,
        None,
        "1/d",
        "1 /s",
        "1/ms",
        "٢/s",
        MAX_COUNT + 1,
        [1],
    ],
)
def test_what_is_no_rate_is_refused_with_an_example(written: object) -> None:
    with pytest.raises(ValueError, match="expected a rate such as 20/s, 90/m or 5/h"):
        parse_rate(written)


def test_a_full_bucket_lets_the_burst_through_and_then_the_rate() -> None:
    limit = full(Rate(3, "s"))

    assert [limit.take(T, returning=False) for _ in range(6)] == [0, 0, 0, 334, 667, 1_000]


def test_a_bucket_of_unknown_past_lets_one_through_and_fills_from_then_on() -> None:
    assert Simulation(Limit(Rate(4, "h"), T), [T] * 4).run().times == [
        T,
        T + 900_000,
        T + 1_800_000,
        T + 2_700_000,
    ]


def test_places_in_line_are_kept_and_nobody_asks_more_than_twice() -> None:
    simulation = Simulation(full(Rate(7, "s")), [T] * 200).run()

    assert [number for _, number in simulation.sent] == list(range(200))
    assert simulation.times[-1] - T == -(-193 * 1_000 // 7)
    assert max(simulation.asked.values()) == 2


def test_new_jobs_go_behind_those_that_wait() -> None:
    limit = full(Rate(1, "s"))
    Simulation(limit, [T] * 10).run(until=T)

    assert limit.take(T + 1_500, returning=False) == 8_500
    assert limit.take(T + 1_500, returning=True) == 0


def test_a_place_whose_job_never_comes_is_used_by_somebody_else() -> None:
    limit = full(Rate(1, "m"))
    told = [limit.take(T, returning=False) for _ in range(100)]
    assert told[-1] == 99 * 60_000

    assert limit.take(T + 60_000 + GRACE_MS - 1, returning=False)
    assert limit.take(T + 60_000 + GRACE_MS, returning=False) == 0


def test_jobs_that_return_all_together_are_spread_and_those_without_a_token_soon_go_to_the_end() -> None:
    limit = Limit(Rate(10, "s"), T)
    told = [limit.take(T, returning=True) for _ in range(200)]

    assert told[:2] == [0, 100]
    soon = [wait for wait in told if wait <= PATIENCE_MS]
    assert soon == list(range(0, PATIENCE_MS + 1, 100))
    assert sorted(told) == list(range(0, 20_000, 100))


@given(
    rates,
    st.lists(st.integers(0, 30_000), min_size=1, max_size=150),
    st.lists(st.integers(0, 2_000), min_size=1, max_size=5),
    st.integers(0, 10_000_000),
)
def test_no_stretch_of_time_has_more_than_burst_and_rate_allow(
    rate: Rate, arrivals: list[int], late: list[int], idle_before: int
) -> None:
    limit = Limit(rate, T, T - idle_before)
    simulation = Simulation(limit, [T + at for at in arrivals]).run(late=late)

    assert len(simulation.sent) == len(arrivals)
    assert keeps(rate, simulation.times)


@given(rates, st.lists(st.tuples(st.integers(0, 3_000), st.booleans()), max_size=300))
def test_no_way_of_asking_gets_more_out_of_it(rate: Rate, asked: list[tuple[int, bool]]) -> None:
    limit, now, sent = Limit(rate, T, T - rate.per_ms), T, []
    for passed, returning in asked:
        now += passed
        if not limit.take(now, returning=returning):
            sent.append(now)

    assert keeps(rate, sent)


@given(rates, st.lists(st.integers(0, 20_000), min_size=1, max_size=150))
def test_as_much_is_sent_as_a_token_bucket_would_send(rate: Rate, arrivals: list[int]) -> None:
    arrivals = sorted(T + at for at in arrivals)
    times = Simulation(full(rate), arrivals).run().times

    # A bucket with an endless queue behind it, in whole ms.
    tokens, filled_at, expected = rate.count * rate.per_ms, T, []
    for arrival in arrivals:
        at = max(arrival, filled_at)
        tokens = min(rate.count * rate.per_ms, tokens + (at - filled_at) * rate.count)
        if tokens < rate.per_ms:
            missing = -(-(rate.per_ms - tokens) // rate.count)
            at, tokens = at + missing, min(rate.count * rate.per_ms, tokens + missing * rate.count)
        tokens -= rate.per_ms
        filled_at = at
        expected.append(at)

    assert len(times) == len(expected)
    assert all(got - wanted <= 2 for got, wanted in zip(times, expected, strict=True))


@given(
    st.builds(Rate, st.integers(1, 50), st.sampled_from("sm")),
    st.integers(1, 300),
    st.integers(0, 60_000),
)
def test_after_a_restart_the_limit_holds_and_nobody_goes_round_in_circles(
    rate: Rate, jobs: int, restarted_after: int
) -> None:
    simulation = Simulation(full(rate), [T] * jobs).run(until=T + restarted_after)
    before = simulation.times
    simulation.limit = Limit(rate, T + restarted_after)
    fresh = [(T + restarted_after, jobs + number, 0) for number in range(jobs)]
    simulation.coming = [*simulation.coming, *fresh]
    heapq.heapify(simulation.coming)
    simulation.run()

    assert len(simulation.sent) == 2 * jobs
    assert keeps(rate, before)
    assert keeps(rate, simulation.times[len(before) :])
    assert sum(simulation.asked.values()) <= 5 * len(simulation.asked)
    interval = rate.per_ms / rate.count
    assert simulation.times[-1] - (T + restarted_after) <= (2 * jobs + 1) * interval + 2 * PATIENCE_MS


def test_a_changed_limit_keeps_the_bucket_as_full_as_it_was() -> None:
    empty = full(Rate(10, "s"))
    for _ in range(10):
        assert empty.take(T, returning=False) == 0
    empty.change(Rate(100, "h"), T)
    assert empty.take(T, returning=False) == 36_000

    untouched = full(Rate(10, "s"))
    untouched.change(Rate(100, "h"), T)
    assert [untouched.take(T, returning=False) for _ in range(101)].count(0) == 100

    half = full(Rate(10, "s"))
    for _ in range(5):
        half.take(T, returning=False)
    half.change(Rate(100, "h"), T)
    assert [half.take(T, returning=False) for _ in range(101)].count(0) == 50


@given(rates, rates, st.lists(st.integers(0, 500), max_size=100), st.integers(0, 100_000))
def test_after_a_change_the_new_limit_holds(old: Rate, new: Rate, gaps: list[int], pause: int) -> None:
    limit, now, sent = full(old), T, []
    for gap in gaps:
        now += gap
        limit.take(now, returning=False)
    now += pause
    limit.change(new, now)
    for gap in [*gaps, *([0] * new.count), *gaps]:
        now += gap
        if not limit.take(now, returning=True):
            sent.append(now)

    assert keeps(new, sent)


def test_with_a_raised_limit_new_jobs_don_t_wait_for_places_given_before() -> None:
    limits = Limits()
    for _ in range(100):
        limits.take(1, Rate(1, "h"), 0, T, returning=False)

    assert limits.take(1, Rate(100, "s"), 0, T + 10, returning=False) == 10


def test_rules_have_limits_of_their_own() -> None:
    limits = Limits()
    limits.assigned([0], T)

    assert [limits.take(rule, Rate(1, "h"), 0, T, returning=False) for rule in (1, 2, 1)] == [0, 0, 3_600_000]


def test_a_partition_that_was_away_comes_back_without_a_burst() -> None:
    limits, rate = Limits(), Rate(10, "m")
    limits.assigned([3], T)
    later = T + 600_000
    assert [limits.take(1, rate, 3, later, returning=False) for _ in range(11)].count(0) == 10

    limits.gone([3])
    limits.assigned([3], later + 100)
    assert [limits.take(1, rate, 3, later + 100, returning=False) for _ in range(11)].count(0) == 1
    assert [limits.take(2, rate, 3, later + 100, returning=False) for _ in range(11)].count(0) == 1


def test_an_assignment_of_what_is_owned_already_changes_nothing() -> None:
    limits = Limits()
    limits.assigned([3], T)
    limits.assigned([3, 4], T + 60_000)

    assert [limits.take(1, Rate(10, "m"), 3, T + 60_000, returning=False) for _ in range(11)].count(0) == 10


def test_full_buckets_are_forgotten_and_come_back_full() -> None:
    limits, rate = Limits(), Rate(2, "s")
    limits.assigned([0], T - 10_000)
    for rule in range(10_000):
        limits.take(rule, rate, 0, T + rule, returning=False)

    assert len(limits) <= 2_001
    assert [limits.take(0, rate, 0, T + 20_000, returning=False) for _ in range(3)] == [0, 0, 500]


def test_buckets_in_use_are_never_forgotten() -> None:
    limits, rate = Limits(), Rate(1, "h")
    for rule in range(5_000):
        limits.take(rule, rate, 0, T + rule, returning=False)

    assert all(limits.take(rule, rate, 0, T + 10_000, returning=True) for rule in range(5_000))
