"""Patterns: Go's regexp syntax and meaning, run by google-re2.

What this package decides: whether a pattern is accepted (only if Go's `regexp.Compile` accepts it and RE2
gives the same answers) and whether it is found in a text. What it never does: know rules or events, or search
in anything but linear time. Start at `compile_pattern`; syntax.py reads Go's grammar and rewrites what RE2
reads otherwise, escapes.py and unicode_classes.py read its smallest parts, measure.py keeps the limits of
Go's parser.

The package works one pattern at a time. An engine for many patterns at once fits beside it:
`Pattern.re2_source` is what it would hand to a matcher of sets, `Pattern.search_utf8` what
confirms a candidate.
"""

from processor.patterns.errors import PatternError
from processor.patterns.pattern import Pattern, compile_pattern

__all__ = ["Pattern", "PatternError", "compile_pattern"]
