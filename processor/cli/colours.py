"""Colours, and only on a terminal: diffs for people, never an escape sequence in a file or a pipe."""

import os
from collections.abc import Iterable, Iterator, Mapping
from typing import Final, TextIO

_RESET: Final = "\x1b[0m"
_OF_DIFF: Final = (("+++", "1"), ("---", "1"), ("@@", "36"), ("+", "32"), ("-", "31"))
"""How a line begins, and the SGR parameters of its colour (ECMA-48, 8.3.117)."""


def wants_colours(stream: TextIO, environ: Mapping[str, str] = os.environ) -> bool:
    """Whether the stream is a terminal that shows colours, and nobody has set NO_COLOR (no-color.org)."""
    return stream.isatty() and not environ.get("NO_COLOR") and environ.get("TERM") != "dumb"


def coloured_diff(lines: Iterable[str]) -> Iterator[str]:
    """The lines of a unified diff in its usual colours: added green, removed red."""
    for line in lines:
        sgr = next((sgr for start, sgr in _OF_DIFF if line.startswith(start)), None)
        yield line if sgr is None else f"\x1b[{sgr}m{line}{_RESET}"
