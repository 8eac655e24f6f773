"""Durations: one grammar for settings, rules and topic names."""

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, ValidationError

from processor.durations import Duration, PositiveDuration, format_duration, parse_duration


@pytest.mark.parametrize(
    ("text", "duration"),
    [
        ("0s", timedelta(0)),
        ("250ms", timedelta(milliseconds=250)),
        ("5s", timedelta(seconds=5)),
        ("007s", timedelta(seconds=7)),
        ("10m", timedelta(minutes=10)),
        ("6h", timedelta(hours=6)),
        ("30d", timedelta(days=30)),
    ],
)
def test_written_duration_is_read(text: str, duration: timedelta) -> None:
    assert parse_duration(text) == duration


@pytest.mark.parametrize(
    "text",
    [
        "",
        "5",
        "s",
        "5 s",
        " 5s",
        "5s\n",
        "-5s",
        "+5s",
        "1.5h",
        "1h30m",
        "5S",
        "5sec",
        "PT5S",
        "٥s",
        "5us",
        "1w",
        "1_0s",
    ],
)
def test_anything_else_is_refused_with_the_expected_form(text: str) -> None:
    with pytest.raises(ValueError, match="a whole number and one of ms, s, m, h, d"):
        parse_duration(text)


@pytest.mark.parametrize("text", ["9" * 30 + "d", "9" * 5000 + "s"])
def test_duration_beyond_what_can_be_held_is_refused_in_a_short_line(text: str) -> None:
    with pytest.raises(ValueError, match="is too long") as refused:
        parse_duration(text)
    assert len(str(refused.value)) < 100


@pytest.mark.parametrize(
    ("duration", "text"),
    [
        (timedelta(0), "0s"),
        (timedelta(milliseconds=1500), "1500ms"),
        (timedelta(seconds=60), "1m"),
        (timedelta(seconds=90), "90s"),
        (timedelta(minutes=90), "90m"),
        (timedelta(hours=24), "1d"),
        (timedelta(hours=25), "25h"),
    ],
)
def test_written_form_has_the_largest_whole_unit(duration: timedelta, text: str) -> None:
    assert format_duration(duration) == text


@pytest.mark.parametrize("duration", [timedelta(seconds=-1), timedelta(microseconds=1)])
def test_duration_without_a_written_form_is_refused(duration: timedelta) -> None:
    with pytest.raises(ValueError, match="whole number of milliseconds"):
        format_duration(duration)


@given(st.integers(min_value=0, max_value=10**13))
def test_written_form_reads_back_as_the_same_duration(milliseconds: int) -> None:
    duration = timedelta(milliseconds=milliseconds)
    assert parse_duration(format_duration(duration)) == duration


class Waits(BaseModel):
    wait: Duration
    delay: PositiveDuration = timedelta(seconds=1)


def test_model_takes_and_gives_the_written_form() -> None:
    waits = Waits.model_validate({"wait": "90s"})
    assert waits.wait == timedelta(seconds=90)
    assert waits.model_dump() == {"wait": "90s", "delay": "1s"}
    assert Waits(wait=timedelta(minutes=1)).model_dump_json() == '{"wait":"1m","delay":"1s"}'


@pytest.mark.parametrize("value", [5, 5.0, None, True, ["5s"], timedelta(seconds=-5)])
def test_model_refuses_what_has_no_unit(value: object) -> None:
    with pytest.raises(ValidationError):
        Waits.model_validate({"wait": value})


def test_positive_duration_refuses_nothing() -> None:
    with pytest.raises(ValidationError, match="longer than 0s"):
        Waits.model_validate({"wait": "0s", "delay": "0m"})
