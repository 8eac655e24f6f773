"""Whatever google-re2 finds, which is what Go finds, Hyperscan proposes."""

import random
from collections.abc import Iterator

import pytest

from processor.patterns import (
    Database,
    Pattern,
    PatternError,
    RefusedByHyperscanError,
    compile_pattern,
    compile_serialised,
    hyperscan_form,
    why_no_hyperscan,
)
from processor.patterns.soundness import MAX_LENGTH
from tests.support.regex_generator import PatternGenerator

hyperscan_is_here = pytest.mark.skipif(why_no_hyperscan() is not None, reason=why_no_hyperscan() or "")

# Every kind of end, line end, space and word border, and the characters that fold into ASCII.
TEXTS = [
    *("", "a", "aéa", "a\nb\n", "\n", "\n\n", "b\na", "a\n", "\r\n", "a\r", "\t", "\x0b", "a\x0bb", " \x0b "),
    *(
        "\x0c",
        "\x1c",
        "\x85",
        "\xa0",
        "\u2028",
        "日本",
        "kKsS",
        " a_b-1 ",
        "\ufffd",
        "a\x00b",
        "é",
        "ab aé bé",
    ),
    *("_é", "ſ", "\u212a", "aſb", "\u212aS", "_ſ", "\u212a\n", "K\u212a", "ǅ", "ΐ\u1fd3", "ﬅﬆ", "İıiI", "ßẞ"),
]


def accepted(generate: PatternGenerator) -> Iterator[Pattern]:
    while True:
        try:
            yield compile_pattern(generate.pattern())
        except PatternError:
            continue


def assert_nothing_is_missed(seed: int, count: int) -> None:
    generate = PatternGenerator(seed)
    patterns = accepted(generate)
    proposed = refused = 0
    for number, pattern in zip(range(count), patterns, strict=False):
        texts = [*TEXTS, *(generate.text() for _ in range(12))]
        found = [pattern.search(text) for text in texts]
        for widened in (False, True):
            source = hyperscan_form(pattern, widened=widened).source
            if source is None:
                continue
            try:
                database = Database(compile_serialised([source]), [number])
            except RefusedByHyperscanError:
                refused += widened
                continue
            for text, expected in zip(texts, found, strict=True):
                candidates = database.scan(text.encode())
                assert candidates or not expected, f"{pattern!r} as {source!r} misses {text!r}"
                proposed += expected
    assert proposed > 10 * count  # the texts are such that there is something to miss
    assert refused < count / 100


@hyperscan_is_here
def test_generated_patterns_miss_nothing() -> None:
    assert_nothing_is_missed(seed=20_261_123, count=1_500)


@hyperscan_is_here
@pytest.mark.soak
@pytest.mark.parametrize("seed", range(10))
def test_many_generated_patterns_miss_nothing(seed: int) -> None:
    assert_nothing_is_missed(seed, count=8_000)


@hyperscan_is_here
def test_all_patterns_in_one_database_miss_nothing() -> None:
    """Hyperscan joins what patterns have in common, so together they are another program than alone."""
    generate = PatternGenerator(seed=7)
    pick = random.Random(7)
    patterns: list[Pattern] = []
    sources: list[str] = []
    for pattern in accepted(generate):
        source = hyperscan_form(pattern, widened=True).source
        if source is not None:
            try:
                compile_serialised([source])
            except RefusedByHyperscanError:
                continue
            patterns.append(pattern)
            sources.append(source)
        if len(patterns) == 400:
            break
    database = Database(compile_serialised(sources), range(400))
    for _ in range(300):
        text = "".join(pick.choice([generate.text(), *TEXTS]) for _ in range(pick.randint(1, 4)))
        candidates = database.scan(text.encode())
        assert len(candidates) == len(set(candidates))
        missed = {n for n, pattern in enumerate(patterns) if pattern.search(text)} - set(candidates)
        assert not missed, f"{[patterns[n] for n in missed]} on {text!r}"


@pytest.mark.parametrize(
    ("pattern", "source"),
    [
        ("failed: \\d+", "failed: \\d+"),
        ("(?P<n>a)\\Q.*\\E", "(a)\\x{2e}\\x{2a}"),
        ("\\v", "\\x{b}"),
        ("(?U)a+?b*", "a+?b*"),
        ("\\s\\S", "[\\x{9}\\x{a}\\x{c}\\x{d}\\x{20}][^\\x{9}\\x{a}\\x{c}\\x{d}\\x{20}]"),
        ("(?i)sky", "(?i)[s\\x{17f}][k\\x{212a}]y"),
        ("(?i:k)k", "(?i:[k\\x{212a}])k"),
        ("(?i)(?-i:k)K", "(?i)(?-i:k)[k\\x{212a}]"),
        ("(?i)é", "(?i)[ks\\x{80}-\\x{10ffff}]"),
        ("(?i)\\w\\W", "(?i)[\\w\\x{212a}\\x{17f}]\\W"),
        ("(?i)[^\\W]", "(?i)[\\x{0}-\\x{10ffff}]"),
        ("\\pL\\PL[\\pL]", "[\\x{0}-\\x{10ffff}]" * 3),
        ("a{0}b{0,0}c{0,}", "(?:)(?:)c{0,}"),
        ("a{0,}?(?:xy){0}(?:\\b){2}", "a{0,}?(?:)(?:\\b){2}"),
        ("^*a\\b+$?", "(?:)a\\b(?:)"),
        ("a{300}b{201,}c{0,500}", "a{20,}b{20,}c{0,}"),
        ("(?m)^a", "(?m)^a"),
        ("(?m)^a|^b", "(?m)^a|(?:)b"),
        ("(?m)^a*", "(?m)(?:)a*"),
        ("(?m:^a)|(?m)b$|(?-m)^", "(?m:(?:)a)|(?m)b$|(?-m)^"),
    ],
)
def test_what_hyperscan_reads_otherwise_is_spelled_out_or_widened(pattern: str, source: str) -> None:
    assert hyperscan_form(compile_pattern(pattern)).source == source


def test_the_wider_form_has_no_assertions_and_no_high_counts() -> None:
    form = hyperscan_form(compile_pattern("^a\\b{2}(?:b$|\\Ac\\z)é{100}"), widened=True)
    assert form.source == "(?:)a(?:){2}(?:b(?:)|(?:)c(?:))é{20,}"


def test_long_patterns_are_not_for_hyperscan() -> None:
    assert hyperscan_form(compile_pattern("a" * MAX_LENGTH)).source == "a" * MAX_LENGTH
    form = hyperscan_form(compile_pattern("a" * (MAX_LENGTH + 1)))
    assert form == (None, "more than 400 characters")
    form = hyperscan_form(compile_pattern("[\\S" + "\\S" * 190 + "]"))
    assert form.source is not None
    assert len(form.source) < 14_000
