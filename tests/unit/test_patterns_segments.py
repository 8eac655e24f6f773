"""Segments: what must be in a text for a pattern to be found in it."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from processor.patterns import PatternError, compile_pattern
from processor.patterns.gate import CompiledGate, Gate, compile_gate
from processor.patterns.segments import LONGEST, Segment, folded, required_segments
from tests.support.regex_generator import LITERALS, PatternGenerator


def shown(segment: Segment) -> str:
    return "".join(place if len(place) == 1 else f"[{place}]" for place in segment)


def best(pattern: str) -> list[str]:
    """The best alternatives, as expressions; none where nothing is certain."""
    found = required_segments(pattern)
    return [shown(segment) for segment in found[0]] if found else []


@pytest.mark.parametrize(
    ("pattern", "segments"),
    [
        ("failed", ["failed"]),
        ("(?i)oom:", ["[oO][oO][mM]:"]),
        (r"code=\d{2}17\b", ["code=[0123456789][0123456789]17"]),
        (r"^start.*the longest part$", ["the longest part"]),
        ("(?:order|invoice) lost", [" lost"]),
        ("order|invoice", ["order", "invoice"]),
        ("(foo|bar)+", ["foo", "bar"]),
        ("(?:abc){2}", ["abcabc"]),
        ("colou?r", ["colo"]),
        ("ab+cde", ["bcde"]),
        ("(?i:foo)bar", ["[fF][oO][oO]bar"]),
        ("[Ff]ailed", ["[Ff]ailed"]),
        (r"\Qa.b*\E+", ["a.b*"]),
        ("a{0}bcd", ["bcd"]),
        ("(|x)yyy", ["yyy"]),
        (r"a\{3\}x", ["a{3}x"]),
        ("größe", ["größe"]),
        ("(?i)straße", ["[sS][tT][rR][aA]"]),
        ("x{2,}yz", ["xxyz"]),
        ("(?:a(?i)bc)de", ["a[bB][cC]de"]),
        (r"[[:digit:]]{3}-abc", ["[0123456789][0123456789][0123456789]-abc"]),
        ("x{40}", ["x" * LONGEST]),
    ],
)
def test_best_segments(pattern: str, segments: list[str]) -> None:
    assert best(pattern) == segments


@pytest.mark.parametrize(
    "pattern",
    [
        "",
        "a",
        "ab",
        r"\d{3}",
        ".*",
        "x*y*z*",
        "abc|",
        "(|abc)",
        "(abc)?",
        "(abc){0,3}",
        r"\pL+",
        "[^abc]{9}",
        r"a\x00b",
    ],
)
def test_nothing_worth_looking_for(pattern: str) -> None:
    assert best(pattern) == []


def test_characters_that_fold_into_ascii_are_looked_for_as_ascii() -> None:
    assert folded("\u017fe\u212a") == "sek"
    assert folded("größe") == "größe"
    assert best("aaa\u017fbbb") == ["bbb"]


def _holds(text: str, segment: Segment) -> bool:
    expression = "".join(f"[{re.escape(place)}]" for place in segment)
    return re.search(expression, text, re.DOTALL) is not None


def assert_sound(pattern: str, texts: list[str]) -> int:
    """Every text in which the pattern is found holds one segment of each of its sets; how many those are."""
    compiled = compile_pattern(pattern)
    sets = required_segments(pattern)
    found = [text for text in texts if compiled.search(text)]
    for text in found:
        for needed in sets:
            assert any(_holds(folded(text), segment) for segment in needed), (pattern, text, needed)
    return len(found) if sets else 0


def test_no_match_is_missed_on_generated_patterns() -> None:
    generate = PatternGenerator(seed=7)
    tried = 0
    for _ in range(20_000):
        pattern = generate.pattern()
        texts = [generate.text() for _ in range(6)] + ["".join(LITERALS), pattern]
        try:
            tried += assert_sound(pattern, texts)
        except PatternError:
            continue
    assert tried > 500  # the generator must keep finding something


_WORDS = st.sampled_from(["fail", "ed", "kS", "ſ", "K", "é", "code=", "1", "7", ".", " "])
_PIECES = st.recursive(
    st.one_of(
        _WORDS.map(re.escape).map(lambda text: text.replace("\\ ", " ")),
        st.sampled_from([r"\d", "[a-f]", "[^x]", ".", "(?i)", "(?-i)", r"\b", "^", "[kK1]", r"\s", r"\w"]),
    ),
    lambda inner: st.one_of(
        st.lists(inner, max_size=4).map("".join).map("(?:{})".format),
        st.lists(inner, min_size=1, max_size=3).map("|".join).map("({})".format),
        st.tuples(inner, st.sampled_from(["*", "+", "?", "{2}", "{2,}", "{0,2}", "{3}"])).map(
            lambda two: f"(?:{two[0]}){two[1]}"
        ),
    ),
    max_leaves=8,
)


@given(
    pattern=st.lists(_PIECES, min_size=1, max_size=5).map("".join),
    texts=st.lists(st.lists(_WORDS, max_size=8).map("".join), max_size=6),
)
def test_no_match_is_missed(pattern: str, texts: list[str]) -> None:
    assert_sound(pattern, [*texts, "failed code=17 kS ed", "FAILED CODE=17"])


def gate_of(patterns: list[str], sample: list[bytes] | None = None) -> Gate:
    return Gate(CompiledGate.from_bytes(compile_gate(patterns, sample or ()).to_bytes()))


@given(st.lists(st.lists(_WORDS, max_size=8).map("".join), min_size=1, max_size=8))
def test_a_gate_finds_every_segment_alone_and_joined(texts: list[str]) -> None:
    patterns = [
        "failed",
        "(?i)FAIL",
        r"code=\d7",
        "ed.*code=",
        "éſ?code=1",
        "kSkS|eded",
        "1717",
        r"\s\d\.fail",
    ]
    gate = gate_of(patterns)
    alone = [{n for members in gate.scan(folded(text).encode()) for n in members} for text in texts]
    for text, found in zip(texts, alone, strict=True):
        assert found >= {n for n, pattern in enumerate(patterns) if compile_pattern(pattern).search(text)}
    data = [folded(text).encode() for text in texts]
    joined: list[set[int]] = [set() for _ in texts]
    for end, members in gate.scan_joined(b"\0".join(data), 10_000):
        place = b"\0".join(data)[:end].count(b"\0")
        joined[place].update(members)
    assert joined == alone


def test_segments_are_chosen_that_are_rare_in_the_sample() -> None:
    patterns = ["connection refused.*tenant-2"]
    everywhere = [b"connection refused by host"] * 10
    without, with_sample = gate_of(patterns), gate_of(patterns, everywhere)
    assert without.scan(everywhere[0])
    assert not with_sample.scan(everywhere[0])
    assert with_sample.scan(b"connection refused: tenant-2")
