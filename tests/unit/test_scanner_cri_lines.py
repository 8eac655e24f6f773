"""Lines in the format of container runtimes: joined, cut, and taken as they are when they are not."""

import json
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from processor.scanning.lines import MAX_LINE, STDERR, STDOUT
from processor.scanning.sources.cri_lines import CriLog, Parsed

AT = b"2026-11-25T18:40:00.123456789Z"


def record(text: bytes, tag: bytes = b"F", stream: bytes = b"stdout", at: bytes = AT) -> bytes:
    return b"%s %s %s %s\n" % (at, stream, tag, text)


def test_full_lines_of_both_streams() -> None:
    data = record(b"one") + record(b"two", stream=b"stderr") + record(b"") + record(b" three  F x ")

    parsed = CriLog().parse(data)

    assert list(parsed.texts) == [b"one", b"two", b"", b" three  F x "]
    assert parsed.streams == bytes([STDOUT, STDERR, STDOUT, STDOUT])
    assert list(parsed.times) == [AT] * 4
    assert parsed.cut == 0


def test_parts_are_joined_under_the_time_of_the_first() -> None:
    log, later = CriLog(), b"2026-11-25T18:40:01Z"

    first = log.parse(record(b"a" * 9, b"P") + record(b"err", stream=b"stderr"))
    second = log.parse(record(b"b", b"P:x", at=later) + record(b"c", at=later) + record(b"next"))

    assert list(first.texts) == [b"err"]
    assert list(second.texts) == [b"a" * 9 + b"bc", b"next"]
    assert list(second.times) == [AT, AT]
    assert second.cut == 0


def test_a_line_that_is_too_long_is_cut_and_counted() -> None:
    log = CriLog()
    piece = b"x" * 16_384

    parsed = log.parse(record(piece, b"P") * 65 + record(b"end"))

    assert [len(text) for text in parsed.texts] == [MAX_LINE, 65 * 16_384 + 3 - MAX_LINE]
    assert parsed.cut == 2
    assert list(log.parse(record(b"next")).texts) == [b"next"]


def test_what_is_not_in_the_format_is_taken_as_it_is() -> None:
    log = CriLog()
    foreign = [
        b'{"log":"docker\\n"}',
        b"2026-11-25 18:40:00 stdout F no T",
        b"",
        b"\xff\xfe",
        AT + b" stdin F x",
    ]

    parsed = log.parse(record(b"one") + b"".join(line + b"\n" for line in foreign) + record(b"two"))

    assert list(parsed.texts) == [b"one", *foreign, b"two"]
    assert list(parsed.times) == [AT, *[b""] * len(foreign), AT]
    assert log.foreign == len(foreign)


def test_what_is_not_whole_survives_a_restart() -> None:
    before, after = CriLog(), CriLog()
    before.parse(record(b"\xff half", b"P") + record(b"E", b"P", b"stderr"))

    after.restore(json.loads(json.dumps(before.save())))
    parsed = after.parse(record(b" done") + record(b"rror", stream=b"stderr"))

    assert list(parsed.texts) == [b"\xff half done", b"Error"]
    assert after.save() == {}


def test_a_line_without_its_end_is_given_at_the_end() -> None:
    log = CriLog()
    log.parse(record(b"kill", b"P"))

    assert list(log.finish().texts) == [b"kill"]
    assert list(log.finish().texts) == []


texts = st.binary(max_size=30).map(lambda text: text.replace(b"\n", b""))
records = st.lists(st.tuples(texts, st.sampled_from([b"P", b"F"]), st.sampled_from([b"stdout", b"stderr"])))


def slowly(written: list[tuple[bytes, bytes, bytes]]) -> list[tuple[int, bytes]]:
    open_: dict[bytes, bytes] = {}
    found = []
    for text, tag, stream in written:
        whole = open_.pop(stream, b"") + text
        if tag == b"F":
            found.append((STDOUT if stream == b"stdout" else STDERR, whole))
        else:
            open_[stream] = whole
    return found


@given(records, st.lists(st.integers(0, 20)))
def test_any_division_into_portions_gives_the_same_lines(
    written: list[tuple[bytes, bytes, bytes]], cuts: list[int]
) -> None:
    log = CriLog()
    found: list[tuple[int, bytes]] = []
    lines = [record(*each) for each in written]
    bounds = [0, *sorted(min(cut, len(lines)) for cut in cuts), len(lines)]
    for start, end in pairwise(bounds):
        parsed: Parsed = log.parse(b"".join(lines[start:end]))
        found += zip(parsed.streams, parsed.texts, strict=True)
        again = CriLog()
        again.restore(log.save())
        log = again

    assert found == slowly(written)


@given(st.binary(max_size=300))
def test_no_bytes_are_lost_or_an_error(data: bytes) -> None:
    parsed = CriLog().parse(data)

    assert len(parsed.texts) == len(parsed.times) == len(parsed.streams)
    assert b"".join(parsed.texts).replace(b"\n", b"") == data.replace(b"\n", b"") or b" " in data
