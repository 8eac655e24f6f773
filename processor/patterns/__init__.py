"""Patterns: Go's regexp syntax and meaning, for one pattern or for thousands at once.

What this package decides: whether a pattern is accepted (only if Go's `regexp.Compile` accepts it and RE2
gives the same answers) and whether it is found in a text. What it never does: know rules or events, or search
in anything but linear time.

One pattern: start at `compile_pattern`; syntax.py reads Go's grammar and rewrites what RE2 reads otherwise,
escapes.py and unicode_classes.py read its smallest parts, measure.py keeps the limits of Go's parser.

Many patterns, found at once: `FilteredSet` (google-re2, at hand in milliseconds) gives what is found.
`Database` (Hyperscan, at a price that doesn't depend on what the text and the patterns have in common) gives
what may be found, `Confirmers` what is. A `Compiler` makes databases in another process and says what it left
to a FilteredSet; a `DatabaseCache` keeps them. soundness.py writes patterns so that Hyperscan misses nothing.
"""

from processor.patterns.cache import DatabaseCache
from processor.patterns.compiling import Compiled, CompileLimits, Compiler
from processor.patterns.confirmers import Confirmers
from processor.patterns.database import Database, compile_serialised, why_no_hyperscan
from processor.patterns.errors import (
    CacheError,
    CompilerClosedError,
    DatabaseError,
    PatternError,
    RefusedByHyperscanError,
)
from processor.patterns.filtered import FilteredSet
from processor.patterns.pattern import Pattern, compile_pattern
from processor.patterns.soundness import hyperscan_form

__all__ = [
    "CacheError",
    "CompileLimits",
    "Compiled",
    "Compiler",
    "CompilerClosedError",
    "Confirmers",
    "Database",
    "DatabaseCache",
    "DatabaseError",
    "FilteredSet",
    "Pattern",
    "PatternError",
    "RefusedByHyperscanError",
    "compile_pattern",
    "compile_serialised",
    "hyperscan_form",
    "why_no_hyperscan",
]
