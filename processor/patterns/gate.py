"""The gate: which patterns of many may be in a text, told by one segment of each.

A Hyperscan database of segments only (segments.py): a text that holds none costs a fraction of a microsecond
whatever the number of patterns, and compiling is linear: ten thousand take a quarter of a second.
"""

from __future__ import annotations

import json
import struct
from collections import Counter
from collections.abc import Sequence
from functools import lru_cache
from math import log2
from typing import Final, NamedTuple

from processor.patterns.database import Database, Scannable, compile_serialised
from processor.patterns.segments import Alternatives, Segment, required_segments, weight

_LENGTHS: Final = ">II"

END: Final = 8
"""Places at a segment's end by which Hyperscan (its FDR) tells whether to look more closely."""


class GatePlan(NamedTuple):
    """What a gate looks for: segments, and of each the numbers of the patterns that need it."""

    segments: Sequence[Segment]
    members: Sequence[tuple[int, ...]]


def plan_gate(wanted: Sequence[tuple[int, Sequence[Alternatives]]], sample: Sequence[bytes] = ()) -> GatePlan:
    """Choose what to look for. `wanted`: patterns by number, with their segments (none without any).

    Of each pattern it is the set of segments that the fewest texts of the `sample` hold (UTF-8, of the kind
    that will be looked at); among equals the one that the fewest other patterns share: what many patterns
    hold, many texts may hold. And each segment is cut behind its rarest part, because one whose end many
    texts hold would be looked at closely again and again.
    """
    ends: dict[Segment, list[Segment]] = {}
    shared: Counter[Segment] = Counter()
    for _, sets in wanted:
        mine = {segment for needed in sets for segment in needed}
        ends.update((segment, _ends(segment)) for segment in mine if segment not in ends)
        shared.update({end for segment in mine for end in ends[segment]})
    cuts = {segment: _cut(segment, of, shared) for segment, of in ends.items()}
    seen = _counts([cut for _, cut in cuts.values()], sample)
    members: dict[Segment, list[int]] = {}
    for number, sets in wanted:
        best = min(
            sets,
            key=lambda needed: (
                sum(seen[cuts[segment][1]] for segment in needed),
                max(cuts[segment][0] for segment in needed),
            ),
        )
        for cut in {cuts[segment][1] for segment in best}:
            members.setdefault(cut, []).append(number)
    return GatePlan(list(members), [tuple(numbers) for numbers in members.values()])


def _counts(segments: Sequence[Segment], sample: Sequence[bytes]) -> Counter[Segment]:
    """How many texts hold each segment."""
    counts: Counter[Segment] = Counter()
    if sample:
        distinct = list(dict.fromkeys(segments))
        serialised = compile_serialised([_expression(segment) for segment in distinct], utf8=False)
        database = Database(serialised, range(len(distinct)))
        for text in sample:
            counts.update(distinct[number] for number in database.scan(text))
    return counts


class CompiledGate(NamedTuple):
    """What a Gate is made of; goes between processes and to disk.

    once, everywhere: databases, serialised: one tells of each segment once, one tells where each is. members:
    of each segment the numbers of the patterns that need it. without: the patterns that have none.
    """

    once: bytes
    everywhere: bytes
    members: Sequence[tuple[int, ...]]
    without: frozenset[int]

    def to_bytes(self) -> bytes:
        """For from_bytes. What it is kept in or sent through has to find damage."""
        about = json.dumps({"members": self.members, "without": sorted(self.without)}).encode()
        lengths = struct.pack(_LENGTHS, len(about), len(self.once))
        return b"".join([lengths, about, self.once, self.everywhere])

    @classmethod
    def from_bytes(cls, data: bytes) -> CompiledGate:
        """What to_bytes gave."""
        about_size, once_size = struct.unpack_from(_LENGTHS, data)
        start = struct.calcsize(_LENGTHS)
        about = json.loads(data[start : start + about_size])
        start += about_size
        once, everywhere = data[start : start + once_size], data[start + once_size :]
        members = [tuple(numbers) for numbers in about["members"]]
        return cls(once, everywhere, members, frozenset(about["without"]))


def compile_gate(sources: Sequence[str], sample: Sequence[bytes] = ()) -> CompiledGate:
    """A gate for the patterns with these sources, which are Go's syntax and known to be accepted.

    `sample`: as for plan_gate. Linear; blocks for 0.5 ms a pattern.
    """
    wanted = [(number, required_segments(source)) for number, source in enumerate(sources)]
    plan = plan_gate([one for one in wanted if one[1]], sample)
    expressions = [_expression(segment) for segment in plan.segments]
    # Of bytes: a segment means the same, and compiling is four times as fast.
    once = compile_serialised(expressions, utf8=False)
    everywhere = compile_serialised(expressions, once=False, utf8=False)
    return CompiledGate(
        once, everywhere, plan.members, frozenset(number for number, sets in wanted if not sets)
    )


class TooMany(Exception):  # noqa: N818 - says what happened
    """More segments are in a text than are worth telling one by one."""


class Gate:
    """Tells of a text which patterns it may hold. One thread at a time scans."""

    def __init__(self, compiled: CompiledGate) -> None:
        """Raises DatabaseError if `compiled` is damaged, or made for another processor."""
        self._members = compiled.members
        self._once = Database(compiled.once, range(len(compiled.members)))
        self._everywhere = Scannable(compiled.everywhere, len(compiled.members))

    def scan(self, text: bytes) -> Sequence[tuple[int, ...]]:
        """The numbers of the patterns that `text` (UTF-8) may hold, for each segment in it."""
        members = self._members
        return [members[place] for place in self._once.scan(text)]

    def scan_joined(self, texts: bytes, most: int) -> Sequence[tuple[int, tuple[int, ...]]]:
        """The same for many texts joined by NUL, which is in no segment, with where each segment ends: behind
        its last byte, so within its text. One may be told several times.

        One call for many texts, because the call costs more than looking at a text does. Raises TooMany
        rather than tell of more than `most`.
        """
        found: list[tuple[int, int]] = []
        go_on, stop = self._everywhere.go_on, self._everywhere.stop

        def on(place: int, _start: int, end: int, _flags: int, _context: object) -> float:
            found.append((end, place))
            return stop if len(found) > most else go_on

        try:
            self._everywhere.scan(texts, on, 0, None, self._everywhere.scratch)
        except Exception:  # what the bindings raise when they are stopped
            if len(found) <= most:
                raise
            raise TooMany from None
        members = self._members
        return [(end, members[place]) for end, place in found]


def _ends(segment: Segment) -> list[Segment]:
    """What the segment would end in if it were cut, for each place from END on."""
    return [segment[max(0, end - END) : end] for end in range(min(END, len(segment)), len(segment) + 1)]


def _cut(segment: Segment, ends: Sequence[Segment], shared: Counter[Segment]) -> tuple[float, Segment]:
    """How common the segment may be, and the segment cut behind its rarest part.

    A guess: one character more makes it as much rarer as a quarter of the patterns that share its end.
    """
    count, place = min((shared[end], -place) for place, end in enumerate(ends))
    cut = segment[: len(ends[0]) - place]
    return log2(count) - 2 * min(weight(cut), END), cut


def _expression(segment: Segment) -> str:
    """In Hyperscan's syntax, all bytes in hexadecimal: none means anything else."""
    return "".join(_place(place) for place in segment)


@lru_cache(maxsize=1_024)
def _place(place: str) -> str:
    codes = "".join(f"\\x{byte:02x}" for byte in place.encode())
    return codes if len(place) == 1 else f"[{codes}]"
