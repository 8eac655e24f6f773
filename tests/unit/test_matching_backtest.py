"""Backtests: counts, their course over time in few buckets, and samples, in bounded memory."""

from __future__ import annotations

import json
import random
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from processor.events import EventDecoder, EventFields
from processor.matching.backtest import CLIP, Backtest
from processor.matching.histogram import COUNT_WIDTHS, MAX_BUCKETS, TIME_WIDTHS, Histogram
from processor.matching.trial import Trial, as_rules
from tests.support.rules import draft


def backtest(samples: int = 3, seed: int = 1, **rule: Any) -> Backtest:
    rules = as_rules([draft("a", **rule), draft("all"), draft("off", enabled=False)])
    decoder = EventDecoder(EventFields())
    return Backtest(Trial(rules), decoder, TIME_WIDTHS, samples=samples, chance=random.Random(seed))


def value(severity: str, message: str = "m") -> bytes:
    return json.dumps({"severity": severity, "source": "s", "message": message}).encode()


def test_it_counts_what_each_rule_would_have_fired_on() -> None:
    run = backtest(filter_severity="error")
    for n in range(100):
        run.add(value("error" if n % 10 == 0 else "info"), 1_000 * n, "t[0]@", n)

    assert run.events == 100
    assert [hits.fired for hits in run.hits] == [10, 100, 0]
    assert [bucket.counts for bucket in run.course()] == [(5, n % 2 == 0, 5, 0) for n in range(20)]


def test_unreadable_events_are_counted_by_reason_and_are_no_part_of_the_course() -> None:
    run = backtest()
    for bad in (b"nope", b"[]", None, b"", b"{"):
        run.add(bad, 5_000, "t[0]@", 1)
    run.add(value("info"), None, "t[0]@", 2)

    assert run.events == 6
    assert run.unreadable == {"not_json": 2, "not_object": 1, "null": 1, "empty": 1}
    assert run.untimed == 1
    assert list(run.course()) == []
    assert run.hits[1].fired == 1


def test_samples_are_few_clipped_and_in_the_order_of_the_events() -> None:
    run = backtest(samples=5)
    for n in range(1_000):
        run.add(value("error", "x" * 10_000), n, "t[1]@", n)
    numbers = [int(sample.place.removeprefix("t[1]@")) for sample in run.hits[0].samples]

    assert len(numbers) == 5
    assert numbers == sorted(set(numbers))
    assert {len(sample.message) for sample in run.hits[0].samples} == {CLIP}
    assert run.hits[0].samples[0].at == numbers[0]


def test_all_events_have_the_same_chance_to_be_a_sample() -> None:
    drawn = [0] * 10
    for seed in range(2_000):
        run = backtest(samples=2, seed=seed)
        for n in range(10):
            run.add(value("error"), n, "", n)
        for sample in run.hits[0].samples:
            drawn[int(sample.place)] += 1

    # 400 each; the standard deviation is 18.
    assert all(300 < count < 500 for count in drawn)


def test_no_samples_is_a_number_too() -> None:
    run = backtest(samples=0)
    run.add(value("error"), 1, "", 1)

    assert (run.hits[0].fired, run.hits[0].samples) == (1, [])


@given(
    st.lists(st.integers(0, 10**14), min_size=1, max_size=60), st.sampled_from([TIME_WIDTHS, COUNT_WIDTHS])
)
def test_a_histogram_loses_nothing_whatever_the_order_and_the_span(
    at: list[int], widths: tuple[int, ...]
) -> None:
    histogram = Histogram(2, widths)
    for place in at:
        histogram.add(place, [0, place % 2][: 1 + place % 2])
    buckets = list(histogram.buckets())

    assert len(buckets) <= MAX_BUCKETS
    for bucket in buckets:
        inside = [place for place in at if bucket.start <= place < bucket.start + bucket.width]
        assert bucket.counts == (len(inside), sum(place % 2 for place in inside))
    assert sum(bucket.counts[0] for bucket in buckets) == len(at)
    assert [b.start for b in buckets] == [
        buckets[0].start + n * buckets[0].width for n in range(len(buckets))
    ]


@pytest.mark.parametrize("widths", [TIME_WIDTHS, COUNT_WIDTHS])
def test_each_width_is_a_multiple_of_the_one_before(widths: tuple[int, ...]) -> None:
    assert all(later % before == 0 for before, later in pairwise(widths))
