"""The finder's answer is always that of asking pattern by pattern, whatever is compiled at the moment."""

from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from processor.patterns import Compiler, compile_pattern
from processor.patterns.sets import SetCompiler
from processor.scanning.finder import SAMPLE, WASTE, WASTE_PER_PATTERN, Finder, build

PATTERNS = [
    "error",
    "(?i)kelvin",
    "^start",
    "end$",
    r"\d",
    "code=[0-9]{2}17",
    "a.*b",
    "ä|ö",
    r"(?s)x.y",
    "fail(ed|ure)",
    "\\x{fffd}",
    "",
    "\\x00",
]
WORDS = [
    "error", "ERROR", "Kel", "vin", "\u212aelvin", "start", "end", "7", "code=1117", "a", "b", "ä", "ö",
    "x\ny", "failure", "\ufffd", "\0", " ", "failed",
]  # fmt: skip

COMPILER = Compiler()
SETS = SetCompiler(COMPILER)


@pytest.fixture(scope="module", autouse=True)
def _ended() -> Iterator[None]:
    yield
    COMPILER.close()


texts = st.lists(st.lists(st.sampled_from(WORDS), max_size=5).map("".join), min_size=1, max_size=6)
subsets = st.sets(st.sampled_from(PATTERNS), max_size=len(PATTERNS))


def asked_one_by_one(lines: list[bytes], wanted: set[str]) -> list[tuple[int, set[str]]]:
    answers = [
        (place, {source for source in wanted if compile_pattern(source).search_utf8(line)})
        for place, line in enumerate(lines)
    ]
    return [answer for answer in answers if answer[1]]


@settings(max_examples=150, deadline=None)
@given(compiled=subsets, added=subsets, wanted=subsets, lines=texts)
def test_what_is_found_is_what_asking_one_by_one_finds(
    compiled: set[str], added: set[str], wanted: set[str], lines: list[str]
) -> None:
    finder = Finder()
    finder.keep(sorted(compiled))
    job = finder.next_job()
    if job is not None:
        finder.install(build(job, SETS))
    finder.keep(sorted(compiled | added | wanted))
    data = [line.encode() for line in lines]
    plan = dict.fromkeys(sorted(wanted))
    found = [(place, set(held)) for place, held in finder.among(data, plan)]
    assert found == asked_one_by_one(data, wanted)


def test_a_segment_that_every_line_holds_has_the_set_compiled_anew() -> None:
    sources = [f"user=admin.*failed{number}$" for number in range(20)]
    finder = Finder()
    finder.keep(sources)
    job = finder.next_job()
    assert job is not None
    finder.install(build(job, SETS))
    assert finder.next_job() is None
    assert finder.alone == 0
    lines = [b"user=admin did nothing; failed 7"] * SAMPLE
    plan = dict.fromkeys(sources)
    for _ in range((WASTE + WASTE_PER_PATTERN * len(sources)) // SAMPLE + 1):
        assert finder.among(lines, plan) == []
    better = finder.next_job()
    if better is not None:
        finder.install(build(better, SETS))
        assert finder.next_job() is None
    hit = b"user=admin failed3"
    assert finder.among([*lines, hit], plan) == [(SAMPLE, [sources[3]])]


def test_many_hits_in_every_line_are_found_one_by_one() -> None:
    finder = Finder()
    finder.keep(["needle"])
    job = finder.next_job()
    assert job is not None
    finder.install(build(job, SETS))
    lines = [b"needle " * 50, b"none", b"needle"]
    assert finder.among(lines, {"needle": None}) == [(0, ["needle"]), (2, ["needle"])]
