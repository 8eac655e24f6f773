"""Confirmers: the same answers as the patterns, in bounded memory."""

import random

from processor.patterns import Confirmers, compile_pattern
from processor.patterns.pattern import MOST_MEMORY, USUAL_MEMORY


def test_what_was_dropped_is_compiled_again_with_the_same_answers() -> None:
    patterns = [compile_pattern(f"code={number}\\b") for number in range(200)]
    confirmers = Confirmers(max_bytes=20 * USUAL_MEMORY)
    pick = random.Random(3)
    for _ in range(3_000):
        number, other = pick.randrange(200), pick.randrange(200)
        found = confirmers.search(patterns[number], b"code=%d." % other)
        assert found is (number == other)
        assert len(confirmers) <= 20


def test_what_is_asked_for_again_and_again_stays_compiled() -> None:
    often = compile_pattern("often")
    confirmers = Confirmers(max_bytes=20 * USUAL_MEMORY)
    for number in range(500):
        confirmers.search(compile_pattern(f"rare{number}"), b"")
        assert confirmers.search(often, b"how often?")
        assert often.re2_source in {**confirmers._young, **confirmers._old}


def test_equal_patterns_share_one() -> None:
    confirmers = Confirmers()
    assert confirmers.search(compile_pattern("a+"), b"a")
    assert confirmers.search(compile_pattern("a+"), b"a")
    assert len(confirmers) == 1


def test_a_large_pattern_gets_more_memory_and_counts_for_it() -> None:
    large = compile_pattern("\\pL{300}")
    assert large.memory == MOST_MEMORY
    confirmers = Confirmers(max_bytes=2 * MOST_MEMORY)
    assert confirmers.search(large, ("é" * 300).encode())
    assert not confirmers.search(large, ("é" * 299).encode())
    for number in range(MOST_MEMORY // USUAL_MEMORY):
        confirmers.search(compile_pattern(f"a{number}"), b"")
    assert len(confirmers) <= 1 + MOST_MEMORY // USUAL_MEMORY


def test_one_pattern_above_the_bound_is_still_searched_with() -> None:
    assert Confirmers(max_bytes=1).search(compile_pattern("a"), b"a")
