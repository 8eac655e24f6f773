"""What a demo came to."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from processor.demo.summary import Summary, duration, percentiles

TIMES = st.lists(st.floats(0, 1e6), min_size=1, max_size=300)


def test_percentiles_of_a_hundred_and_one_values_are_values() -> None:
    assert percentiles([n / 4 for n in range(100, -1, -1)]) == (12.5, 24.75)


def test_one_value_is_both_percentiles() -> None:
    assert percentiles([0.25]) == (0.25, 0.25)


def test_no_value_has_no_percentiles() -> None:
    with pytest.raises(ValueError, match="no values"):
        percentiles([])


@given(TIMES)
def test_percentiles_lie_in_order_within_the_values(seconds: list[float]) -> None:
    p50, p99 = percentiles(seconds)
    slack = 1e-9 * max(seconds)
    assert min(seconds) - slack <= p50 <= p99 + slack
    assert p99 <= max(seconds) + slack


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.0004, "0.4 ms"),
        (0.00994, "9.9 ms"),
        (0.00996, "10 ms"),
        (0.9994, "999 ms"),
        (0.9996, "1.0 s"),
        (72.04, "72.0 s"),
    ],
)
def test_durations_are_short(seconds: float, text: str) -> None:
    assert duration(seconds) == text


def test_a_summary_names_what_is_not_zero() -> None:
    summary = Summary(12_000, 1_500, 1_499, 1, 0, 0, [0.01, 0.03], 12.34)
    assert list(summary.lines()) == [
        "events       12,000",
        "matches       1,500",
        "delivered     1,499",
        "dead              1",
        "from event to webhook: p50 20 ms, p99 30 ms",
        "took 12.3 s",
    ]


def test_a_summary_without_webhooks_has_no_percentiles() -> None:
    lines = list(Summary(5, 0, 0, 0, 0, 0, [], 3.0).lines())
    assert lines[-2:] == ["delivered         0", "took 3.0 s"]
