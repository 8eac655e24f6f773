"""Events in files, and when they happened."""

from __future__ import annotations

import gzip
import io
from pathlib import Path

import pytest

from processor.events import files
from processor.events.files import EventFileError, event_lines, stdin_lines
from processor.events.times import TimeField


def test_lines_are_numbered_and_blank_ones_left_out(tmp_path: Path) -> None:
    file = tmp_path / "e.ndjson"
    file.write_bytes(b'\n{"a":1}\r\n  \n \xff {"b":2}')

    assert list(event_lines(file)) == [(2, b'{"a":1}'), (4, b'\xff {"b":2}')]


def test_standard_input_may_be_gzipped_too() -> None:
    def stream(content: bytes) -> io.BufferedReader:
        return io.BufferedReader(io.BytesIO(content))

    assert list(stdin_lines(stream(b"{}\n[]\n"))) == [(1, b"{}"), (2, b"[]")]
    assert list(stdin_lines(stream(gzip.compress(b"{}\n[]\n")))) == [(1, b"{}"), (2, b"[]")]
    assert list(stdin_lines(stream(b""))) == []


def test_a_broken_archive_is_named_with_the_last_line(tmp_path: Path) -> None:
    file = tmp_path / "e.gz"
    file.write_bytes(gzip.compress(b"{}\n" * 100_000)[:-10])

    with pytest.raises(EventFileError, match=r"e\.gz, after line \d+: broken gzip file: "):
        list(event_lines(file))


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(EventFileError, match="none: No such file or directory"):
        list(event_lines(tmp_path / "none"))


def test_a_line_without_end_is_not_kept_in_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "MAX_LINE", 100)
    file = tmp_path / "e.ndjson"
    file.write_bytes(b"{}\n" + b"x" * 99 + b"\n" + b"x" * 100 + b"\n")

    with pytest.raises(EventFileError, match="after line 2: the line is over 100 bytes long"):
        list(event_lines(file))


@pytest.mark.parametrize(
    ("value", "at"),
    [
        (b'{"t":"2026-11-23T10:00:00Z"}', 1_795_428_000_000),
        (b'{"t":"2026-11-23T12:00:00.5+02:00"}', 1_795_428_000_500),
        (b'{"t":1795428000}', 1_795_428_000_000),
        (b'{"t":1795428000.25}', 1_795_428_000_250),
        (b'{"t":1795428000250}', 1_795_428_000_250),
        (b'{"t":"2026-11-23T10:00:00"}', None),
        (b'{"t":"yesterday"}', None),
        (b'{"t":true}', None),
        (b'{"t":null}', None),
        (b'{"t":{}}', None),
        (b'{"t":0}', None),
        (b'{"t":-5}', None),
        (b'{"t":1e300}', None),
        (b'{"t":1e999}', None),
        (b'{"u":1}', None),
        (b'{"t":', None),
        (b'{"t":"\xff"}', None),
        (b"[1]", None),
    ],
)
def test_a_field_may_say_when_an_event_happened(value: bytes, at: int | None) -> None:
    assert TimeField("t").of(value) == at


def test_the_field_may_be_nested() -> None:
    assert TimeField("meta.at").of(b'{"meta":{"at":"1970-01-01T00:00:01Z"}}') == 1_000
