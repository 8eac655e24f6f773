"""Filtered sets: exactly what each pattern finds by itself, for any number of patterns."""

import random
import string

import pytest

from processor.patterns import FilteredSet, Pattern, PatternError, compile_pattern
from processor.patterns import filtered as filtered_module
from processor.patterns.filtered import _MOST_NODES, _filter
from tests.support.regex_generator import PatternGenerator


def filtered(*patterns: str) -> FilteredSet:
    return FilteredSet(
        [compile_pattern(pattern) for pattern in patterns], [10 * n for n in range(len(patterns))]
    )


def test_ids_of_what_is_found_are_given() -> None:
    patterns = filtered("failed", "(?i)FAILED", "\\d+", "ok$", "")
    assert sorted(patterns.scan(b"failed 7")) == [0, 10, 20, 40]
    assert patterns.scan(b"-") == [40]
    assert patterns.scan(b"") == [40]


def test_nothing_finds_nothing() -> None:
    assert filtered().scan(b"a") == []


def test_the_probe_in_a_message_is_no_pattern() -> None:
    assert filtered("a", "probe").scan(b"\x00 probe of tocsin \x00") == [10]


def test_patterns_and_ids_must_be_as_many() -> None:
    with pytest.raises(ValueError, match="1 patterns and 2 ids"):
        FilteredSet([compile_pattern("a")], [1, 2])


def assert_equal_to_each_alone(seed: int, sets: int, size: int) -> None:
    generate = PatternGenerator(seed)
    found = 0
    for _ in range(sets):
        patterns: list[Pattern] = []
        while len(patterns) < size:
            try:
                patterns.append(compile_pattern(generate.pattern()))
            except PatternError:
                continue
        together = FilteredSet(patterns, range(size))
        for _ in range(40):
            text = "".join(generate.text() for _ in range(generate.random.randint(0, 8))).encode()
            expected = [n for n, pattern in enumerate(patterns) if pattern.search_utf8(text)]
            assert sorted(together.scan(text)) == expected, f"{patterns!r} on {text!r}"
            found += len(expected)
    assert found > sets * size


def test_together_they_find_what_each_finds_alone() -> None:
    assert_equal_to_each_alone(seed=3, sets=30, size=20)
    assert_equal_to_each_alone(seed=4, sets=100, size=1)
    assert_equal_to_each_alone(seed=5, sets=2, size=400)


@pytest.mark.soak
@pytest.mark.parametrize("seed", range(10))
def test_together_they_find_what_each_finds_alone_many_times(seed: int) -> None:
    assert_equal_to_each_alone(seed, sets=100, size=20)
    assert_equal_to_each_alone(seed, sets=5, size=600)


@pytest.mark.parametrize("most_nodes", [_MOST_NODES, 1 << 30])
def test_more_literals_than_re2_has_room_for_are_looked_for_all_the_same(
    most_nodes: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    pick = random.Random(8)
    words = ["".join(pick.choices(string.ascii_lowercase, k=200)) for _ in range(600)]
    patterns = [compile_pattern(f"{word}\\d") for word in words]
    assert _filter(patterns) is None  # which is what the test is about
    monkeypatch.setattr(filtered_module, "_MOST_NODES", most_nodes)
    together = FilteredSet(patterns, range(600))
    for number in (0, 1, 377, 598, 599):
        assert together.scan(f"{words[number]}7 {words[5]}".encode()) == [number]


def test_one_literal_too_long_for_a_filter_is_looked_for_all_the_same() -> None:
    word = "abcdefgh" * 1_000
    pattern = compile_pattern(word)
    together = FilteredSet([pattern, compile_pattern("x")], [1, 2])
    assert sorted(together.scan(f"x{word}".encode())) == [1, 2]
    assert together.scan(f"x{word[1:]}".encode()) == [2]
