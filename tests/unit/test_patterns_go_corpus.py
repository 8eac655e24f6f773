"""What Go says about four thousand patterns, and what each way of searching says."""

import gzip
from collections import Counter
from functools import cache
from pathlib import Path

import pytest

from processor.patterns import (
    Confirmers,
    Database,
    FilteredSet,
    Pattern,
    PatternError,
    compile_pattern,
    errors,
    hyperscan_form,
    why_no_hyperscan,
)
from processor.patterns.compiler_child import together
from tests.support import go_corpus
from tests.support.go_corpus import Row
from tests.support.go_reference import go_is_here

_TOGETHER = 300
# Why patterns may be refused that Go takes: what docs/rules.md names.
_NARROWER = {
    errors.UNSUPPORTED_CLASS,
    errors.UNSUPPORTED_ASSERTION,
    errors.INVALID_ESCAPE,  # surrogates
    errors.TOO_LARGE,
    errors.NESTING_DEPTH,
}


@cache
def taken() -> tuple[tuple[Row, Pattern], ...]:
    pairs = []
    for row in go_corpus.read():
        try:
            pairs.append((row, compile_pattern(row.pattern)))
        except PatternError:
            continue
    return tuple(pairs)


def test_what_go_refuses_is_refused_and_little_else() -> None:
    refused: Counter[str] = Counter()
    rows = go_corpus.read()
    for row in rows:
        code = refusal(row.pattern)
        if code is None:
            assert row.error is None, f"accepted, but Go refuses {row.pattern!r}: {row.error}"
        elif row.error is None:
            refused[code] += 1
    assert len(rows) > 4_000
    assert refused.keys() <= _NARROWER
    assert refused.total() < len(rows) / 50


def refusal(source: str) -> str | None:
    try:
        compile_pattern(source)
    except PatternError as error:
        return error.code
    return None


def test_each_pattern_finds_what_go_finds() -> None:
    for row, pattern in taken():
        found = tuple(pattern.search(text) for text in row.texts)
        assert found == row.found, f"{pattern!r} on {row.texts!r}"


def test_filtered_sets_find_what_go_finds() -> None:
    pairs = taken()
    for start in range(0, len(pairs), _TOGETHER):
        chunk = pairs[start : start + _TOGETHER]
        filtered = FilteredSet([pattern for _, pattern in chunk], range(len(chunk)))
        for number, text in enumerate(go_corpus.TEXTS):
            expected = [at for at, (row, _) in enumerate(chunk) if row.found[number]]
            assert sorted(filtered.scan(text.encode())) == expected, repr(text)


@pytest.mark.skipif(why_no_hyperscan() is not None, reason=why_no_hyperscan() or "")
@pytest.mark.parametrize(
    ("every", "size"),
    [(12, 20), pytest.param(1, 20, marks=pytest.mark.soak), pytest.param(1, 300, marks=pytest.mark.soak)],
)
def test_databases_propose_and_confirmers_confirm_what_go_finds(every: int, size: int) -> None:
    confirmers = Confirmers()
    in_databases = 0
    pairs = [
        (row, pattern)
        for number, (row, pattern) in enumerate(taken())
        if (number % every == 0 or row.pattern in go_corpus.BY_HAND)
        and hyperscan_form(pattern).source is not None
    ]
    for start in range(0, len(pairs), size):
        chunk = pairs[start : start + size]
        refused, serialised = together([forms(pattern) for _, pattern in chunk])
        places = [at for at in range(len(chunk)) if at not in refused]
        in_databases += len(places)
        database = Database(serialised, places)
        for number, text in enumerate(go_corpus.TEXTS):
            message = text.encode()
            candidates = database.scan(message)
            confirmed = sorted(at for at in candidates if confirmers.search(chunk[at][1], message))
            expected = [at for at in places if chunk[at][0].found[number]]
            assert confirmed == expected, f"{[chunk[at][1] for at in {*confirmed} ^ {*expected}]} on {text!r}"
        for at in places:
            row, pattern = chunk[at]
            for text, found in list(zip(row.texts, row.found, strict=True))[len(go_corpus.TEXTS) :]:
                assert not found or at in database.scan(text.encode()), f"{pattern!r} misses {text!r}"
    assert in_databases > 0.98 * len(pairs) > 0.95 * len(taken()) / every


def forms(pattern: Pattern) -> tuple[str, str]:
    plain, wide = hyperscan_form(pattern).source, hyperscan_form(pattern, widened=True).source
    assert plain is not None
    assert wide is not None
    return plain, wide


@pytest.mark.skipif(not go_is_here(), reason="go is not on PATH: nothing to compare the table with")
def test_the_table_is_what_go_says_today(tmp_path: Path) -> None:
    with gzip.open(go_corpus.PATH, "rt", encoding="utf-8") as table:
        assert table.read().removesuffix("\n").split("\n") == go_corpus.ask_go(tmp_path)
