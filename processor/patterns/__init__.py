"""Patterns: Go's regexp syntax and meaning, for one pattern or for thousands at once.

What this package decides: whether a pattern is accepted (only if Go's `regexp.Compile` accepts it and RE2
gives the same answers) and whether it is found in a text. What it never does: know rules or events, or search
in anything but linear time.

One pattern: start at `compile_pattern`; syntax.py reads Go's grammar and rewrites what RE2 reads otherwise,
escapes.py and unicode_classes.py read its smallest parts, measure.py keeps the limits of Go's parser.

Many patterns: `Database` (Hyperscan) says which may be found, `Confirmers` (google-re2) which are.
soundness.py writes a pattern so that Hyperscan misses nothing.
"""

from processor.patterns.confirmers import Confirmers
from processor.patterns.database import Database, compile_serialised, why_no_hyperscan
from processor.patterns.errors import DatabaseError, PatternError, RefusedByHyperscanError
from processor.patterns.pattern import Pattern, compile_pattern
from processor.patterns.soundness import hyperscan_form

__all__ = [
    "Confirmers",
    "Database",
    "DatabaseError",
    "Pattern",
    "PatternError",
    "RefusedByHyperscanError",
    "compile_pattern",
    "compile_serialised",
    "hyperscan_form",
    "why_no_hyperscan",
]
