"""The tracker against a naive model that remembers every offset."""

from dataclasses import dataclass, field
from itertools import pairwise
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from processor.delivery.watermark import MAX_RUNS, RunsError, Watermark, decode_runs, encode_runs


@dataclass
class Model:
    """Every offset's fate, looked at one by one."""

    position: int
    restored: set[int] = field(default_factory=set)
    in_flight: set[int] = field(default_factory=set)
    finished: set[int] = field(default_factory=set)

    @property
    def next_offset(self) -> int:
        return min(self.in_flight, default=self.position)

    def known_finished(self) -> set[int]:
        """What a successor must skip."""
        above = self.finished | {offset for offset in self.restored if offset >= self.position}
        return {offset for offset in above if offset >= self.next_offset}


def check(tracker: Watermark, model: Model) -> None:
    assert tracker.next_offset == model.next_offset
    assert tracker.in_flight == len(model.in_flight)
    runs = decode_runs(tracker.next_offset, tracker.runs())
    covered = {offset for first, behind in runs for offset in range(first, behind)}
    assert model.known_finished() <= covered
    assert not covered & model.in_flight
    # Whatever has not been taken is not finished, unless a predecessor said so.
    assert {offset for offset in covered if offset >= model.position} <= model.restored
    assert runs == sorted(runs)
    assert all(behind < following[0] for (_, behind), following in pairwise(runs))


STEPS = st.lists(
    st.tuples(
        st.sampled_from(["take", "take", "take", "finish", "finish", "end", "restart"]), st.integers(0, 40)
    ),
    max_size=150,
)


@settings(max_examples=400)
@given(st.integers(0, 2**40), STEPS)
def test_tracker_agrees_with_the_naive_model(start: int, steps: list[tuple[str, int]]) -> None:
    tracker, model = Watermark(start), Model(start)
    for step, number in steps:
        if step == "take":
            offset = model.position + number % 4
            fresh = tracker.take(offset)
            assert fresh == (offset not in model.restored)
            (model.in_flight if fresh else model.finished).add(offset)
            model.position = offset + 1
        elif step == "finish" and model.in_flight:
            offset = sorted(model.in_flight)[number % len(model.in_flight)]
            tracker.finish(offset)
            model.in_flight.remove(offset)
            model.finished.add(offset)
        elif step == "end":
            tracker.end(model.position + number % 3)
            model.position += number % 3
        elif step == "restart":
            next_offset, runs = tracker.next_offset, tracker.runs()
            tracker = Watermark.restore(next_offset, runs)
            covered = {o for first, behind in decode_runs(next_offset, runs) for o in range(first, behind)}
            assert model.known_finished() <= covered
            model = Model(next_offset, restored=covered)
        check(tracker, model)


@given(
    st.lists(st.integers(1, 3), min_size=1, max_size=3000),
    st.randoms(use_true_random=False),
    st.integers(0, 100),
)
@settings(max_examples=60, deadline=None)
def test_metadata_fits_in_any_order_of_finishing_while_room_is_respected(
    gaps: list[int], rng: Random, keep_percent: int
) -> None:
    tracker, offset, taken = Watermark(10**12), 10**12, []
    for gap in gaps:
        if not tracker.room():
            break
        offset += gap
        tracker.take(offset)
        taken.append(offset)
    rng.shuffle(taken)
    for done in taken[: len(taken) * (100 - keep_percent) // 100]:
        tracker.finish(done)
        if len(taken) < 50 or rng.random() < 0.02:
            assert len(tracker.runs()) <= MAX_RUNS
    assert len(tracker.runs()) <= MAX_RUNS


def test_worst_order_fits_at_the_limit() -> None:
    tracker, offset = Watermark(0), 0
    while tracker.room():
        tracker.take(offset)
        offset += 1
    assert offset > 1_500  # well above what is in flight by default
    for done in range(1, offset, 2):
        tracker.finish(done)
    assert len(tracker.runs()) <= MAX_RUNS


def test_one_slow_job_does_not_stop_its_partition() -> None:
    tracker = Watermark(0)
    tracker.take(0)
    for offset in range(1, 200_000):
        assert tracker.room()
        tracker.take(offset)
        tracker.finish(offset)
    assert tracker.next_offset == 0
    assert len(tracker.runs()) < 10


def test_partition_with_nothing_in_flight_always_has_room() -> None:
    tracker = Watermark.restore(0, encode_runs(0, [(4 * n + 1, 4 * n + 2) for n in range(1900)]))
    assert tracker.damaged is None
    assert tracker.room()


def test_a_full_partition_has_room_again_when_jobs_finish() -> None:
    tracker, offset = Watermark(0), 0
    while tracker.room():
        tracker.take(offset)
        offset += 1
    for done in range(offset - 10):
        tracker.finish(done)
    assert tracker.room(100)


def test_offsets_without_records_are_passed() -> None:
    tracker = Watermark(5)
    tracker.take(5)
    tracker.finish(5)
    assert tracker.next_offset == 6
    tracker.end(7)  # the transaction's marker
    assert (tracker.next_offset, tracker.runs()) == (7, "")
    tracker.end(3)
    assert tracker.next_offset == 7


def test_what_a_predecessor_finished_is_skipped_once() -> None:
    first = Watermark(10)
    for offset in range(10, 15):
        first.take(offset)
    for offset in (11, 12, 14):
        first.finish(offset)
    second = Watermark.restore(first.next_offset, first.runs())
    assert [second.take(offset) for offset in range(10, 17)] == [True, False, False, True, False, True, True]
    assert second.in_flight == 4


def test_skips_not_met_yet_stay_in_the_next_commit() -> None:
    second = Watermark.restore(10, encode_runs(10, [(11, 13), (20, 30)]))
    second.take(10)
    second.finish(10)
    assert second.next_offset == 11
    assert decode_runs(11, second.runs()) == [(11, 13), (20, 30)]


def test_a_record_given_back_is_never_passed() -> None:
    tracker = Watermark(0)
    for offset in range(3):
        tracker.take(offset)
    tracker.untake(2)
    tracker.end(50)
    tracker.finish(0)
    tracker.finish(1)
    assert (tracker.next_offset, tracker.runs()) == (2, "")
    with pytest.raises(ValueError):
        tracker.untake(0)


def test_misuse_is_refused() -> None:
    tracker = Watermark(5)
    tracker.take(7)
    with pytest.raises(ValueError):
        tracker.take(7)
    with pytest.raises(KeyError):
        tracker.finish(6)


@given(st.integers(0, 2**62), st.lists(st.tuples(st.integers(1, 10**6), st.integers(1, 10**6)), max_size=50))
def test_runs_survive_their_text(next_offset: int, lengths: list[tuple[int, int]]) -> None:
    runs, position = [], next_offset
    for skipped, length in lengths:
        runs.append((position + skipped, position + skipped + length))
        position += skipped + length
    text = encode_runs(next_offset, runs)
    assert decode_runs(next_offset, text) == runs
    assert text.isascii()
    assert ";" not in text


@pytest.mark.parametrize("text", ["A", "g", "Ag", "A;", "é", "AB=", "AA" + "/" * 20])
def test_damaged_runs_are_said_and_cost_only_repeats(text: str) -> None:
    with pytest.raises(RunsError):
        decode_runs(0, text)
    tracker = Watermark.restore(7, text)
    assert tracker.damaged is not None
    assert (tracker.next_offset, tracker.runs()) == (7, "")


def test_format_is_what_the_docstring_says() -> None:
    # 1 unfinished, 31 finished, 32 unfinished (low digit first, marked as continued), 1 finished
    assert encode_runs(0, [(1, 32), (64, 65)]) == "B" + "f" + "gB" + "B"
