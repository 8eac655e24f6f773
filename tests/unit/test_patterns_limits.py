"""No pattern and no text may crash the process, be answered differently, or take more than linear time."""

import time
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from processor.patterns import (
    Confirmers,
    Database,
    FilteredSet,
    Pattern,
    PatternError,
    compile_pattern,
    hyperscan_form,
    why_no_hyperscan,
)
from processor.patterns.compiler_child import together
from tests.support.log_patterns import LogPatternGenerator
from tests.support.regex_generator import PatternGenerator

Search = Callable[[bytes], object]

SHORT = 3_500
LONGER = 16
# Sixteen times the text costs sixteen times as much, or 256 times if it were quadratic.
MOST = 64


def filtered(pattern: Pattern) -> Search:
    return FilteredSet([pattern], [1]).scan


def database(pattern: Pattern) -> Search:
    source = hyperscan_form(pattern).source
    assert source is not None
    refused, serialised = together([(source, source)])
    assert not refused
    return Database(serialised, [1]).scan


WAYS = [
    pytest.param(lambda pattern: pattern.search_utf8, id="pattern"),
    pytest.param(filtered, id="filtered"),
    pytest.param(
        database,
        id="database",
        marks=pytest.mark.skipif(why_no_hyperscan() is not None, reason=why_no_hyperscan() or ""),
    ),
]


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize(
    ("source", "unit"),
    [
        ("(a*)*b", b"a"),
        ("(a|aa)+$", b"aab"),
        ("(x+x+)+y", b"x"),
        ("(.*)(.*)(.*)(.*)(.*)z$", b"a "),
        ("^(\\w+\\s?)*$", b"word!"),
        (".{1000}z", "é".encode()),
        ("(?i)(?:k|ſ)+x", "\u212a".encode()),
        ("(?:a?){30}a{30}b", b"a"),
    ],
)
def test_time_grows_with_the_text_and_not_faster(
    way: Callable[[Pattern], Search], source: str, unit: bytes
) -> None:
    search = way(compile_pattern(source))
    short = unit * (SHORT // len(unit))
    long = short * LONGER
    # What is fast is bounded by what can be told apart.
    assert cheapest(search, long) < MOST * max(cheapest(search, short), 20e-6)


def cheapest(search: Search, text: bytes) -> float:
    """Seconds of processor time, the least of several."""
    spent = []
    for _ in range(3):
        begin = time.thread_time()
        search(text)
        spent.append(time.thread_time() - begin)
    return min(spent)


# Seeds of generators rather than trees of strategies: the patterns stay as odd as they are elsewhere.
SEEDS = st.integers(0, 2**32 - 1)


def assert_all_ways_agree(seed: int) -> None:
    odd, usual = PatternGenerator(seed), LogPatternGenerator(seed)
    patterns: list[Pattern] = []
    texts = ["", "\n"]
    while len(patterns) < 12:
        source, text = (odd.pattern(), odd.text()) if odd.random.random() < 0.5 else usual.pair()
        try:
            patterns.append(compile_pattern(source))
        except PatternError:
            continue
        texts += [text, usual.around(text)]
    together_on_re2 = FilteredSet(patterns, range(12))
    proposed = proposals(patterns)
    confirmers = Confirmers(max_bytes=4 << 20)
    for text in texts:
        message = text.encode()
        expected = [at for at, pattern in enumerate(patterns) if pattern.search(text)]
        assert sorted(together_on_re2.scan(message)) == expected
        confirmed = [at for at in proposed(message) if confirmers.search(patterns[at], message)]
        assert sorted(confirmed) == expected


def proposals(patterns: list[Pattern]) -> Callable[[bytes], list[int]]:
    """Candidates from a database, and from a filtered set for what is not in it."""
    forms = {}
    for at, pattern in enumerate(patterns):
        plain, wide = hyperscan_form(pattern).source, hyperscan_form(pattern, widened=True).source
        if why_no_hyperscan() is None and plain is not None and wide is not None:
            forms[at] = plain, wide
    places = list(forms)
    refused, serialised = together(list(forms.values()))
    taken = [at for index, at in enumerate(places) if index not in refused]
    candidates = Database(serialised, taken)
    rest = [at for at in range(len(patterns)) if at not in taken]
    others = FilteredSet([patterns[at] for at in rest], rest)
    return lambda message: candidates.scan(message) + others.scan(message)


@given(SEEDS)
@settings(max_examples=20, deadline=None)
def test_all_ways_of_searching_agree(seed: int) -> None:
    assert_all_ways_agree(seed)


@pytest.mark.soak
@given(SEEDS)
@settings(max_examples=3_000, deadline=None)
def test_all_ways_of_searching_agree_thousands_of_times(seed: int) -> None:
    assert_all_ways_agree(seed)


@given(st.text(max_size=60) | st.text(st.sampled_from("()[]{}*+?|\\^$.-PQE<>:i1, \x00é\n"), max_size=40))
@settings(max_examples=1_000)
def test_any_string_is_refused_or_becomes_a_pattern_with_a_form(source: str) -> None:
    try:
        pattern = compile_pattern(source)
    except PatternError:
        return
    for widened in (False, True):
        form = hyperscan_form(pattern, widened=widened)
        assert (form.source is None) != (form.reason is None)
        assert form.source is None or "\x00" not in form.source
