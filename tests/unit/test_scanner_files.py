"""Plain files by globs, through rotation; a stream once."""

import asyncio
from collections.abc import Coroutine
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from processor.lifecycle import Refused
from processor.scanning.lines import MAX_LINE
from processor.scanning.sources.files import FileSource, _is_rotation
from processor.scanning.sources.once import OneFile
from processor.scanning.sources.plain_lines import PlainLog
from tests.support.lines_sink import LinesSink, running, until


def run(coroutine: Coroutine[Any, Any, None]) -> None:
    asyncio.run(coroutine)


def test_at_first_only_what_is_new_is_read_and_later_files_whole(tmp_path: Path) -> None:
    async def main() -> None:
        app = tmp_path / "app.log"
        app.write_text("before\n")
        sink = LinesSink()
        source = FileSource([f"{tmp_path}/*.log"], first=True)
        async with running(source, sink):
            await until(lambda: len(source.tails) == 1)
            with app.open("a") as file:
                file.write("now\r\n")
            await until(lambda: sink.texts() == [b"now"])
            (tmp_path / "other.log").write_text("all\nof it\n")
            await until(lambda: sink.texts(str(tmp_path / "other.log")) == [b"all", b"of it"])

    run(main())


def test_rotated_files_are_read_to_their_end_also_while_away(tmp_path: Path) -> None:
    async def main() -> None:
        app = tmp_path / "app.log"
        (tmp_path / "app.log.2").write_text("long ago\n")
        app.write_text("one\n")
        sink = LinesSink()
        async with running(FileSource([str(app)], first=False, patience=0.1), sink):
            await until(lambda: sink.texts() == [b"long ago", b"one"])
        sink.taken.clear()
        with app.open("a") as file:
            file.write("two\n")
        app.rename(tmp_path / "app.log.1")
        app.write_text("three\n")
        async with running(FileSource([f"{tmp_path}/app*"], first=False, patience=0.1), sink):
            await until(lambda: len(sink.texts()) == 2)
        assert sink.texts() == [b"two", b"three"]
        assert sink.losses == []

    run(main())


def test_rotated_files_are_no_files_of_their_own() -> None:
    names = {Path(f"/var/log/{name}") for name in ("a.log", "a.log.1", "a.log-20261125.gz", "a.log2", "b.1")}

    assert {path.name for path in names if _is_rotation(path, names)} == {"a.log.1", "a.log-20261125.gz"}


def test_one_file_is_read_to_its_end_and_no_longer(tmp_path: Path) -> None:
    sink = LinesSink()
    file = tmp_path / "app.log"
    file.write_bytes(b"one\ntwo\n" * 100_000 + b"no end")

    run(OneFile(str(file)).run(sink))

    assert sink.texts(str(file)) == [*[b"one", b"two"] * 100_000, b"no end"]
    assert len(sink.ended) == 1


def test_a_line_without_an_end_is_handed_on_in_pieces(tmp_path: Path) -> None:
    sink = LinesSink()
    file = tmp_path / "app.log"
    file.write_bytes(b"x" * (5 * MAX_LINE + 3) + b"\nlast")

    run(OneFile(str(file)).run(sink))

    texts = sink.texts()
    assert b"".join(texts[:-1]) == b"x" * (5 * MAX_LINE + 3)
    assert max(map(len, texts)) <= MAX_LINE
    assert texts[-1] == b"last"


def test_a_file_that_cannot_be_read_is_refused(tmp_path: Path) -> None:
    with pytest.raises(Refused, match="--file"):
        OneFile(str(tmp_path / "none"))


def test_long_lines_are_cut_and_counted() -> None:
    log = PlainLog()
    long = b"x" * (MAX_LINE + 128)

    first, second = log.parse(long), log.parse(b"rest\nnext\n")

    assert [len(text) for text in first.texts] == [MAX_LINE, 128]
    assert list(second.texts) == [b"rest", b"next"]
    assert first.cut + second.cut == 3


@given(st.binary(min_size=1, max_size=200))
def test_plain_lines_are_what_stands_between_line_feeds(data: bytes) -> None:
    parsed = PlainLog().parse(data + b"\n")

    assert list(parsed.texts) == [text.removesuffix(b"\r") for text in (data + b"\n")[:-1].split(b"\n")]
    assert parsed.cut == 0
