"""The demultiplexer: whatever bytes come in whatever portions, against one that is slow and obvious."""

import re
import struct

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from processor.scanning.sources.docker_frames import MAX_PAYLOAD, Frames
from tests.support.docker_log import stamp

_BEGINNING = re.compile(
    rb"[\0-\2]\0\0\0[\0\1][\s\S]{3}\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}(Z|[+-]\d\d:\d\d) ", re.ASCII
)


def reference(data: bytes) -> tuple[list[tuple[int, bytes]], int, int, int]:
    """(frames, bytes skipped, headers that lied, bytes of an unfinished frame), one byte at a time."""
    frames = list[tuple[int, bytes]]()
    skipped, lies, at, astray = 0, 0, 0, False
    while True:
        rest = data[at:]
        if astray:
            if not rest:
                return frames, skipped, lies, 0
            if not _BEGINNING.match(rest):
                skipped, at = skipped + 1, at + 1
                continue
            astray = False
        if len(rest) < 8:
            return frames, skipped, lies, len(rest)
        size = int.from_bytes(rest[4:8], "big")
        if rest[0] > 2 or rest[1:4] != b"\0\0\0" or size > MAX_PAYLOAD:
            lies, astray = lies + 1, True
            skipped, at = skipped + 1, at + 1
            continue
        if len(rest) < 8 + size:
            return frames, skipped, lies, len(rest)
        frames.append((rest[0] or 1, rest[8 : 8 + size]))
        at += 8 + size


_TIMES = st.integers(0, 4 * 10**18).map(stamp)
_PAYLOADS = st.builds(lambda time, text: time + b" " + text, _TIMES, st.binary(max_size=80))
_FRAMES = st.builds(
    lambda stream, payload: struct.pack(">BxxxI", stream, len(payload)) + payload,
    st.integers(0, 2),
    _PAYLOADS | st.binary(max_size=60),
)
_LIES = st.builds(
    lambda stream, zeros, size, payload: bytes([stream]) + zeros + struct.pack(">I", size) + payload,
    st.sampled_from([0, 1, 2, 3, 50, 255]),
    st.sampled_from([b"\0\0\0", b"\0\1\0", b"abc"]),
    st.sampled_from([0, 1, 7, 30, 200, MAX_PAYLOAD, MAX_PAYLOAD + 1, 2**32 - 1]),
    _PAYLOADS,
)
_STREAMS = st.lists(st.one_of(_FRAMES, _FRAMES, _FRAMES, _LIES, st.binary(max_size=30)), max_size=12).map(
    b"".join
)


def check(data: bytes, cuts: list[int], end: int) -> None:
    data = data[: max(0, len(data) - end)]
    demultiplexer = Frames()
    found: list[tuple[int, bytes]] = []
    places = sorted(cut % (len(data) + 1) for cut in cuts)
    for begin, stop in zip([0, *places], [*places, len(data)], strict=True):
        streams, payloads = demultiplexer.feed(data[begin:stop])
        found += zip(streams, payloads, strict=True)
    frames, skipped, lies, unfinished = reference(data)
    assert found == frames
    assert demultiplexer.lies == lies
    # What may still turn out to be a beginning is held; the reference has no more to wait for.
    assert demultiplexer.skipped + demultiplexer.held == skipped + unfinished
    assert sum(8 + len(payload) for _, payload in found) + skipped + unfinished == len(data)


_CUTS = st.lists(st.integers(0, 2000), max_size=12)


@settings(max_examples=300)
@given(_STREAMS, _CUTS, st.integers(0, 40))
def test_any_bytes_in_any_portions_give_what_a_slow_demultiplexer_gives(
    data: bytes, cuts: list[int], end: int
) -> None:
    check(data, cuts, end)


@pytest.mark.soak
@settings(max_examples=20_000, suppress_health_check=[HealthCheck.too_slow])
@given(_STREAMS, _CUTS, st.integers(0, 40))
def test_any_bytes_in_thousands_of_cases(data: bytes, cuts: list[int], end: int) -> None:
    check(data, cuts, end)


def test_a_frame_of_the_largest_payload_comes_whole_out_of_small_portions() -> None:
    payload = stamp(1) + b" " + b"x" * (MAX_PAYLOAD - 31)
    data = struct.pack(">BxxxI", 2, len(payload)) + payload
    demultiplexer = Frames()
    for at in range(0, len(data) - 100_000, 100_000):
        assert demultiplexer.feed(data[at : at + 100_000]) == (bytearray(), [])
    streams, payloads = demultiplexer.feed(data[at + 100_000 :])
    assert bytes(streams) == b"\2"
    assert payloads == [payload]
    assert demultiplexer.held == 0


def test_after_a_size_that_is_too_small_it_goes_on_at_the_next_frame() -> None:
    first, second = stamp(1) + b" first\n", stamp(2) + b" second\n"
    data = struct.pack(">BxxxI", 1, len(first) - 3) + first + struct.pack(">BxxxI", 1, len(second)) + second
    demultiplexer = Frames()
    _, payloads = demultiplexer.feed(data)
    assert payloads == [first[:-3], second]
    assert (demultiplexer.skipped, demultiplexer.lies) == (3, 1)
