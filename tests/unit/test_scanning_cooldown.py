"""Cooldowns and buckets: by the lines' own time, whatever order logs are read in."""

from hypothesis import given
from hypothesis import strategies as st

from processor.scanning.bucket import Bucket
from processor.scanning.cooldown import Changes, Cooldowns, Started

KEY = ("shop", 1)


def hit(cooldowns: Cooldowns, at: int, cooldown: int = 1_000) -> int | None:
    """How many suppressed hits the event of this hit tells of; None if it is suppressed itself."""
    if cooldowns.holds_back(KEY, at, cooldown):
        cooldowns.suppress(KEY)
        return None
    taken = cooldowns.waiting(KEY)
    cooldowns.start(Started(KEY, at, taken))
    return taken


def test_hits_within_the_cooldown_are_counted_and_the_next_event_tells() -> None:
    cooldowns = Cooldowns()
    assert hit(cooldowns, 5_000) == 0
    assert hit(cooldowns, 5_001) is None
    assert hit(cooldowns, 5_999) is None
    assert hit(cooldowns, 6_000) == 2
    assert hit(cooldowns, 6_500) is None
    assert hit(cooldowns, 9_000) == 1


def test_a_container_that_is_hours_behind_makes_the_events_it_would_have_made() -> None:
    hours = 3_600_000
    cooldowns = Cooldowns()
    fired = [(now, hit(cooldowns, base + now)) for now in range(0, 5_000, 500) for base in (0, hours)]
    assert sum(told is not None for _, told in fired) == 2 * 5
    assert {now % 1_000 for now, told in fired if told is not None} == {0}


def test_cooldowns_survive_being_saved() -> None:
    cooldowns = Cooldowns()
    hit(cooldowns, 5_000)
    hit(cooldowns, 5_100)
    again = Cooldowns.from_json(cooldowns.as_json())
    assert hit(again, 5_900) is None
    assert hit(again, 6_000) == 2


@given(st.lists(st.tuples(st.integers(0, 20_000), st.booleans()), max_size=60))
def test_saved_cooldowns_follow_the_live_ones_in_whatever_order_portions_are_done(
    hits: list[tuple[int, bool]],
) -> None:
    """Portions of two logs are acknowledged in another order than they were judged in."""
    live, saved = Cooldowns(), Cooldowns()
    early, late = Changes(), Changes()
    for at, is_late in hits:
        changes = late if is_late else early
        if live.holds_back(KEY, at, 1_000):
            live.suppress(KEY)
            changes.suppressed[KEY] = changes.suppressed.get(KEY, 0) + 1
        else:
            started = Started(KEY, at, live.waiting(KEY))
            live.start(started)
            changes.started.append(started)
    for changes in (early, late):
        changes.apply(saved)
    assert saved.waiting(KEY) == live.waiting(KEY)


def test_a_bucket_lets_a_burst_through_and_then_its_rate() -> None:
    bucket = Bucket(rate=10, burst=5)
    assert [bucket.take(1_000_000) for _ in range(7)] == [True] * 5 + [False] * 2
    assert not bucket.take(1_000_099)
    assert bucket.take(1_000_100)
    assert not bucket.take(1_000_100)
    assert [bucket.take(9_000_000) for _ in range(7)] == [True] * 5 + [False] * 2


def test_time_that_goes_back_fills_no_bucket() -> None:
    bucket = Bucket(rate=1, burst=1)
    assert bucket.take(1_000_000)
    assert not bucket.take(1_000)
    assert not bucket.take(1_000_500)
    assert bucket.take(1_001_000)
