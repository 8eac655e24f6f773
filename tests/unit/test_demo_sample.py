"""The demo's events: files, their errors, and what the project brings along."""

import gzip
from pathlib import Path

import pytest

from processor.demo.errors import InputError
from processor.demo.sample import MAX_EVENT, own_file, read_events


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "events.ndjson"


def test_each_line_is_an_event_and_blank_lines_are_none(file: Path) -> None:
    file.write_bytes(b'{"message": "a"}\n\n  \r\n{"n":2}\r\n{}')
    assert read_events(file) == [b'{"message": "a"}', b'{"n":2}', b"{}"]


def test_gzip_is_known_by_its_content(file: Path) -> None:
    file.write_bytes(gzip.compress(b'{"n":1}\n{"n":2}\n'))
    assert read_events(file) == [b'{"n":1}', b'{"n":2}']


def test_a_limit_takes_the_first_and_looks_no_further(file: Path) -> None:
    file.write_bytes(b'{"n":1}\n{"n":2}\nnot read\n')
    assert read_events(file, 2) == [b'{"n":1}', b'{"n":2}']


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b'{"n":1}\n\nnope\n', ", line 3: no event: JSON is malformed"),
        (b"[1]\n", ", line 1: no event: "),
        (b'{"n":1}\n{"a":' + b'{"a":' * 20_000 + b"1" + b"}" * 20_001, ", line 2: no event: "),
        (b'{"m":"' + b"x" * MAX_EVENT + b'"}', ", line 1: 1,000,008 bytes; the demo takes 1,000,000"),
        (b"", ": no events in it"),
        (b"\n\n", ": no events in it"),
        (b'\x1f\x8b not gzip, {"n":1}\n', ", after line 0: broken gzip file"),
        (gzip.compress(b'{"n":1}\n' * 50_000)[:-20], ", after line "),
    ],
)
def test_what_is_no_event_is_named_by_file_and_line(file: Path, content: bytes, problem: str) -> None:
    file.write_bytes(content)
    with pytest.raises(InputError) as failure:
        read_events(file)
    assert str(failure.value).startswith(f"{file}{problem}")


def test_a_file_that_is_not_there_is_named(file: Path) -> None:
    with pytest.raises(InputError) as failure:
        read_events(file)
    assert str(failure.value) == f"{file}: No such file or directory"


def test_the_projects_own_sample_is_events() -> None:
    assert 60 <= len(read_events(own_file("demo/events.ndjson"))) <= 200
