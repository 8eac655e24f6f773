"""How large and how deep Go's parser would find an expression, counted while scanning, without a tree.

Go refuses an expression of which the compiled form or the height of the syntax tree passes a limit, RE2 has
other limits: so that nothing is accepted here which Go refuses, both are bounded from above. Size and height
are those of `calcSize` and `calcHeight` in Go's regexp/syntax/parse.go; Go merges and factors nodes, which
only makes its tree smaller, or higher by what `_factored` allows for.
"""

from dataclasses import dataclass
from math import isqrt

MAX_SIZE = (128 << 20) // (5 * 8)  # Go's maxSize, in instructions
MAX_HEIGHT = 1000  # Go's maxHeight
MAX_COPIES = 1000  # of the innermost thing, over all nested counts


@dataclass(slots=True)
class Extent:
    """Upper bounds of one subexpression: instructions, height of its tree, copies by nested repeat counts."""

    size: int = 1
    height: int = 1
    copies: int = 1

    def repeated(self, least: int, most: int | None) -> "Extent":
        """The same under a repetition; `most` None is unlimited."""
        if most is None:
            size = 2 + self.size if least == 0 else 1 + least * self.size
        else:
            size = most * self.size + (most - least)
        count = least if most is None else most
        return Extent(max(1, size), self.height + 1, self.copies * max(1, count))


class Measure:
    """The extent of one group (or the whole expression) while its parts arrive from left to right."""

    __slots__ = (
        "_atoms",
        "_branch_atoms",
        "_branches",
        "_copies",
        "_height",
        "_longest",
        "_size",
        "capture",
        "last",
    )

    def __init__(self, *, capture: bool) -> None:
        self.capture = capture
        self.last: Extent | None = None  # what a repetition here would apply to
        self._size = 0
        self._height = 1
        self._copies = 1
        self._branches = 1
        self._branch_atoms = 0
        self._longest = 0
        self._atoms = 0

    def append(self, extent: Extent) -> None:
        """One more operand in the current branch."""
        self.last = extent
        self._size += extent.size
        self._branch_atoms += 1
        self._atoms += 1
        self._include(extent)

    def repeat_last(self, least: int, most: int | None) -> Extent:
        """Puts the last operand (there must be one) under a repetition and gives its new extent."""
        if self.last is None:
            raise LookupError("nothing to repeat")
        before, after = self.last, self.last.repeated(least, most)
        self._size += after.size - before.size
        self.last = after
        self._include(after)
        return after

    def next_branch(self) -> None:
        """A vertical bar: what follows starts anew."""
        self.last = None
        self._longest = max(self._longest, self._branch_atoms)
        self._branch_atoms = 0
        self._branches += 1
        self._size += 1  # an empty branch counts, and so does the choice

    def close(self) -> Extent:
        """The extent of the group as one operand of what holds it."""
        self._longest = max(self._longest, self._branch_atoms)
        size = max(1, self._size) + self._branches - 1 + (2 if self.capture else 0)
        height = self._height + 1 + self._factored() + (1 if self.capture else 0)
        return Extent(size, height, self._copies)

    def _include(self, extent: Extent) -> None:
        self._height = max(self._height, extent.height)
        self._copies = max(self._copies, extent.copies)

    def _factored(self) -> int:
        """Levels that an alternation adds: one, and two for each common prefix that Go takes out of a branch.

        A chain of n prefixes needs n branches, one of them n long, and n²/2 operands altogether.
        """
        if self._branches == 1:
            return 0
        return 1 + 2 * min(self._branches - 1, self._longest, isqrt(2 * self._atoms) + 1)
