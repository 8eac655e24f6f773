"""Many patterns on google-re2 alone: at hand at once, where Hyperscan takes seconds to compile.

RE2's FilteredRE2 knows of each pattern which literals a text must hold for it, looks for all of them in one
pass, and runs only the patterns that are left. So what it costs depends on how many patterns share words
with the message, where Hyperscan costs the same for any; a pattern without literals, `\\d+`, always runs.
For what Hyperscan refuses, for changes it has not compiled yet, and for machines without it.

RE2::Set looks like it would do, and doesn't: where its automaton outgrows its memory it finds nothing, and
says so only in a log. FilteredRE2 looks for its literals with one, so each one is tried once it is built.
"""

import re
from collections.abc import Callable, Iterator, Sequence
from typing import Final

import re2

from processor.patterns.pattern import Pattern, add_to_filter

_PROBE: Final = b"\x00 probe of tocsin \x00"
# What one filter takes: nodes of the tree of all literals. RE2 has room for some 60,000, at 10 us each.
_MOST_NODES: Final = 40_000
# Characters of a pattern. Longer ones are searched with by themselves: their price grows with the square.
_LONGEST: Final = 1_000

_NO_LITERAL = re.compile(
    r"\\x\{[0-9a-f]+\}|\\.|\[(?:\[:\^?\w+:\]|\\.|[^\]])+\]|\{[\d,]+\}|[()|*+?^$.]", re.DOTALL
)


class FilteredSet:
    """Says which patterns are found in a message. Immutable, usable from any thread.

    Building takes 50 us a pattern and 10 us for each character of its literals that is new, with the
    interpreter's lock held: half a second for thousands. Memory: 5 KB a pattern, USUAL_MEMORY at most.
    """

    def __init__(self, patterns: Sequence[Pattern], ids: Sequence[int]) -> None:
        """`ids`: what scan() is to call the patterns, one for each."""
        if len(patterns) != len(ids):
            raise ValueError(f"{len(patterns)} patterns and {len(ids)} ids")
        self.ids = tuple(ids)
        self._filters = _filters(patterns, self.ids) if patterns else []

    def scan(self, message: bytes) -> list[int]:
        """The ids of the patterns found in `message`, valid UTF-8; each once, in no order.

        Unlike Database.scan this is the answer: nothing is left to confirm. Linear in the message.
        """
        found: list[int] = []
        for match, ids in self._filters:
            positions = match(message)
            if positions:
                # The probe is the last one, and no pattern.
                found += [ids[position] for position in positions if position < len(ids)]
        return found

    def __len__(self) -> int:
        return len(self.ids)


# Finds positions in a message, in ascending order, or nothing; and the ids by position.
_Filter = tuple[Callable[[bytes], Sequence[int] | None], Sequence[int]]


def _filters(patterns: Sequence[Pattern], ids: Sequence[int]) -> list[_Filter]:
    filters: list[_Filter] = []
    together: list[Pattern] = []
    their_ids: list[int] = []
    nodes: set[str] = set()
    for pattern, name in zip(patterns, ids, strict=True):
        if len(pattern.re2_source) > _LONGEST:
            filters.append(_alone(pattern, name))
            continue
        together.append(pattern)
        their_ids.append(name)
        nodes.update(_literal_nodes(pattern))
        if len(nodes) > _MOST_NODES:
            filters += _halved(together, their_ids)
            together, their_ids, nodes = [], [], set()
    return filters + _halved(together, their_ids)


def _literal_nodes(pattern: Pattern) -> Iterator[str]:
    """Nearly the nodes that the pattern adds to the tree of literals."""
    for literal in _NO_LITERAL.split(pattern.re2_source.lower()):
        for end in range(1, len(literal) + 1):
            yield literal[:end]


def _alone(pattern: Pattern, name: int) -> _Filter:
    search = pattern.compiled()
    return (lambda message: (0,) if search(message) else None, [name])


def _halved(patterns: Sequence[Pattern], ids: Sequence[int]) -> list[_Filter]:
    """One filter; more, if RE2 needs more room for the literals than thought."""
    if not patterns:
        return []
    match = _filter(patterns)
    if match is not None:
        return [(match, ids)]
    if len(patterns) == 1:
        return [_alone(patterns[0], ids[0])]
    middle = len(patterns) // 2
    return _halved(patterns[:middle], ids[:middle]) + _halved(patterns[middle:], ids[middle:])


def _filter(patterns: Sequence[Pattern]) -> Callable[[bytes], Sequence[int] | None] | None:
    """None if RE2 has no room to look for so many literals."""
    built = re2.Filter()
    for pattern in patterns:
        add_to_filter(built, pattern)
    probe = built.Add(_PROBE)
    try:
        built.Compile()
    except re2.error:
        return None
    match: Callable[[bytes], Sequence[int] | None] = built.Match
    return match if probe in (match(_PROBE) or ()) else None
