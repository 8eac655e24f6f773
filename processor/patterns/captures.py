"""What the named groups of a pattern have matched."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from typing import Any, Final

import re2

from processor.patterns.pattern import MOST_MEMORY, Pattern
from processor.patterns.syntax import with_groups

_KEPT: Final = 1_024
"""Patterns that are kept compiled with their groups: 10 to 50 KB each."""

Span = tuple[int, int]


def group_names(pattern: Pattern) -> tuple[str, ...]:
    """The names of its groups, in the order of their first places in the pattern. Compiles nothing."""
    return tuple(dict.fromkeys(name for name in with_groups(pattern.source)[1] if name))


def captures(pattern: Pattern, text: bytes) -> Mapping[str, bytes] | None:
    """What each named group matched in the leftmost match in `text` (valid UTF-8); None without a match.

    A group that took no part in the match has matched b""; of groups with one name the first one counts that
    took part, as in Go's Regexp.Expand. Linear in the text.
    """
    match, names = _compiled(pattern.source)
    spans = match(text)
    if spans[0][0] < 0:
        return None
    found = {}
    for name, numbers in names.items():
        start, end = next((spans[number] for number in numbers if spans[number][0] >= 0), (0, 0))
        found[name] = text[start:end]
    return found


@lru_cache(maxsize=_KEPT)
def _compiled(source: str) -> tuple[Callable[[bytes], Sequence[Span]], Mapping[str, Sequence[int]]]:
    """What gives the spans of a match and of its groups; and the numbers of the groups of each name."""
    spelled, groups = with_groups(source)
    options: Any = re2.Options()
    options.max_mem = MOST_MEMORY
    options.log_errors = False
    match = re2.compile(spelled.encode(), options)._regexp.Match
    anywhere = re2._Anchor.UNANCHORED
    names: dict[str, list[int]] = {}
    for number, name in enumerate(groups, start=1):
        if name:
            names.setdefault(name, []).append(number)
    return lambda text: match(anywhere, text, 0, len(text)), names
