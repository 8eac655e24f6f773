"""`tocsin deliveries …` as far as it needs no Kafka."""

import argparse
import io
import json
import time
from collections.abc import Iterator

import pytest

from processor.cli.main import main
from processor.cli.output import print_stream
from processor.cli.times import format_ms, since_ms


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["list", "--since", "yesterday"], "expected a duration such as 1h or a time such as"),
        (["list", "--since", "2026-11-23T10:00:00"], "expected a duration"),
        (["list", "--outcome", "lost"], "--outcome"),
        (["list", "--limit", "-1"], "--limit"),
        (["get"], "JOB"),
        (["redeliver"], "takes either JOB, or --rule or --since"),
        (["redeliver", "msg_x", "--rule", "7"], "takes either JOB, or --rule or --since"),
        (["redeliver", "msg_x", "--since", "1h"], "takes either JOB, or --rule or --since"),
        (["release"], "takes either --rule or --destination"),
        (["release", "--rule", "7", "--destination", "https://h"], "takes either --rule or --destination"),
        (
            ["release", "--destination", "hooks.example.com"],
            "takes an origin such as https://hooks.example.com",
        ),
        (["release", "--destination", "ftp://hooks.example.com"], "takes an origin"),
    ],
)
def test_wrong_usage_is_one_line_and_exit_code_2(
    arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["deliveries", *arguments], {}) == 2
    error = capsys.readouterr().err
    assert said in error
    assert error.count("\n") == 1


def test_since_is_a_duration_before_now_or_a_time() -> None:
    assert since_ms("2026-11-23T10:00:00Z") == 1_795_428_000_000
    assert since_ms("2026-11-23T11:00:00.5+01:00") == 1_795_428_000_500
    assert abs(since_ms("2h") - (time.time() - 7_200) * 1000) < 10_000
    with pytest.raises(argparse.ArgumentTypeError):
        since_ms("")


def test_times_are_shown_in_utc_and_whole_seconds() -> None:
    assert format_ms(1_795_428_000_999) == "2026-11-23T10:00:00Z"
    assert format_ms(None) == ""


def test_rows_are_printed_as_they_come() -> None:
    stream = io.StringIO()
    seen: list[str] = []

    rows: list[dict[str, object]] = [{"a": 1, "b": "x\x1b", "more": 2}, {"a": "longer than that", "b": None}]

    def watched() -> Iterator[dict[str, object]]:
        for row in rows:
            yield row
            seen.append(stream.getvalue())

    print_stream(watched(), {"a": 4, "b": 0}, "table", stream)
    assert stream.getvalue() == "A     B\n1     x\\x1b\nlonger than that\n"
    assert seen[0] == "A     B\n1     x\\x1b\n"

    stream = io.StringIO()
    print_stream(rows, {"a": 4}, "json", stream)
    assert [json.loads(line) for line in stream.getvalue().splitlines()] == rows
