"""A compiled event pattern."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from processor.filters.syntax import OR, Field, Group, read_pattern
from processor.filters.tree import Tree
from processor.filters.values import show

_WORDS = 6  # conditions that are put into words
_SHOWN = 3  # values of an event that are


class EventFilter:
    """One pattern. Immutable; usable from any thread.

    `required` is what an index may use: paths, each with texts of which at least one is among the leaves at
    that path (`Path.leaves`) of every document that matches. It may be empty.
    """

    __slots__ = ("_common", "_group", "_trees", "required")

    def __init__(self, group: Group) -> None:
        self._group = group
        self._trees = tuple(Tree(fields) for fields in group.choices())
        # What stands beside the alternatives is tried once before all of them.
        self._common = Tree(group.fields) if len(self._trees) > 1 and group.fields else None
        self.required = tuple(
            (field.path, texts) for field in group.fields if (texts := _only_texts(field)) is not None
        )

    def matches(self, document: Mapping[str, Any]) -> bool:
        """Whether the event passes.

        `document`: the event as decoded from JSON into dict, list, str, int, float, bool and None.
        """
        if len(self._trees) == 1:
            return self._trees[0].matches(document)
        if self._common is not None and not self._common.matches(document):
            return False
        return any(tree.matches(document) for tree in self._trees)

    def explain(self, document: Mapping[str, Any]) -> str | None:
        """The first field that says no, what it holds and what was expected; None if the event passes.

        For people, in one line; quotes values of the event.
        """
        if self.matches(document):
            return None
        return _refusal(self._group, document) or (
            "each field alone would pass, but no single element of an array has all of them"
        )


def compile_filter(spec: object) -> EventFilter:
    """The filter for a pattern as decoded from JSON or YAML.

    Raises FilterError, with the place in the pattern, for whatever Amazon EventBridge would refuse, and for
    what is larger than this package's limits.
    """
    return EventFilter(read_pattern(spec))


def _only_texts(field: Field) -> frozenset[str] | None:
    texts: list[str] = []
    for condition in field.conditions:
        for value in condition.exact or (None,):
            if not isinstance(value, str):
                return None
            texts.append(value)
    return frozenset(texts)


def _refusal(group: Group, document: Mapping[str, Any]) -> str | None:
    for field in group.fields:
        leaves = list(field.path.leaves(document))
        if field.test is not None and any(map(field.test, leaves)):
            continue
        if not leaves and field.may_be_absent:
            continue
        return f"{field.path}: {_held(leaves)}, expected {_expected(field)}"
    for alternatives in group.alternatives:
        reasons = [_refusal(one, document) for one in alternatives]
        if None not in reasons:
            return f"{OR}: none of {len(reasons)} alternatives agrees; the first: {reasons[0]}"
    return None


def _held(leaves: list[Any]) -> str:
    if not leaves:
        return "no value"
    if len(leaves) == 1:
        return f"is {show(leaves[0])}"
    shown = ", ".join(show(value) for value in leaves[:_SHOWN])
    return f"holds {shown}" + (f" and {len(leaves) - _SHOWN} more" if len(leaves) > _SHOWN else "")


def _expected(field: Field) -> str:
    words = [condition.words for condition in field.conditions]
    if len(words) > _WORDS:
        words = [*words[: _WORDS - 1], f"{len(words) - _WORDS + 1} others"]
    return " or ".join(words)
