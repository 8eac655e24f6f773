"""Where a job goes that is put off, and until when."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from processor.delivery.deferral import PutOff, climbing, exact, within
from processor.delivery.tiers import LONGEST_DEFERRAL_MS, Wait, next_step

T = 1_795_428_000_000
TIERS = (5_000, 60_000, 600_000, 3_600_000, 21_600_000)

tiers = st.lists(st.integers(1, 10**8), max_size=6).map(lambda more: tuple(sorted({5_000, *more})))


def test_when_nobody_knows_how_long_each_time_is_a_tier_longer_up_to_ten_minutes() -> None:
    waits = [climbing(T, deferrals, TIERS) for deferrals in range(5)]

    assert waits == [PutOff(tier, T + tier) for tier in (5_000, 60_000, 600_000, 600_000, 600_000)]


@pytest.mark.parametrize(
    ("wait", "at_least", "expected"),
    [
        (0, 0, PutOff(5_000, T + 1)),
        (3_000, 0, PutOff(5_000, T + 3_000)),
        (5_000, 0, PutOff(5_000, T + 5_000)),
        (5_001, 0, PutOff(60_000, T + 5_001)),
        (300_000, 0, PutOff(600_000, T + 300_000)),
        (900_000, 0, PutOff(600_000, T + 600_000)),
        (3_000, 60_000, PutOff(60_000, T + 60_000)),
        (100_000, 60_000, PutOff(600_000, T + 100_000)),
    ],
)
def test_a_rough_wait_takes_one_record_in_the_tier_that_holds_it(
    wait: int, at_least: int, expected: PutOff
) -> None:
    assert within(T, wait, TIERS, at_least_ms=at_least) == expected


@given(st.integers(0, 10**7), tiers)
def test_a_rough_wait_never_hops(wait: int, tiers_ms: tuple[int, ...]) -> None:
    put_off = within(T, wait, tiers_ms)

    assert put_off.tier_ms in tiers_ms
    assert put_off.not_before_ms - T <= min(put_off.tier_ms, LONGEST_DEFERRAL_MS)
    step = next_step(put_off.not_before_ms, T + 1, tiers_ms, tier_ms=put_off.tier_ms, appended_at_ms=T + 1)
    assert put_off.not_before_ms <= T + 1 or step == Wait(put_off.not_before_ms)


@given(st.integers(1, 10**9), tiers)
def test_an_exact_wait_is_kept_however_long(wait: int, tiers_ms: tuple[int, ...]) -> None:
    put_off = exact(T, wait, tiers_ms)

    assert put_off.not_before_ms == T + wait
    assert put_off.tier_ms <= wait or put_off.tier_ms == min(tiers_ms)
