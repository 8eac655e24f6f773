"""Queues per destination: fair, bounded, and what becomes of a job that finds its queue full."""

from collections import Counter
from collections.abc import Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from processor.delivery.destinations import (
    ACTIVE_MS,
    FARTHEST_MS,
    HEARD_MS,
    LOOK_AGAIN_MS,
    WARM_UP_MS,
    Defer,
    Destinations,
    DestinationStatus,
    Hold,
    Load,
    when_full,
)

T = 1_000_000
A, B, C = "https://a.example", "https://b.example", "http://c.example:8080"


def queues(concurrency: int = 2, most: int = 1_000) -> Destinations[str]:
    return Destinations(concurrency, most)


def offered(destinations: Destinations[str], jobs: Iterable[str], now_ms: int = T) -> list[str]:
    """Offer jobs written `<destination><rule>.<number>`; those that were taken in."""
    return [job for job in jobs if destinations.offer(job[0], int(job[1]), job, now_ms)]


def test_a_destination_has_at_most_so_many_under_way() -> None:
    destinations = queues(concurrency=2)
    offered(destinations, ["a1.1", "a1.2", "a1.3", "a1.4"])

    assert destinations.take(100, T) == ["a1.1", "a1.2"]
    assert destinations.take(100, T) == []
    destinations.ended("a", T)
    assert destinations.take(100, T) == ["a1.3"]


def test_no_more_are_taken_than_there_is_room_for() -> None:
    destinations = queues(concurrency=10)
    offered(destinations, [f"a1.{n}" for n in range(10)])

    assert len(destinations.take(3, T)) == 3
    assert destinations.take(0, T) == []
    assert destinations.waiting() == 7


def test_destinations_take_turns() -> None:
    destinations = queues(concurrency=10)
    offered(destinations, ["a1.1", "a1.2", "a1.3", "b1.1", "c1.1", "c1.2"])

    assert destinations.take(100, T) == ["a1.1", "b1.1", "c1.1", "a1.2", "c1.2", "a1.3"]


def test_rules_of_a_destination_take_turns_and_keep_their_order() -> None:
    destinations = queues(concurrency=10)
    offered(destinations, ["a1.1", "a1.2", "a1.3", "a2.1", "a2.2", "a3.1"])

    assert destinations.take(100, T) == ["a1.1", "a2.1", "a3.1", "a1.2", "a2.2", "a1.3"]


def test_one_that_hangs_does_not_hold_up_the_others() -> None:
    destinations = queues(concurrency=2)
    offered(destinations, [f"a1.{n}" for n in range(50)])
    destinations.take(100, T)
    done = []
    for n in range(50):
        assert offered(destinations, [f"b1.{n}"])
        done += destinations.take(100, T)
        destinations.ended("b", T)

    assert done == [f"b1.{n}" for n in range(50)]


def _hanging(destinations: Destinations[str], count: int) -> list[str]:
    """Have so many destinations, named by capitals from U+4E00 on, take what they get and never answer."""
    names = [chr(0x4E00 + n) for n in range(count)]
    for name in names:
        offered(destinations, [f"{name}1.{n}" for n in range(16)])
    return destinations.take(10_000, T)


def test_destinations_that_hang_all_at_once_leave_half_of_the_places_to_those_that_answer() -> None:
    destinations = Destinations[str](16, 200)
    taken = _hanging(destinations, 63)
    silent = len({job[0] for job in taken})
    assert len(taken) <= 100 + silent

    done = []
    for n in range(50):
        assert offered(destinations, [f"a1.{n}"], T + n)
        done += destinations.take(200 - len(taken), T + n)
        destinations.ended("a", T + n, heard=True)
    assert done == [f"a1.{n}" for n in range(50)]


def test_one_that_answers_has_all_its_places_while_others_hang() -> None:
    destinations = Destinations[str](16, 400)
    taken = len(_hanging(destinations, 63))
    offered(destinations, [f"a1.{n}" for n in range(60)])
    room = 400 - taken
    assert destinations.take(room, T) == ["a1.0"]  # to be heard from
    destinations.ended("a", T + 20, heard=True)
    assert len(destinations.take(room, T + 20)) == 16
    destinations.ended("a", T + 20 + HEARD_MS, heard=False)
    assert len(destinations.take(room, T + 20 + HEARD_MS)) == 1
    destinations.ended("a", T + 21 + HEARD_MS, heard=False)
    assert destinations.take(room, T + 21 + HEARD_MS) == []
    destinations.ended("a", T + 22 + HEARD_MS, heard=True)
    assert len(destinations.take(room, T + 22 + HEARD_MS)) == 2


def test_silence_costs_nothing_while_places_are_plenty() -> None:
    destinations = Destinations[str](16, 1_000)
    offered(destinations, [f"a1.{n}" for n in range(30)])
    assert len(destinations.take(1_000, T)) == 16


def test_one_busy_destination_gets_half_of_the_places_and_a_new_one_always_finds_some() -> None:
    destinations = queues(most=100)

    assert len(offered(destinations, [f"a1.{n}" for n in range(200)])) == 50
    assert len(offered(destinations, [f"b1.{n}" for n in range(200)])) == 25
    assert len(offered(destinations, [f"c1.{n}" for n in range(200)])) == 13
    assert offered(destinations, ["d1.1", "e1.1", "f1.1"]) == ["d1.1", "e1.1", "f1.1"]


def test_jobs_of_closed_lanes_are_forgotten_wherever_they_wait() -> None:
    destinations = queues(concurrency=1)
    offered(destinations, ["a1.1", "a1.2", "a2.1", "b1.1", "a1.3"])
    destinations.take(1, T)
    destinations.remove(["a1.1", "a1.2", "a2.1", "b1.1", "unknown"])

    assert destinations.waiting() == 1
    assert destinations.take(100, T) == []
    destinations.ended("a", T)
    assert destinations.take(100, T) == ["a1.3"]


def test_the_oldest_is_the_one_offered_first() -> None:
    destinations = queues(concurrency=1)
    assert destinations.oldest() is None
    offered(destinations, ["a1.1", "a1.2", "b1.1", "a1.3"])
    assert destinations.oldest() == "a1.1"
    destinations.take(1, T)
    assert destinations.oldest() == "a1.2"
    destinations.remove(["a1.2"])
    assert destinations.oldest() == "b1.1"


def test_status_lists_who_has_anything_to_do() -> None:
    destinations = queues(concurrency=1)
    offered(destinations, ["a1.1", "a1.2", "b1.1"])
    destinations.take(2, T)
    destinations.ended("b", T)

    assert destinations.status() == [DestinationStatus("a", 1, 1)]


def test_a_destination_without_work_is_forgotten_after_a_minute() -> None:
    destinations = queues(concurrency=1)
    for n in range(1_000):
        now = T + n * 1_000
        assert destinations.offer(f"https://{n}.example", 1, f"x{n}", now)
        destinations.take(1, now)
        destinations.ended(f"https://{n}.example", now)

    assert len(destinations._all) <= ACTIVE_MS // 1_000 + 1


def test_a_destination_with_work_is_never_forgotten() -> None:
    destinations = queues(concurrency=1)
    offered(destinations, ["a1.1", "a1.2"])
    destinations.take(1, T)
    offered(destinations, ["b1.1"], T + 10 * ACTIVE_MS)
    destinations.take(1, T + 10 * ACTIVE_MS)
    destinations.ended("a", T + 10 * ACTIVE_MS)

    assert destinations.take(1, T + 10 * ACTIVE_MS) == ["a1.2"]
    destinations.ended("a", T + 10 * ACTIVE_MS)
    assert "a" not in destinations._all


@pytest.mark.parametrize(
    ("load", "decision"),
    [
        # 100 jobs at 100/s are through in a second.
        (Load(100, 60_000, 0.1, others_active=False), Hold()),
        (Load(100, 60_000, 0.1, others_active=True), Defer(1_001)),
        # At 10/s it takes ten.
        (Load(100, 60_000, 0.01, others_active=False), Defer(10_001)),
        (Load(100, 60_000, 0.01, others_active=True), Defer(10_001)),
        # Nothing finished yet: give it a moment, unless others wait.
        (Load(100, WARM_UP_MS - 1, 0.0, others_active=False), Hold()),
        (Load(100, WARM_UP_MS - 1, 0.0, others_active=True), Defer(LOOK_AGAIN_MS)),
        # Nothing finished for long: nobody can tell.
        (Load(100, WARM_UP_MS, 0.0, others_active=False), Defer(None)),
        (Load(100, 60_000, 1e-9, others_active=False), Defer(FARTHEST_MS + 1)),
    ],
)
def test_a_full_queue_holds_only_if_it_is_soon_through_and_nobody_else_suffers(
    load: Load, decision: Hold | Defer
) -> None:
    assert when_full(load) == decision


def run(destinations: Destinations[str], origin: str, every_ms: int, until: int, now: int = T) -> int:
    """Let a destination finish a job every so often; the time then."""
    while now < until:
        destinations.take(100, now)
        now += every_ms
        destinations.ended(origin, now)
    return now


def test_a_healthy_receiver_alone_with_a_backlog_is_held() -> None:
    destinations = queues(concurrency=1, most=100)
    now = T
    for n in range(3_000):
        if not destinations.offer("a", 1, f"{n}", now):
            assert destinations.full("a", now) == Hold()
            now = run(destinations, "a", 10, now + 1, now)
            assert destinations.offer("a", 1, f"{n}", now)


def test_the_same_backlog_is_put_off_as_soon_as_somebody_else_is_active() -> None:
    destinations = queues(concurrency=1, most=100)
    offered(destinations, [f"a1.{n}" for n in range(50)])
    now = run(destinations, "a", 10, T + 300)
    offered(destinations, ["b1.1"], now)
    while destinations.offer("a", 1, f"a{now}{destinations.waiting()}", now):
        pass

    assert isinstance(destinations.full("a", now), Defer)
    later = now + ACTIVE_MS
    assert isinstance(destinations.full("a", later), Defer)
    assert destinations.full("a", later + 1) == Hold()


def test_a_receiver_that_hangs_is_held_for_a_moment_and_then_put_off() -> None:
    destinations = queues(concurrency=2, most=100)
    offered(destinations, [f"a1.{n}" for n in range(100)])
    destinations.take(100, T)

    assert destinations.full("a", T + WARM_UP_MS - 1) == Hold()
    assert destinations.full("a", T + WARM_UP_MS) == Defer(None)


def test_a_pause_without_jobs_does_not_make_a_destination_slow() -> None:
    destinations = queues(concurrency=1, most=100)
    offered(destinations, [f"a1.{n}" for n in range(30)])
    now = run(destinations, "a", 10, T + 300) + ACTIVE_MS - 1_000
    offered(destinations, [f"a2.{n}" for n in range(100)], now)

    assert destinations.full("a", now) == Hold()


def test_places_are_given_out_at_the_pace_of_the_destination() -> None:
    destinations = queues(concurrency=1, most=100)
    now = T
    for n in range(100):  # 10 a second
        destinations.offer("a", 1, f"{n}", now)
        now = run(destinations, "a", 100, now + 1, now)
    offered(destinations, ["b1.1"], now)
    while destinations.offer("a", 1, f"a{destinations.waiting()}", now):
        pass
    waits = []
    for _ in range(100):
        decided = destinations.full("a", now)
        assert isinstance(decided, Defer)
        assert decided.wait_ms is not None
        waits.append(decided.wait_ms)

    assert waits[0] == pytest.approx(destinations.waiting() * 100, rel=0.2)
    assert waits[-1] - waits[0] == pytest.approx(99 * 100, rel=0.2)


def test_a_destination_that_is_given_few_jobs_is_not_thought_slow() -> None:
    destinations = queues(concurrency=10, most=100)
    now = T
    for n in range(50):  # one at a time, 100 ms each: 10/s of the 100/s it could do
        destinations.offer("a", 1, f"{n}", now)
        now = run(destinations, "a", 100, now + 1, now)
    offered(destinations, ["b1.1"], now)
    while destinations.offer("a", 1, f"a{destinations.waiting()}", now):
        pass

    decided = destinations.full("a", now)

    assert isinstance(decided, Defer)
    assert decided.wait_ms == pytest.approx(50 * 10, rel=0.2)


def test_a_destination_that_was_down_is_not_judged_by_the_pace_it_had_then() -> None:
    destinations = queues(concurrency=1, most=100)
    offered(destinations, [f"a1.{n}" for n in range(50)])
    offered(destinations, ["b1.1"])
    now = run(destinations, "a", 15_000, T + 300_000)
    while destinations.offer("a", 1, f"a{destinations.waiting()}", now):
        pass
    slow = destinations.full("a", now)
    assert isinstance(slow, Defer)
    assert slow.wait_ms is not None
    assert slow.wait_ms > 60_000

    offered(destinations, ["b1.2"], now)
    destinations.renew("a", now)
    destinations.renew("nobody", now)

    assert destinations.full("a", now) == Defer(LOOK_AGAIN_MS)
    now = run(destinations, "a", 10, now + 100, now)
    quick = destinations.full("a", now)
    assert isinstance(quick, Defer)
    assert quick.wait_ms is not None
    assert quick.wait_ms < 2_000


def test_no_place_is_farther_off_than_ten_minutes() -> None:
    destinations = queues(concurrency=1, most=10)
    now = T
    for n in range(3):
        destinations.offer("a", 1, f"{n}", now)
        now = run(destinations, "a", 4_000, now + 1, now)
    offered(destinations, ["b1.1"], now)
    offered(destinations, [f"a1.{n}" for n in range(10)], now)
    waits = [destinations.full("a", now) for _ in range(1_000)]

    assert waits[-1] == Defer(FARTHEST_MS + 1)


def test_while_somebody_has_a_place_new_jobs_get_the_first_half_only() -> None:
    destinations = queues(concurrency=1, most=100)
    now = T
    for n in range(10):
        destinations.offer("a", 1, f"{n}", now)
        now = run(destinations, "a", 1_000, now + 1, now)
    offered(destinations, ["b1.1"], now)
    offered(destinations, [f"a1.{n}" for n in range(100)], now)
    destinations.full("a", now)
    destinations.remove([f"a1.{n}" for n in range(10)])

    assert not destinations.offer("a", 1, "new", now)
    assert destinations.offer("a", 1, "returning", now, returning=True)
    destinations.remove([f"a1.{n}" for n in range(10, 40)])
    assert destinations.offer("a", 1, "new", now)


class Naive:
    """The same queues as lists, searched through each time."""

    def __init__(self, concurrency: int, most: int) -> None:
        self.concurrency = concurrency
        self.most = most
        self.waiting: list[tuple[str, int, int]] = []
        self.in_flight: Counter[str] = Counter()
        self.turns: list[str] = []
        self.rule_turns: dict[str, list[int]] = {}
        self.heard_at: dict[str, int] = {}
        self.passed_over: list[str] = []

    def may_start(self) -> None:
        able = {o for o, _, _ in self.waiting if self.in_flight[o] < self.concurrency}
        able -= set(self.passed_over)
        self.turns = [o for o in self.turns if o in able]
        self.turns += sorted(able - set(self.turns))
        for origin, turns in self.rule_turns.items():
            turns[:] = [r for r in turns if any((o, q) == (origin, r) for o, q, _ in self.waiting)]

    def offer(self, origin: str, rule: int, job: int) -> bool:
        mine = sum(1 for o, _, _ in self.waiting if o == origin)
        if mine >= self.most - len(self.waiting):
            return False
        self.waiting.append((origin, rule, job))
        turns = self.rule_turns.setdefault(origin, [])
        if rule not in turns:
            turns.append(rule)
        self.may_start()
        return True

    def has_its_share(self, origin: str, now: int) -> bool:
        scarce = sum(self.in_flight.values()) >= self.most // 2
        silent = now - self.heard_at.get(origin, now - HEARD_MS - 1) > HEARD_MS
        return scarce and silent and self.in_flight[origin] > 0

    def take(self, room: int, now: int) -> list[int]:
        taken: list[int] = []
        while self.turns and len(taken) < room:
            origin = self.turns.pop(0)
            if self.has_its_share(origin, now):
                self.passed_over.append(origin)
                continue
            rule = self.rule_turns[origin].pop(0)
            found = next(one for one in self.waiting if one[:2] == (origin, rule))
            self.waiting.remove(found)
            if any(one[:2] == (origin, rule) for one in self.waiting):
                self.rule_turns[origin].append(rule)
            self.in_flight[origin] += 1
            self.may_start()
            taken.append(found[2])
        self.turns += self.passed_over
        self.passed_over = []
        return taken

    def ended(self, origin: str, now: int, *, heard: bool) -> None:
        self.in_flight[origin] -= 1
        if heard:
            self.heard_at[origin] = now
        self.may_start()

    def remove(self, jobs: Iterable[int]) -> None:
        gone = set(jobs)
        self.waiting = [one for one in self.waiting if one[2] not in gone]
        self.may_start()


moves = st.one_of(
    st.tuples(st.just("offer"), st.sampled_from("abcd"), st.integers(1, 3)),
    st.tuples(st.just("offer"), st.sampled_from("abcd"), st.integers(1, 3)),
    st.tuples(st.just("take"), st.integers(0, 5), st.none()),
    st.tuples(st.just("ended"), st.integers(0, 20), st.booleans()),
    st.tuples(st.just("remove"), st.integers(0, 7), st.none()),
)


@given(st.integers(1, 4), st.integers(1, 30), st.lists(moves, max_size=200), st.integers(0, 30_000))
def test_it_agrees_with_lists_that_are_searched_through(
    concurrency: int, most: int, script: list[tuple[str, object, object]], step: int
) -> None:
    destinations: Destinations[int] = Destinations(concurrency, most)
    naive = Naive(concurrency, most)
    origins: dict[int, str] = {}
    under_way: list[int] = []
    for number, (what, first, second) in enumerate(script):
        now = T + number * step
        if what == "offer":
            assert isinstance(first, str)
            assert isinstance(second, int)
            origins[number] = first
            assert destinations.offer(first, second, number, now) == naive.offer(first, second, number)
        elif what == "take":
            assert isinstance(first, int)
            taken = destinations.take(first, now)
            assert taken == naive.take(first, now)
            under_way += taken
        elif what == "ended" and under_way:
            assert isinstance(first, int)
            origin = origins[under_way.pop(first % len(under_way))]
            destinations.ended(origin, now, heard=bool(second))
            naive.ended(origin, now, heard=bool(second))
        elif what == "remove":
            gone = [job for _, _, job in naive.waiting if job % 8 == first]
            destinations.remove(gone)
            naive.remove(gone)
        assert destinations.waiting() == len(naive.waiting)
        assert destinations.oldest() == (naive.waiting[0][2] if naive.waiting else None)
        assert {s.origin: (s.waiting, s.in_flight) for s in destinations.status()} == {
            o: (sum(1 for w in naive.waiting if w[0] == o), naive.in_flight[o])
            for o in "abcd"
            if naive.in_flight[o] or any(w[0] == o for w in naive.waiting)
        }
