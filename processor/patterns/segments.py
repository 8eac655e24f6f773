"""Segments that a text must hold for a pattern to be found in it: what is looked for first.

A segment is a run of characters, each of which is one of a few: `code=[0-9][0-9]17`. The pattern is read from
left to right, and of each group is kept what is certain of any text that matches it (the idea of RE2's
prefilter.cc, with runs instead of a tree). Pure; linear in the pattern.

Sound means: whenever the pattern is found in a text, folded(text) holds one of its segments.
"""

from __future__ import annotations

import re
import string
from collections.abc import Collection
from functools import lru_cache
from math import log2
from typing import Final, NamedTuple

from processor.patterns.pieces import IN_CLASS, PIECE
from processor.patterns.syntax import to_re2

Segment = tuple[str, ...]
"""Of each place the characters it may have: one, or several that are all ASCII; never NUL."""

Alternatives = tuple[Segment, ...]
"""One of them must be there; never empty."""

LONG_S: Final = "\u017f"
KELVIN: Final = "\u212a"

LEAST_WEIGHT: Final = 2.5
"""What weighs less is in most texts, so that looking for it tells little: `at`, `[0-9][0-9][0-9]`."""

LONGEST: Final = 32
"""Places kept of a segment: more tell nothing more."""

MOST_ALTERNATIVES: Final = 16
"""`(mon|tue|wed|…)` is worth looking for, a dictionary isn't."""

CHOICES: Final = 3
"""Of all that is certain of one pattern so much is kept: who looks for many patterns at once knows best which
of it is rare.
"""


def required_segments(source: str) -> tuple[Alternatives, ...]:
    """For a pattern in Go's syntax: sets of segments of each of which a text must hold one, the best first.

    Empty where nothing worth looking for is certain. Raises PatternError where Go refuses the pattern.
    """
    return _Reader(to_re2(source)).run()


def folded(text: str) -> str:
    """The text in which segments are looked for: Go's `(?i)` takes two characters outside ASCII for letters
    within. No segment holds either of them.
    """
    if text.isascii() or not (LONG_S in text or KELVIN in text):
        return text
    return text.replace(LONG_S, "s").replace(KELVIN, "k")


@lru_cache(maxsize=4_096)
def weight(segment: Segment) -> float:
    """How much a segment tells: 1 for a place with one character, less for several, 0 for all of ASCII."""
    return sum(1.0 if len(place) == 1 else 1 - log2(len(place)) / 7 for place in segment)


MEMBERS: Final = {
    "\\d": string.digits,
    "\\s": "\t\n\f\r ",
    "\\w": string.ascii_letters + string.digits + "_",
    "[:digit:]": string.digits,
    "[:alpha:]": string.ascii_letters,
    "[:alnum:]": string.ascii_letters + string.digits,
}
"""What classes hold; of those that are not here it isn't told."""


class Part(NamedTuple):
    """What is certain of a text that matches a part of a pattern.

    exact: the whole of it, if that is one segment. first, last: what it begins and ends with (perhaps
    nothing). needed: of each of these sets one segment is somewhere in it; the best first.
    """

    exact: Segment | None = None
    first: Segment = ()
    last: Segment = ()
    needed: tuple[Alternatives, ...] = ()

    def then(self, behind: Part) -> Part:
        """This part and `behind`, side by side."""
        if self.exact == ():
            return behind
        if behind.exact == ():
            return self
        if self.exact is not None and behind.exact is not None:
            return _exactly(self.exact + behind.exact)
        first = self.first if self.exact is None else self.exact + behind.first
        last = behind.last if behind.exact is None else self.last + behind.exact
        middle = self.last + behind.first
        certain = {*self.needed, *behind.needed, *((_tail(one),) for one in (first, middle, last) if one)}
        return Part(None, first[:LONGEST], _tail(last), _best(certain))

    def repeated(self, least: int, most: int | None) -> Part:
        """The same under a repetition."""
        if self.exact == ():
            return self
        if least == 0:
            return UNKNOWN
        if self.exact is None:
            return self
        copies = _exactly(self.exact * min(least, LONGEST // len(self.exact) + 1))
        return copies if least == most else copies._replace(exact=None)

    def otherwise(self, other: Part) -> Part:
        """Either of the two."""
        if self == other:
            return self
        if not self.needed or not other.needed:
            return UNKNOWN
        both = tuple(dict.fromkeys(self.needed[0] + other.needed[0]))
        return Part(needed=(both,)) if len(both) <= MOST_ALTERNATIVES else UNKNOWN


UNKNOWN: Final = Part()
"""Anything, perhaps nothing."""

NOTHING: Final = Part(exact=())
"""The empty text: an assertion, an empty branch."""


def _exactly(segment: Segment) -> Part:
    """Of what is longer than LONGEST only the ends are kept."""
    if len(segment) > LONGEST:
        return Part(None, segment[:LONGEST], _tail(segment), ((_tail(segment),),))
    return Part(segment, segment, segment, ((segment,),) if segment else ())


def _tail(segment: Segment) -> Segment:
    return segment[-LONGEST:]


def _best(certain: Collection[Alternatives]) -> tuple[Alternatives, ...]:
    best: list[Alternatives] = []
    for needed in sorted(certain, key=_worth, reverse=True) if len(certain) > 1 else certain:
        if not (len(needed) == 1 and any(_holds(better, needed[0]) for better in best)):
            best.append(needed)
            if len(best) == CHOICES:
                break
    return tuple(best)


def _holds(better: Alternatives, segment: Segment) -> bool:
    """Whether `segment` is a part of each of `better`, and so says nothing more."""
    length, first = len(segment), segment[0]
    return all(
        any(
            other[at] == first and other[at : at + length] == segment for at in range(len(other) - length + 1)
        )
        for other in better
    )


def _worth(needed: Alternatives) -> tuple[float, int, Alternatives]:
    """The heavier the rarer; fewer alternatives are rarer, too. (The last only makes the order certain.)"""
    return min(weight(segment) for segment in needed), -len(needed), needed


class _Reader:
    """Reads RE2's spelling from left to right. Used once."""

    def __init__(self, re2_source: str) -> None:
        self._source = re2_source
        self._groups = [_Group(caseless=False)]

    def run(self) -> tuple[Alternatives, ...]:
        for piece in PIECE.finditer(self._source):
            self._piece(piece)
        needed = self._groups[0].closed().needed
        return tuple(one for one in needed if _worth(one)[0] >= LEAST_WEIGHT)

    def _piece(self, piece: re.Match[str]) -> None:
        kind, text = piece.lastgroup, piece[0]
        if kind == "hex":
            self._append(self._character(int(piece["hex"], 16)))
        elif kind == "unicode":
            self._append(UNKNOWN)
        elif kind == "escape":
            self._escape(piece["escape"])
        elif kind == "flags":
            self._flags(piece)
        elif kind == "class":
            self._append(self._class(text))
        elif kind == "count":
            least = int(piece["least"])
            most = least if not piece["comma"] else int(piece["most"]) if piece["most"] else None
            self._groups[-1].repeat(least, most)
        elif kind == "repeat":
            self._groups[-1].repeat(1 if text[0] == "+" else 0, 1 if text[0] == "?" else None)
        else:
            self._char(text)

    def _char(self, char: str) -> None:
        if char == "(":
            self._groups.append(_Group(caseless=self._groups[-1].caseless))
        elif char == ")":
            closed = self._groups.pop().closed()
            self._append(closed)
        elif char == "|":
            self._groups[-1].branch()
        elif char == ".":
            self._append(UNKNOWN)
        elif char in "^$":
            self._append(NOTHING)
        else:
            self._append(self._character(ord(char)))

    def _escape(self, char: str) -> None:
        if char in "AbBz":
            self._append(NOTHING)
        elif char.isalpha():
            self._append(self._one_of(MEMBERS.get(f"\\{char}")))
        else:
            self._append(self._character(ord(char)))

    def _flags(self, piece: re.Match[str]) -> None:
        caseless = (self._groups[-1].caseless or "i" in piece["on"]) and "i" not in (piece["off"] or "")
        if piece["flags"] == ":":
            self._groups.append(_Group(caseless=caseless))
        else:
            self._groups[-1].caseless = caseless

    def _class(self, text: str) -> Part:
        if text.startswith("[^"):
            return UNKNOWN
        members: list[str | None] = []
        parts = [part[0] for part in IN_CLASS.finditer(text[1:-1])]
        while parts:
            part = parts.pop(0)
            if len(part) > 1 and part in MEMBERS:
                members.append(MEMBERS[part])
            elif len(parts) > 1 and parts[0] == "-":
                members.append(_range(part, parts[1]))
                del parts[:2]
            else:
                members.append(_range(part, part))
        known = [one for one in members if one is not None]
        return self._one_of("".join(known) if len(known) == len(members) else None)

    def _character(self, code: int) -> Part:
        char = chr(code)
        caseless = self._groups[-1].caseless
        if char == "\0":
            return UNKNOWN  # so that texts can be joined by it
        if char.isascii():
            return _exactly((char.lower() + char.upper(),) if caseless and char.isalpha() else (char,))
        if caseless or char in (LONG_S, KELVIN):
            return UNKNOWN  # its other cases are not looked for
        return _exactly((char,))

    def _one_of(self, chars: str | None) -> Part:
        """None: what they are isn't told."""
        if not chars or not chars.isascii() or "\0" in chars:
            return UNKNOWN
        if self._groups[-1].caseless:
            chars += chars.swapcase()
        return _exactly(("".join(sorted(set(chars))),))

    def _append(self, part: Part) -> None:
        self._groups[-1].append(part)


def _range(low: str, high: str) -> str | None:
    """The characters from one part of a class to another, if that is what they are and all are ASCII."""
    first, last = _code(low), _code(high)
    if first is None or last is None or last > 0x7F:
        return None
    return "".join(map(chr, range(first, last + 1)))


def _code(part: str) -> int | None:
    if len(part) == 1:
        return ord(part)
    if part.startswith("\\x{"):
        return int(part[3:-1], 16)
    return ord(part[1]) if len(part) == 2 and not part[1].isalnum() else None


class _Group:
    __slots__ = ("_before", "_branch", "_last", "_run", "caseless")

    def __init__(self, *, caseless: bool) -> None:
        self.caseless = caseless
        self._before: Part | None = None  # the branches that have ended
        self._branch = NOTHING
        self._run = NOTHING  # behind the branch, and exact: most parts are, and are cheap to add
        self._last = NOTHING  # a repetition would apply to this, so it isn't part of the run yet

    def append(self, part: Part) -> None:
        self._take_last()
        self._last = part

    def repeat(self, least: int, most: int | None) -> None:
        self._last = self._last.repeated(least, most)

    def branch(self) -> None:
        self._before = self.closed()
        self._branch = self._run = self._last = NOTHING

    def closed(self) -> Part:
        self._take_last()
        ended = self._branch.then(self._run)
        return ended if self._before is None else self._before.otherwise(ended)

    def _take_last(self) -> None:
        run = self._run.then(self._last)
        self._last = NOTHING
        if run.exact is None:
            self._branch, self._run = self._branch.then(run), NOTHING
        else:
            self._run = run
