"""Compiles shards in the test's own process, which is faster for a few rules than a child is."""

from collections.abc import Sequence

from processor.patterns import Database, FilteredSet, compile_pattern, hyperscan_form
from processor.patterns.compiler_child import together
from processor.patterns.gate import Gate, compile_gate
from processor.patterns.sets import PatternSet


class CompilerHere:
    """As patterns.sets.SetCompiler, with what its compiler's child does."""

    def segments(self, sources: Sequence[str], sample: Sequence[bytes]) -> tuple[Gate | None, frozenset[int]]:
        compiled = compile_gate(sources, sample)
        return (Gate(compiled) if compiled.members else None), compiled.without

    def wholes(self, sources: Sequence[str], numbers: Sequence[int]) -> PatternSet:
        patterns = [compile_pattern(source) for source in sources]
        forms = {
            at: (plain, wide)
            for at, pattern in enumerate(patterns)
            if (plain := hyperscan_form(pattern).source) is not None
            and (wide := hyperscan_form(pattern, widened=True).source) is not None
        }
        refused, serialised = together(list(forms.values()))
        places = [at for place, at in enumerate(forms) if place not in refused]
        others = [at for at in range(len(patterns)) if at not in places]
        filtered = FilteredSet([patterns[at] for at in others], [numbers[at] for at in others])
        return PatternSet(Database(serialised, [numbers[at] for at in places]), filtered)
