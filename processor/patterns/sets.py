"""Many patterns at once, compiled in this process, which waits for it."""

from __future__ import annotations

from collections.abc import Sequence

from processor.patterns.database import Database, compile_serialised, refused_by_hyperscan
from processor.patterns.gate import Gate, compile_gate, plan_gate
from processor.patterns.pattern import compile_pattern
from processor.patterns.segments import required_segments
from processor.patterns.soundness import hyperscan_form


class SetCompiler:
    """What matching/building.py wants of a compiler."""

    def segments(self, sources: Sequence[str], sample: Sequence[bytes] = ()) -> tuple[Gate, frozenset[int]]:
        """A gate for the patterns with these sources (Go's syntax), by their positions, and which have no
        segment.
        """
        wanted = [(number, required_segments(source)) for number, source in enumerate(sources)]
        plan = plan_gate([one for one in wanted if one[1]], sample)
        gate = Gate(compile_gate(plan.segments), plan.members)
        return gate, frozenset(number for number, sets in wanted if not sets)

    def wholes(self, sources: Sequence[str], numbers: Sequence[int]) -> tuple[Database, frozenset[int]]:
        """A database of the patterns with these sources as `numbers`, and those that it can't hold."""
        forms = [hyperscan_form(compile_pattern(source)).source for source in sources]
        fit = [(number, form) for number, form in zip(numbers, forms, strict=True) if form is not None]
        refused = refused_by_hyperscan([form for _, form in fit])
        kept = [one for place, one in enumerate(fit) if place not in refused]
        names = [number for number, _ in kept]
        database = Database(compile_serialised([form for _, form in kept]), names)
        return database, frozenset(numbers).difference(names)
