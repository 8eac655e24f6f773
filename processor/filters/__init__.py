"""Filters: event patterns in the style of Amazon EventBridge, on any field of an event.

What this package decides: whether a pattern is one, and whether an event, decoded from JSON, passes. What it
never does: know rules, decode anything, or take more than linear time. Start at `compile_filter`; syntax.py
has the structure and the limits, conditions.py the operators, paths.py how a field is found, tree.py how
fields are tried together, which matters where an event has arrays of objects.

The meaning is event-ruler's, with these exceptions:

- Numbers are compared as numbers, whole ones exactly at any size, others as doubles; no range is excluded.
- Upper and lower case are the same by Unicode's case folding: `ß` is `SS`, `ς` is `Σ`.
- Exact texts are compared as texts, also where they are addresses; `cidr` takes masks of all lengths.
- A field named twice (beside and within an `$or`) must agree both times.
- A member with dots in its name is taken instead of nested ones, not besides.
- `$or` is always the operator, never a field.
"""

from processor.filters.errors import FilterError
from processor.filters.event_filter import EventFilter, compile_filter
from processor.filters.paths import Path

__all__ = ["EventFilter", "FilterError", "Path", "compile_filter"]
