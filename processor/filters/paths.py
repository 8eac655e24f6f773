"""Where a field is in an event.

A path is a list of names. Where an object has a member whose name holds dots, as `log.level`, that member is
taken before nested objects which could also be meant, the longest name first. Arrays on the way are looked
into, arrays in arrays too. What is found are leaves: values that are neither objects nor arrays.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any


class Path:
    """One path. Immutable."""

    __slots__ = ("_ways", "names")

    def __init__(self, names: tuple[str, ...]) -> None:
        self.names = names
        ends = range(len(names), 0, -1)
        # For each position: the member's name, and the position it leads to; the longest name first.
        self._ways = tuple(
            tuple((".".join(names[start:end]), end) for end in ends if end > start)
            for start in range(len(names))
        )

    def leaves(self, document: Mapping[str, Any]) -> Iterator[Any]:
        """The values at this path, in the order of the event."""
        return self._leaves(document, 0)

    def has_leaf(self, document: Mapping[str, Any]) -> bool:
        """Whether there is any."""
        value: Any = document
        at, end = 0, len(self._ways)
        while type(value) is dict and at < end:  # most paths meet no array and need no list of what is left
            for key, leads_to in self._ways[at]:
                if key in value:
                    value, at = value[key], leads_to
                    break
            else:
                return False
        return next(map(_there, self._leaves(value, at)), False)

    def _leaves(self, value: Any, at: int) -> Iterator[Any]:
        waiting: list[tuple[Any, int]] = [(value, at)]
        while waiting:
            value, at = waiting.pop()
            if isinstance(value, list):
                waiting += ((element, at) for element in reversed(value))
            elif isinstance(value, Mapping):
                for key, end in self._ways[at] if at < len(self._ways) else ():
                    if key in value:
                        waiting.append((value[key], end))
                        break
            elif at == len(self._ways):
                yield value

    def __str__(self) -> str:
        shown = ".".join(self.names)
        return shown if shown.isprintable() else ascii(shown)[1:-1]


def _there(_: object) -> bool:
    return True
