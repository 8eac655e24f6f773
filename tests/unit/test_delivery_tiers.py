import pytest
from hypothesis import given
from hypothesis import strategies as st

from processor.delivery.tiers import Attempt, Hop, Wait, deferral_ms, next_step

S, M, H = 1_000, 60_000, 3_600_000
TIERS = (5 * S, M, 10 * M, H, 6 * H)
NOW = 1_795_428_000_000


@pytest.mark.parametrize(
    ("remaining", "step"),
    [
        (-1, Attempt()),
        (0, Attempt()),
        (1, Wait(NOW + 1)),
        (5 * S, Wait(NOW + 5 * S)),
        (5 * S + 1, Hop(5 * S)),
        (M - 1, Hop(5 * S)),
        (M, Hop(M)),
        (M + 5 * S, Hop(M)),
        (10 * M - 1, Hop(M)),
        (10 * M, Hop(10 * M)),
        (6 * H + 5 * S, Hop(6 * H)),
        (30 * 24 * H, Hop(6 * H)),
    ],
)
def test_longest_tier_that_fits_and_the_last_seconds_in_memory(remaining: int, step: object) -> None:
    assert next_step(NOW + remaining, NOW, TIERS) == step


def test_record_rests_in_its_tier_for_the_tiers_delay() -> None:
    due = NOW + M + 3 * S
    assert next_step(due, NOW + S, TIERS, tier_ms=M, appended_at_ms=NOW) == Wait(NOW + M)
    assert next_step(due, NOW + M, TIERS, tier_ms=M, appended_at_ms=NOW) == Wait(due)
    assert next_step(due, due, TIERS, tier_ms=M, appended_at_ms=NOW) == Attempt()


def test_late_append_does_not_make_a_job_late() -> None:
    # Due in exactly a minute, but the transaction took 100 ms to append it.
    assert next_step(NOW + M, NOW + 200, TIERS, tier_ms=M, appended_at_ms=NOW + 100) == Wait(NOW + M)


def test_record_of_a_tier_that_left_the_schedule_is_handled_too() -> None:
    assert next_step(NOW + H, NOW + 90 * S, TIERS, tier_ms=90 * S, appended_at_ms=NOW) == Hop(10 * M)


@given(
    st.integers(0, 30 * H),
    st.lists(st.integers(6 * S, 12 * H), max_size=6).map(lambda more: tuple(sorted({5 * S, *more}))),
    st.integers(0, 400),
)
def test_every_wait_ends_exactly_when_it_is_due(wait: int, tiers: tuple[int, ...], commit_ms: int) -> None:
    due, now, tier, appended, hops = NOW + wait, NOW, 0, 0, 0
    while not isinstance(step := next_step(due, now, tiers, tier_ms=tier, appended_at_ms=appended), Attempt):
        if isinstance(step, Wait):
            assert now < step.until_ms <= due
            now = step.until_ms
        else:
            assert step.tier_ms in tiers
            assert step.tier_ms <= due - now
            now += commit_ms
            tier, appended, hops = step.tier_ms, now, hops + 1
    assert now - due <= commit_ms
    assert hops <= wait // (5 * S)


@pytest.mark.parametrize("wait", TIERS[1:])
@pytest.mark.parametrize("jitter", [0.0, 0.5, 0.999])
def test_scheduled_wait_with_its_jitter_is_one_hop(wait: int, jitter: float) -> None:
    due = NOW + wait + int(min(wait * 0.1, 5 * S) * jitter)
    assert next_step(due, NOW, TIERS) == Hop(wait)
    after = next_step(due, NOW + wait, TIERS, tier_ms=wait, appended_at_ms=NOW)
    assert after in {Wait(due), Attempt()}


def test_deferrals_climb_to_ten_minutes_and_stay() -> None:
    assert [deferral_ms(count, TIERS) for count in range(5)] == [5 * S, M, 10 * M, 10 * M, 10 * M]
    assert deferral_ms(3, (5 * S, H)) == 5 * S
