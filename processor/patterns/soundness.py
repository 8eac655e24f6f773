"""What Hyperscan may propose: patterns in a spelling of which it misses no match.

Hyperscan is only asked for candidates, google-re2 confirms each. So it may find too much, but never too
little, on any text in UTF-8. Its syntax is that of PCRE, its classes are those of C. `hyperscan_form` writes
a pattern so that Hyperscan finds at least what Go finds: what differs is spelled out, and what can't be is
widened, which is sound since nothing in Go's syntax negates more than one character:

- a class that depends on Unicode's tables, by name or under (?i), takes any character that it might;
- an assertion that Hyperscan would read more narrowly, or refuses, holds everywhere;
- high repeat counts, which take it minutes, become low ones without an end.

This is about patterns only: whoever writes events must not be able to choose, by what their text holds, how
much it costs to match them. Compared with Go and google-re2 on generated patterns and texts by the tests.
"""

import re
from typing import Final, NamedTuple

from processor.patterns.pattern import Pattern
from processor.patterns.pieces import IN_CLASS, PIECE

MAX_LENGTH: Final = 400  # characters of the pattern; more can take Hyperscan minutes to compile
MAX_COUNT: Final = 200  # of a repetition, times those it is in; likewise
MAX_SOURCE: Final = 14_000  # characters of what is written here; Hyperscan's own limit is 16,000
_KEPT_COUNT: Final = 20

_ASSERTIONS = frozenset(["^", "$", "\\A", "\\z", "\\b", "\\B"])
_EMPTY = "(?:)"
_ANY = "[\\x{0}-\\x{10ffff}]"
# Under (?i), U+212A is also k and U+017F is also s; Hyperscan folds ASCII only. No other character outside
# ASCII is equal to one inside.
_FOLDED = {"k": "[k\\x{212a}]", "s": "[s\\x{17f}]"}
_KELVIN_AND_LONG_S = "\\x{212a}\\x{17f}"
_WHATEVER_FOLDS_OUTSIDE_ASCII = "ks\\x{80}-\\x{10ffff}"
_SPACE = "\\x{9}\\x{a}\\x{c}\\x{d}\\x{20}"  # Go's \s; C's has U+000B too
_NOT_SPACE = "\\x{0}-\\x{8}\\x{b}\\x{e}-\\x{1f}\\x{21}-\\x{10ffff}"


class Form(NamedTuple):
    """What hyperscan_form gives: either `source`, for Hyperscan, or the `reason` why there is none."""

    source: str | None
    reason: str | None


def hyperscan_form(pattern: Pattern, *, widened: bool = False) -> Form:
    """The spelling in which Hyperscan finds whatever Go finds, under the flags that database.py uses. Pure.

    Hyperscan refuses assertions where it can't place them, and many copies of many-byte characters: `widened`
    is for what it refused. It may still refuse what comes out.
    """
    if len(pattern.source) > MAX_LENGTH:
        return Form(None, f"more than {MAX_LENGTH} characters")
    source = _Writer(pattern, widened).run()
    if len(source) > MAX_SOURCE:
        return Form(None, "too long when spelled out")
    return Form(source, None)


class _Writer:
    """Reads RE2's spelling from left to right and writes Hyperscan's. Used once."""

    def __init__(self, pattern: Pattern, widened: bool) -> None:
        self._pattern = pattern
        self._widened = widened
        self._out: list[str] = []
        self._operand = 0  # where in the output the last one begins
        self._copies = 1  # of the innermost thing in it, by the counts so far
        self._most_copies = 1  # of all operands of the group so far
        self._groups: list[tuple[int, int, bool, bool]] = []  # where each begins; outside: copies and flags
        self._caseless = self._multiline = False

    def run(self) -> str:
        for piece in PIECE.finditer(self._pattern.re2_source):
            self._piece(piece)
        return "".join(self._out)

    def _piece(self, piece: re.Match[str]) -> None:
        kind, text = piece.lastgroup, piece[0]
        if kind == "hex":
            self._literal(int(piece["hex"], 16), text)
        elif kind == "unicode":
            self._write(_ANY)
        elif kind == "escape":
            self._escape(piece["escape"], text)
        elif kind == "flags":
            self._flags(piece)
        elif kind == "class":
            self._class(text)
        elif kind == "count":
            least = int(piece["least"])
            most = least if not piece["comma"] else int(piece["most"]) if piece["most"] else None
            self._repeat(least, most, text)
        elif kind == "repeat":
            self._repeat(1 if text[0] == "+" else 0, 1 if text[0] == "?" else None, text)
        else:
            self._char(text)

    def _write(self, text: str) -> None:
        self._operand, self._copies = len(self._out), 1
        self._out.append(text)

    def _literal(self, code: int, text: str) -> None:
        if not self._caseless:
            self._write(text)
        elif code > 0x7F:
            self._write(f"[{_WHATEVER_FOLDS_OUTSIDE_ASCII}]")
        else:
            self._write(_FOLDED.get(chr(code).lower(), text))

    def _escape(self, char: str, text: str) -> None:
        if text in _ASSERTIONS:
            self._assertion(text)
        elif char == "s":
            self._write(f"[{_SPACE}]")
        elif char == "S":
            self._write(f"[^{_SPACE}]")
        elif char == "w" and self._caseless:
            self._write(f"[\\w{_KELVIN_AND_LONG_S}]")
        else:
            self._write(text)

    def _char(self, char: str) -> None:
        if char == "(":
            self._open("(")
        elif char == ")":
            self._copies = self._most_copies
            self._operand, outside, self._caseless, self._multiline = self._groups.pop()
            self._most_copies = max(outside, self._copies)
            self._out.append(char)
        elif char == "|":
            self._out.append(char)
        elif char in _ASSERTIONS:
            self._assertion(char)
        elif char == ".":
            self._write(char)
        else:
            self._literal(ord(char), char)

    def _assertion(self, text: str) -> None:
        narrow = text == "^" and self._multiline and not self._begins_filled_lines()
        self._write(_EMPTY if narrow or self._widened else text)

    def _begins_filled_lines(self) -> bool:
        """Under (?m), Go finds ^ also behind the newline that ends a text. Hyperscan doesn't, which matters
        unless more must follow.
        """
        return self._out == ["(?m)"] and not self._pattern.search("")

    def _open(self, text: str) -> None:
        self._groups.append((len(self._out), self._most_copies, self._caseless, self._multiline))
        self._most_copies = 1
        self._out.append(text)

    def _flags(self, piece: re.Match[str]) -> None:
        on, off = piece["on"], piece["off"] or ""
        if piece["flags"] == ":":
            self._open(piece[0])
        else:
            self._out.append(piece[0])
        self._caseless = (self._caseless or "i" in on) and "i" not in off
        self._multiline = (self._multiline or "m" in on) and "m" not in off

    def _repeat(self, least: int, most: int | None, text: str) -> None:
        """Hyperscan refuses to repeat an assertion, or anything no times."""
        if most == 0 or (least == 0 and self._out[self._operand] in _ASSERTIONS):
            self._out[self._operand :] = [_EMPTY]
        elif self._out[self._operand] in _ASSERTIONS:
            pass
        else:
            highest = _KEPT_COUNT if self._widened else MAX_COUNT
            count = max(least, most or 0, 1)
            if count * self._copies > highest:
                count = min(least, max(1, _KEPT_COUNT // self._copies))
                text = f"{{{count},}}"
            self._out.append(text)
            self._copies *= max(count, 1)
            self._most_copies = max(self._most_copies, self._copies)

    def _class(self, text: str) -> None:
        negated = text.startswith("[^")
        inside = text[2:-1] if negated else text[1:-1]
        unicode, twice_negated, beyond_ascii = False, False, False
        for part in IN_CLASS.finditer(inside):
            name, code, char = part[0], part[1], part[2]
            unicode = unicode or name.startswith(("\\p", "\\P"))
            twice_negated = twice_negated or name in ("\\W", "\\S", "\\D") or name.startswith("[:^")
            beyond_ascii = beyond_ascii or bool(char and char > "\x7f") or bool(code and int(code, 16) > 0x7F)
        if unicode or (self._caseless and negated and (twice_negated or beyond_ascii)):
            self._write(_ANY)
            return
        inside = inside.replace("\\s", _SPACE).replace("\\S", _NOT_SPACE)
        if self._caseless and not negated:
            inside += _WHATEVER_FOLDS_OUTSIDE_ASCII if beyond_ascii else _KELVIN_AND_LONG_S
        self._write(f"[{'^' if negated else ''}{inside}]")
