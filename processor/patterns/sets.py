"""Sets of patterns ready to be looked for, from what a Compiler makes in its child."""

from __future__ import annotations

from collections.abc import Sequence

from processor.patterns.compiling import Compiler
from processor.patterns.database import Database
from processor.patterns.filtered import FilteredSet
from processor.patterns.gate import Gate
from processor.patterns.pattern import compile_pattern


class PatternSet:
    """Says which patterns may be found in a text: those that a database holds, and those that it doesn't."""

    def __init__(self, database: Database, others: FilteredSet | None) -> None:
        self._database = database
        self._others = others

    def scan(self, text: bytes) -> list[int]:
        """The numbers of the patterns that may be found in `text` (UTF-8); each once, in no order."""
        found = self._database.scan(text)
        return found if self._others is None else found + self._others.scan(text)


class SetCompiler:
    """Makes gates and pattern sets with a compiler. Each call blocks until it is done."""

    def __init__(self, compiler: Compiler) -> None:
        self._compiler = compiler

    def segments(self, sources: Sequence[str], sample: Sequence[bytes]) -> tuple[Gate | None, frozenset[int]]:
        """A gate for the patterns with these sources (Go's syntax), by their positions, and which of them are
        not in it; None without any.
        """
        compiled = self._compiler.gate(sources, sample)
        if compiled is None or not compiled.members:
            return None, frozenset(range(len(sources)))
        return Gate(compiled), compiled.without

    def wholes(self, sources: Sequence[str], numbers: Sequence[int]) -> PatternSet:
        """A set of the patterns with these sources, as these numbers."""
        patterns = [compile_pattern(source) for source in sources]
        compiled = self._compiler.compile(patterns)
        database = Database(compiled.serialised, [numbers[at] for at in compiled.taken])
        if not compiled.refused:
            return PatternSet(database, None)
        refused = sorted(compiled.refused)
        others = FilteredSet([patterns[at] for at in refused], [numbers[at] for at in refused])
        return PatternSet(database, others)
