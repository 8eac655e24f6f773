"""Whatever google-re2 finds, which is what Go finds, Hyperscan proposes."""

from collections.abc import Iterator
from itertools import islice

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
from processor.patterns.compiler_child import together
from processor.patterns.soundness import MAX_LENGTH
from tests.support.log_patterns import LogPatternGenerator
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


Case = tuple[Pattern, list[str]]


def cases(seed: int) -> Iterator[Case]:
    """Accepted patterns and texts for each: odd ones, and such as rules have."""
    odd, usual = PatternGenerator(seed), LogPatternGenerator(seed)
    while True:
        if odd.random.random() < 0.4:
            source, texts = odd.pattern(), [*TEXTS, *(usual.around(odd.text()) for _ in range(12))]
        else:
            source, text = usual.pair()
            texts = [text, *(usual.around(text) for _ in range(14))]
        try:
            yield compile_pattern(source), texts
        except PatternError:
            continue


def assert_nothing_is_missed(seed: int, count: int) -> None:
    proposed = refused = 0
    for pattern, texts in islice(cases(seed), count):
        found = [pattern.search(text) for text in texts]
        for widened in (False, True):
            source = hyperscan_form(pattern, widened=widened).source
            if source is None:
                continue
            try:
                database = Database(compile_serialised([source]), [7])
            except RefusedByHyperscanError:
                refused += widened
                continue
            for text, expected in zip(texts, found, strict=True):
                candidates = database.scan(text.encode())
                assert candidates or not expected, f"{pattern!r} as {source!r} misses {text!r}"
                proposed += expected
    assert proposed > 10 * count  # the texts are such that there is something to miss
    assert refused < count / 100


def assert_nothing_is_missed_together(seed: int, count: int) -> None:
    """Hyperscan joins what patterns have in common, so together they are another program than alone."""
    some = [
        (pattern, texts) for pattern, texts in islice(cases(seed), count) if hyperscan_form(pattern).source
    ]
    forms = [
        (hyperscan_form(pattern).source or "", hyperscan_form(pattern, widened=True).source or "")
        for pattern, _ in some
    ]
    refused, serialised = together(forms)
    taken = [at for at in range(len(some)) if at not in refused]
    database = Database(serialised, taken)
    found = 0
    for at in taken:
        pattern, texts = some[at]
        for text in texts:
            candidates = database.scan(text.encode())
            assert len(candidates) == len(set(candidates))
            if pattern.search(text):
                found += 1
                assert at in candidates, f"{pattern!r} as one of {forms[at]!r} misses {text!r}"
    everything = {text for _, texts in some[:20] for text in texts}
    for text in everything:
        candidates = database.scan(text.encode())
        missed = {at for at in taken if some[at][0].search(text)}.difference(candidates)
        assert not missed, f"{[some[at][0] for at in missed]} on {text!r}"
    assert found > 4 * count


@hyperscan_is_here
def test_generated_patterns_miss_nothing() -> None:
    assert_nothing_is_missed(seed=20_261_123, count=400)


@hyperscan_is_here
def test_all_patterns_in_one_database_miss_nothing() -> None:
    assert_nothing_is_missed_together(seed=7, count=100)
    assert_nothing_is_missed_together(seed=8, count=30)


@hyperscan_is_here
@pytest.mark.soak
@pytest.mark.parametrize("seed", range(10))
def test_many_generated_patterns_miss_nothing(seed: int) -> None:
    assert_nothing_is_missed(seed, count=8_000)
    assert_nothing_is_missed_together(seed + 100, count=2_000)
    for few in range(20):
        assert_nothing_is_missed_together(1_000 * seed + few, count=40)


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
        ("(?:a.{0,200}b){5}", "(?:a.{0,200}b){1,}"),
        ("(?:(?:a{4}|b){5}){9}c{3}", "(?:(?:a{4}|b){5}){9}c{3}"),
        ("(?:(?:a{4}|b){5}){11}(?:c{3}){66}(?:c{3}){67}", "(?:(?:a{4}|b){5}){1,}(?:c{3}){66}(?:c{3}){6,}"),
        ("(?:a{150})*(?:b{150}){2}", "(?:a{150})*(?:b{150}){1,}"),
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
