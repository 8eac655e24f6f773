"""One escape of Go's regexp syntax: `parseEscape` and `parseUnicodeClass` of Go's regexp/syntax/parse.go."""

import re

from processor.patterns import errors
from processor.patterns.errors import PatternError
from processor.patterns.unicode_classes import re2_class_name

_CONTROL = {"a": 7, "f": 12, "n": 10, "r": 13, "t": 9, "v": 11}
_HEX = frozenset("0123456789abcdefABCDEF")
_OCTAL = re.compile(r"0[0-7]{0,2}|[1-7][0-7]{1,2}")
_MAX_CODE_POINT = 0x10FFFF


def read_escape(source: str, at: int) -> tuple[int, int]:
    """The code point that the escape at `source[at]` (a backslash) stands for, and the index behind it.

    Raises PatternError for an escape unknown to Go, and for surrogates: Go, not RE2, finds them in U+FFFD.
    """
    if at + 1 >= len(source):
        raise PatternError(errors.TRAILING_BACKSLASH, "")
    char = source[at + 1]
    if octal := _OCTAL.match(source, at + 1):
        return int(octal[0], 8), octal.end()
    if char == "x":
        return _hexadecimal(source, at)
    if char in _CONTROL:
        return _CONTROL[char], at + 2
    if char.isascii() and not char.isalnum():
        return ord(char), at + 2
    raise PatternError(errors.INVALID_ESCAPE, source[at : at + 2])


def _hexadecimal(source: str, at: int) -> tuple[int, int]:
    if source.startswith("{", at + 2):
        digits, end, code = at + 3, at + 3, 0
        while end < len(source) and source[end] in _HEX:
            code = code * 16 + int(source[end], 16)
            end += 1
            if code > _MAX_CODE_POINT:
                raise PatternError(errors.INVALID_ESCAPE, source[at:end])
        if end == digits or not source.startswith("}", end):
            raise PatternError(errors.INVALID_ESCAPE, source[at : end + 1])
        end += 1
    else:
        end = at + 4
        if end > len(source) or not _HEX.issuperset(source[at + 2 : end]):
            raise PatternError(errors.INVALID_ESCAPE, source[at:end])
        code = int(source[at + 2 : end], 16)
    if 0xD800 <= code <= 0xDFFF:
        advice = "no text holds surrogates; for what replaces them use `\\x{FFFD}`"
        raise PatternError(errors.INVALID_ESCAPE, source[at:end], advice)
    return code, end


def read_unicode_class(source: str, at: int) -> tuple[str, int]:
    """The class at `source[at]` (`\\p` or `\\P`) in RE2's spelling, and the index behind it.

    Raises PatternError for what Go can't read and for classes that RE2 can't give Go's content. A name
    unknown to both stays in place: RE2 knows all names that Go knows, so it refuses the rest.
    """
    negative = source[at + 1] == "P"
    if source.startswith("{", at + 2):
        close = source.find("}", at)
        if close < 0:
            raise PatternError(errors.INVALID_CLASS_RANGE, source[at:])
        name, end = source[at + 3 : close], close + 1
    else:
        end = at + 3
        name = source[at + 2 : end]
    part = source[at:end]
    if name.startswith("^"):
        negative = not negative
        name = name[1:]
    known = re2_class_name(name, part)
    if not known or not known.isascii() or not known.isalpha():
        raise PatternError(errors.INVALID_CLASS_RANGE, part)
    return f"\\{'P' if negative else 'p'}{{{known}}}", end
