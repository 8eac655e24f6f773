"""Text with `*` for any run of characters, found without going back: in time linear in the text.

`\\*` is an asterisk and `\\\\` a backslash (as in event-ruler, which refuses any other escape and `**`).
"""

from __future__ import annotations

from collections.abc import Callable

from processor.filters.errors import FilterError, Place


def compile_wildcard(pattern: str, place: Place) -> Callable[[str], bool]:
    """A test of whole texts. Raises FilterError."""
    first, *rest = _pieces(pattern, place)
    if not rest:
        return first.__eq__
    *middle, last = rest
    inner = tuple(middle)
    least = len(first) + len(last)

    def test(text: str) -> bool:
        if len(text) < least or not text.startswith(first) or not text.endswith(last):
            return False
        # The leftmost place for each piece leaves the most room for the next: no other need be tried.
        at, end = len(first), len(text) - len(last)
        for piece in inner:
            at = text.find(piece, at, end)
            if at < 0:
                return False
            at += len(piece)
        return True

    return test


def _pieces(pattern: str, place: Place) -> list[str]:
    """What stands between the wildcards, unescaped."""
    pieces = [""]
    characters = iter(enumerate(pattern))
    previous = -2
    for n, character in characters:
        if character == "*":
            if previous == n - 1:
                raise FilterError(f"two wildcards in a row at character {n}; write one", place)
            previous = n
            pieces.append("")
            continue
        if character == "\\":
            _, character = next(characters, (n, ""))
            if character not in ("*", "\\"):
                raise FilterError(
                    f"\\ at character {n} must stand before * or \\; a backslash itself is \\\\", place
                )
        pieces[-1] += character
    return pieces
