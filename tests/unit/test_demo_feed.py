"""Trace headers that time an event."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from processor.demo.feed import number_in, traceparent

RUN = "00f067aa0ba902b7"


@given(st.binary(min_size=8, max_size=8), st.integers(0, 10**9))
def test_the_number_comes_back_and_the_header_is_a_traceparent(run: bytes, number: int) -> None:
    trace = traceparent(run.hex(), number)
    assert re.fullmatch(r"00-[0-9a-f]{32}-[0-9a-f]{16}-01", trace)
    assert "-" + "0" * 16 + "-" not in trace, "an all-zero parent id is invalid"
    assert number_in(run.hex(), trace) == number


@pytest.mark.parametrize(
    "trace",
    [
        "",
        "00",
        traceparent("a" * 16, 7),
        f"00-{RUN}-00f067aa0ba902b7-01",
        f"00-{RUN}{'x' * 16}-00f067aa0ba902b7-01",
    ],
)
def test_other_traces_have_no_number(trace: str) -> None:
    assert number_in(RUN, trace) is None
