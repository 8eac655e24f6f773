"""Lines out of a Docker engine's log streams: joined, cut, and exactly once across restarts."""

import itertools
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from processor.scanning.lines import MAX_LINE
from processor.scanning.sources.docker_lines import Log, MultiplexedLog, Portion, TerminalLog, boundary
from processor.scanning.sources.docker_position import Progress
from processor.scanning.sources.docker_stamps import STAMP, nanoseconds_of
from tests.support.docker_log import PART, Entry, entries, multiplexed, stamp, terminal

NOON = 1_795_608_000 * 10**9


def read(log: Log, data: bytes, size: int = 1 << 30, *, ended: bool = True) -> list[Portion]:
    portions = [log.feed(data[at : at + size]) for at in range(0, len(data), size)]
    return [portion for portion in [*portions, log.finish() if ended else None] if portion]


def texts(portions: list[Portion]) -> list[bytes]:
    return list(itertools.chain.from_iterable(portion.texts for portion in portions))


def fresh(*, tty: bool) -> Log:
    return TerminalLog(Progress(None, 0)) if tty else MultiplexedLog(Progress(None, 0))


@pytest.mark.parametrize("tty", [False, True])
@pytest.mark.parametrize("newline_after_parts", [True, False], ids=["json-file", "local"])
@pytest.mark.parametrize("length", [0, 1, PART - 1, PART, PART + 1, 3 * PART, 40_000])
def test_a_line_of_any_length_comes_whole(tty: bool, newline_after_parts: bool, length: int) -> None:
    line = (b"abcdefg" * length)[:length]
    kept = entries(NOON, 1, line) + entries(NOON + 5, 1, b"next") + entries(NOON + 6, 1, line)
    send = terminal if tty else multiplexed
    data = send(kept, newline_after_parts=newline_after_parts)
    for size in (1000, 1 << 30):
        portions = read(fresh(tty=tty), data, size)
        assert texts(portions) == [line, b"next", line]
        times = [time for portion in portions for time in portion.times]
        assert times == [stamp(NOON), stamp(NOON + 5), stamp(NOON + 6)]
        assert sum(portion.cut for portion in portions) == 0


def test_streams_are_joined_each_by_itself() -> None:
    long = entries(NOON, 1, b"a" * 20_000)
    kept = [long[0], *entries(NOON + 1, 2, b"from stderr"), long[1]]
    (portion,) = read(fresh(tty=False), multiplexed(kept))
    assert portion.texts == [b"from stderr", b"a" * 20_000]
    assert portion.streams == b"\2\1"


@pytest.mark.parametrize("tty", [False, True])
def test_a_line_that_is_too_long_is_cut_and_counted(tty: bool) -> None:
    line = bytes(random.Random(1).choices(b"abcdef", k=2 * MAX_LINE + 5000))
    kept = entries(NOON, 1, line) + entries(NOON + 1, 1, b"next")
    portions = read(fresh(tty=tty), (terminal if tty else multiplexed)(kept), 100_000)
    found = texts(portions)
    assert [len(text) for text in found] == [MAX_LINE, MAX_LINE, 5000, 4]
    assert b"".join(found) == line + b"next"
    assert sum(portion.cut for portion in portions) == 3


def test_a_single_entry_that_is_too_long_is_cut_between_characters() -> None:
    line = "é".encode() * MAX_LINE
    kept = [Entry(NOON, 1, b"x" + line, ends=True)]
    (portion,) = read(fresh(tty=False), multiplexed(kept))
    assert b"".join(portion.texts) == b"x" + line
    assert all(len(text) <= MAX_LINE for text in portion.texts)
    assert [text.decode() for text in portion.texts]  # each is valid
    assert portion.cut == len(portion.texts) == 3


def test_the_boundary_is_never_inside_a_character() -> None:
    text = "aé€𝄞".encode()
    ends = [boundary(text + b"x", end) for end in range(1, len(text) + 1)]
    assert ends == [1, 1, 3, 3, 3, 6, 6, 6, 6, 10]
    assert boundary(b"\x80" * 10, 8) == 8


@pytest.mark.parametrize("tty", [False, True])
def test_what_has_no_newline_is_a_line_when_the_log_ends(tty: bool) -> None:
    kept = [*entries(NOON, 1, b"first"), Entry(NOON + 1, 1, b"$ ", ends=False)]
    data = (terminal if tty else multiplexed)(kept)
    assert texts(read(fresh(tty=tty), data)) == [b"first", b"$ "]


def test_a_prompt_and_the_next_run_of_its_container_are_two_lines() -> None:
    kept = [Entry(NOON, 1, b"$ ", ends=False), *entries(NOON + 10**9, 1, b"started")]
    (portion,) = read(fresh(tty=True), terminal(kept))
    assert portion.texts == [b"$ ", b"started"]
    assert portion.times == [stamp(NOON), stamp(NOON + 10**9)]


def test_stamps_that_a_container_prints_are_text() -> None:
    printed = stamp(NOON - 10**9) + b" by itself; " + stamp(NOON) + b" too"
    (portion,) = read(fresh(tty=True), terminal(entries(NOON, 1, printed)))
    assert portion.texts == [printed]


@pytest.mark.parametrize(
    "text",
    [
        b"2026-11-25T10:00:00.123456789 no zone",
        b"2026-11-25T10:00:00.12345678Z eight digits",
        b"2026-13-25T10:00:00.123456789Z month",
        b"2026-02-30T10:00:00.123456789Z day",
        b"2026-11-25T24:00:00.123456789Z hour",
        b"2026-11-25T10:00:00.123456789Znospace",
        b"",
    ],
)
def test_only_a_valid_stamp_is_taken_off(text: bytes) -> None:
    frame = b"\1\0\0\0" + len(text).to_bytes(4, "big") + text
    (portion,) = read(fresh(tty=False), frame)
    assert portion.texts == [text]
    assert portion.times == [b""]


def test_stamps_of_other_time_zones_are_the_same_moment() -> None:
    there = b"2026-11-25T14:00:00.000000007+02:00"
    assert STAMP.match(there + b" x")
    assert nanoseconds_of(there) == nanoseconds_of(b"2026-11-25T12:00:00.000000007Z")


def test_a_log_that_was_rotated_past_the_position_is_noticed() -> None:
    (portion,) = read(fresh(tty=False), multiplexed(entries(NOON, 1, b"a") + entries(NOON + 1, 1, b"b")))
    later = entries(NOON + 60 * 10**9, 1, b"c")
    log = MultiplexedLog(Progress(portion.after, 0))
    assert texts(read(log, multiplexed(later))) == [b"c"]
    assert log.progress.rotated


def test_a_log_of_which_only_done_entries_were_rotated_away_has_no_hole() -> None:
    kept = [*entries(NOON, 1, b"a"), *entries(NOON + 1, 1, b"b"), *entries(NOON + 2, 1, b"c")]
    (portion,) = read(fresh(tty=False), multiplexed(kept[:2]))
    log = MultiplexedLog(Progress(portion.after, 0))
    assert texts(read(log, multiplexed(kept[1:]))) == [b"c"]
    assert not log.progress.rotated


_LINES = st.lists(
    st.tuples(
        st.sampled_from([0, 0, 1, 400, 10**6, 3 * 10**8, 2 * 10**9]),  # nanoseconds since the line before
        st.sampled_from([1, 1, 2]),
        st.sampled_from([1, 5, 5, 5, PART - 1, PART, PART + 1, 40_000]),
    ),
    max_size=25,
)


def kept_of(
    lines: list[tuple[int, int, int]], rng: random.Random, *, tty: bool
) -> tuple[list[Entry], list[tuple[int, bytes]]]:
    """A log with both streams mixed as two threads would mix them, and its lines."""
    time, kept, whole = NOON + 7, {1: list[Entry](), 2: list[Entry]()}, []
    for number, (later, stream, length) in enumerate(lines):
        stream = 1 if tty else stream
        time += later
        text = (b"%d." % number * length)[:length] + b"#%d" % number
        # Lines of several parts and of the same nanosecond would be joined: the engine can't make them.
        time += 1 if kept[stream] and kept[stream][-1].time == time else 0
        kept[stream] += entries(time, stream, text)
        whole.append((stream, text))
    mixed: list[Entry] = []
    while kept[1] or kept[2]:
        ahead = [each[0] for each in kept.values() if each]
        chosen = min(ahead, key=lambda entry: entry.time)
        if len(ahead) == 2 and abs(ahead[0].time - ahead[1].time) < 5 * 10**8:
            chosen = rng.choice(ahead)
        mixed.append(kept[chosen.stream].pop(0))
    return mixed, whole


def check_restarts(lines: list[tuple[int, int, int]], seed: int, *, tty: bool, local: bool) -> None:
    rng = random.Random(seed)
    log, whole = kept_of(lines, rng, tty=tty)
    position, found = None, list[tuple[int, bytes]]()
    send = terminal if tty else multiplexed
    for remaining in (3, 2, 1, 0):
        progress = Progress(position, 0)
        reading: Log = TerminalLog(progress) if tty else MultiplexedLog(progress)
        # The engine is asked for a second, or for its last entries, which begin somewhere before it.
        since = rng.choice([progress.since, 0])
        data = send(log, since, newline_after_parts=not local)
        stop = rng.randrange(len(data) + 1) if remaining else len(data)
        for portion in read(reading, data[:stop], rng.choice([37, 1000, 1 << 20]), ended=not remaining):
            found += zip(portion.streams, portion.texts, strict=True)
            position = portion.after
        assert not progress.rotated
    for stream in (1, 2):
        expected = [text for each, text in whole if each == stream]
        got = [text for each, text in found if each == stream]
        if tty and local:
            # The line behind one of several parts stands in the same line of the stream, its stamp could
            # be the container's own text, and it isn't counted under it: it may come again.
            got = list(dict.fromkeys(got))
        assert got == expected


@settings(max_examples=80)
@given(_LINES, st.integers(0, 2**32), st.booleans(), st.booleans())
def test_every_line_comes_exactly_once_whenever_reading_stops(
    lines: list[tuple[int, int, int]], seed: int, tty: bool, local: bool
) -> None:
    check_restarts(lines, seed, tty=tty, local=local)


@pytest.mark.soak
@settings(max_examples=3_000)
@given(_LINES, st.integers(0, 2**32), st.booleans(), st.booleans())
def test_exactly_once_in_thousands_of_cases(
    lines: list[tuple[int, int, int]], seed: int, tty: bool, local: bool
) -> None:
    check_restarts(lines, seed, tty=tty, local=local)
