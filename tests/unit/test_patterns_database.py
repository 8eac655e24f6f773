"""Databases: what they propose, what they refuse to load."""

import random

import pytest

from processor.patterns import (
    Database,
    DatabaseError,
    RefusedByHyperscanError,
    compile_pattern,
    compile_serialised,
    hyperscan_form,
    why_no_hyperscan,
)
from processor.patterns.database import refused_by_hyperscan

pytestmark = pytest.mark.skipif(why_no_hyperscan() is not None, reason=why_no_hyperscan() or "")


def sources(*patterns: str) -> list[str]:
    written = [hyperscan_form(compile_pattern(pattern)).source for pattern in patterns]
    return [source for source in written if source is not None]


def database(*patterns: str) -> Database:
    return Database(compile_serialised(sources(*patterns)), [10 * number for number in range(len(patterns))])


def test_each_pattern_that_is_found_is_proposed_once_under_its_id() -> None:
    found = database("failed", "(?i)FAILED", "a+", "ok$", "").scan(b"failed aaa failed aaa")
    assert sorted(found) == [0, 10, 20, 40]


def test_a_scan_leaves_nothing_behind() -> None:
    patterns = database("a", "b")
    assert patterns.scan(b"a") == [0]
    assert patterns.scan(b"b") == [10]
    assert patterns.scan(b"") == []


def test_patterns_that_match_the_empty_text_are_proposed_for_an_empty_message() -> None:
    assert sorted(database("", "a*", "^$", "a").scan(b"")) == [0, 10, 20]


def test_a_zero_byte_ends_neither_pattern_nor_message() -> None:
    patterns = database("a\x00b", "\\x00$", "[\x00]b", "a|\x00|c")
    assert sorted(patterns.scan(b"a\x00b")) == [0, 20, 30]
    assert patterns.scan(b"a") == [30]
    assert sorted(patterns.scan(b"\x00")) == [10, 30]


def test_a_database_of_nothing_finds_nothing() -> None:
    assert Database(compile_serialised([]), []).scan(b"anything") == []


def test_a_huge_message_is_scanned() -> None:
    patterns = database("needle", "a.*z", "^x")
    message = b"a" + b"hay " * 28_000 + b"needle z"
    assert sorted(patterns.scan(message)) == [0, 10]


def test_ids_must_be_as_many_as_patterns() -> None:
    with pytest.raises(DatabaseError, match="holds 2 patterns, not 1"):
        Database(compile_serialised(["a", "b"]), [1])


def test_no_changed_byte_reaches_hyperscan() -> None:
    serialised = compile_serialised(sources("failed", "(?i)error \\d+"))
    pick = random.Random(5)
    places = [*range(80), *(pick.randrange(len(serialised)) for _ in range(300)), len(serialised) - 1]
    for place in places:
        damaged = bytearray(serialised)
        damaged[place] ^= 1 << pick.randrange(8)
        with pytest.raises(DatabaseError, match=r"damaged|not a serialised"):
            Database(bytes(damaged), [0, 1])


@pytest.mark.parametrize("cut", [0, 1, 30, 52, 54, 55, 56, 1000])
def test_no_shortened_or_lengthened_database_reaches_hyperscan(cut: int) -> None:
    serialised = compile_serialised(["a", "b"])
    for damaged in (serialised[:cut], serialised + b"\x00", b"", serialised[cut + 1 :]):
        with pytest.raises(DatabaseError, match=r"damaged|not a serialised"):
            Database(damaged, [0, 1])


def test_what_hyperscan_refuses_is_named_wherever_it_stands() -> None:
    bad = {3: "a^b", 4: "x\\A", 250: "[[.a.]]", 499: "("}
    written = [bad.get(number, f"code={number}") for number in range(500)]
    with pytest.raises(RefusedByHyperscanError):
        compile_serialised(written)
    refused = refused_by_hyperscan(written)
    assert sorted(refused) == sorted(bad)
    assert "parenthesis" in refused[499]
    assert refused_by_hyperscan([source for source in written if source not in bad.values()]) == {}


def test_a_refused_pattern_is_taken_in_the_wider_form() -> None:
    pattern = compile_pattern("a(?:^|b$)c\\Ad")
    plain, wide = hyperscan_form(pattern).source, hyperscan_form(pattern, widened=True).source
    assert plain is not None
    assert wide is not None
    assert refused_by_hyperscan([plain, wide]).keys() == {0}


@pytest.mark.parametrize(
    ("pattern", "message"),
    [
        # What Vectorscan 5.4.12 misses in the middle or at the end of a text.
        ("(?s)curl.*\\|\\s*python", "curl http://xxxx:8000/ 2>&1 | python and more"),
        ("xy|ab\\z", "a" * 20 + "xy"),
        ("x[,\\x{d7ff}-\\x{e000}]", "a" * 20 + "x,"),
        ("\\s{3,},=|ba\\d", "0" * 17 + "\t\t\t\t,="),
    ],
)
def test_the_library_in_use_is_not_one_that_loses_matches(pattern: str, message: str) -> None:
    assert database(pattern).scan(message.encode()) == [0]
