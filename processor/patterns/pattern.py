"""One compiled pattern."""

from collections.abc import Callable
from functools import lru_cache
from typing import Any, Final

import re2

from processor.patterns import errors
from processor.patterns.errors import PatternError
from processor.patterns.syntax import to_re2

# In bytes of UTF-8. Also what keeps Go's limit on the ranges of all character classes out of reach.
MAX_PATTERN_BYTES: Final = 64 << 10

# RE2's words for what is left to it to refuse.
_UNKNOWN_CLASS = "invalid character class range"
_TOO_LARGE = "pattern too large"

# `é` is two bytes: RE2 also looks for an empty match between them, Go never does.
_INSIDE_A_LETTER = "aéa"


# What RE2 may use for a compiled pattern and the states it finds while searching. The first is enough for
# almost all and keeps many of them cheap. Programs of so many instructions as `.{100}` has get the second,
# RE2's own default, which also decides what is accepted: where there is no room for the states, searching
# is a thousand times slower, if still linear.
USUAL_MEMORY: Final = 128 << 10
MOST_MEMORY: Final = 8 << 20
_USUAL_PROGRAM: Final = 300


Search = Callable[[bytes], bool]


class Pattern:
    """An accepted pattern. Immutable; usable from any thread.

    Compiled when first searched with, and from then on kept so. Whoever has thousands of them searches with
    Confirmers instead.
    """

    __slots__ = ("_search", "memory", "re2_source", "source")

    def __init__(self, source: str, re2_source: str, memory: int) -> None:
        """`re2_source`: what to_re2 made of `source`, known to compile; `memory`: bytes RE2 may use."""
        self.source = source
        self.re2_source = re2_source
        self.memory = memory
        self._search: Search | None = None

    def search(self, text: str) -> bool:
        """Whether the pattern is found anywhere in `text`, in time linear in its length.

        Raises UnicodeEncodeError if `text` holds a lone surrogate, which no decoded event does.
        """
        return self.search_utf8(text.encode())

    def search_utf8(self, text: bytes) -> bool:
        """The same on valid UTF-8."""
        if self._search is None:
            self._search = self.compiled()
        return self._search(text)

    def compiled(self) -> Search:
        """A function that tells whether google-re2 finds the pattern in bytes of UTF-8."""
        return _search_function(self.re2_source.encode(), self.memory)

    def __repr__(self) -> str:
        return f"Pattern({self.source!r})"


def add_to_filter(filtered: Any, pattern: Pattern) -> None:
    """Adds the pattern to a re2.Filter, with the memory it needs."""
    filtered.Add(pattern.re2_source.encode(), _options(pattern.memory))


@lru_cache(maxsize=16_384)  # a rule's pattern is checked when it is read, and asked for again when it is used
def compile_pattern(source: str) -> Pattern:
    """Checks Go's regexp syntax; what is compiled for that isn't kept.

    Raises PatternError if Go's `regexp.Compile` refuses the pattern, or google-re2 can't give its answers.
    """
    if len(source) > MAX_PATTERN_BYTES or len(source.encode(errors="replace")) > MAX_PATTERN_BYTES:
        raise PatternError(errors.TOO_LARGE, source, f"use at most {MAX_PATTERN_BYTES} bytes")
    re2_source = to_re2(source)
    try:
        compiled = re2.compile(re2_source.encode(), _options(MOST_MEMORY))
    except re2.error as error:
        raise _refused_by_re2(source, error) from None
    if "\\B" in re2_source and compiled.search(_INSIDE_A_LETTER):
        advice = "RE2 finds the empty text inside letters outside ASCII: put a character before or behind it"
        raise PatternError(errors.UNSUPPORTED_ASSERTION, "\\B", advice)
    memory = USUAL_MEMORY if compiled.programsize <= _USUAL_PROGRAM else MOST_MEMORY
    return Pattern(source, re2_source, memory)


def _search_function(source: bytes, memory: int) -> Search:
    # The extension's own object: the wrapper's search() goes through a generator and a match object, which
    # takes as long as the search.
    match = re2.compile(source, _options(memory))._regexp.Match
    anywhere = re2._Anchor.UNANCHORED
    return lambda text: bool(match(anywhere, text, 0, len(text))[0][0] >= 0)


def _options(memory: int) -> Any:
    options = re2.Options()
    options.max_mem = memory
    options.log_errors = False  # else each refusal is printed on stderr too
    options.never_capture = True  # only whether it matches is asked, and that is cheaper
    return options


def _refused_by_re2(source: str, error: Exception) -> PatternError:
    text = error.args[0]
    message = text.decode(errors="replace") if isinstance(text, bytes) else str(text)
    kind, _, part = message.partition(": ")
    if kind == _UNKNOWN_CLASS:
        return PatternError(errors.INVALID_CLASS_RANGE, part)
    if kind.startswith(_TOO_LARGE):
        return PatternError(errors.TOO_LARGE, source, "use smaller repeat counts or fewer Unicode classes")
    return PatternError(kind, part or source)
