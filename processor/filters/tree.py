"""Fields that must agree, tried on an event together.

Together, because they must agree about arrays: of `{"items": [{"name": "a", "n": 1}, {"name": "b", "n": 2}]}`
no element has the name a and the n 2, and so the event doesn't pass a pattern that wants both (event-ruler
calls this array consistency). Wherever fields lead into one array, one of its elements must satisfy all of
them. Values that stand in an array themselves are free: of `{"tags": ["x", "y"]}`, any will do.

The fields are a tree along their paths. Each part of an event is met once per part of the tree, so the time
is linear in the event.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Any, Final

from processor.filters.syntax import Field
from processor.filters.values import Test

_MISSING: Final = object()
_VARIANTS: Final = 64  # of one tree, each for the fields that are absent


class _Node:
    """A name in the tree: what must hold here and below."""

    __slots__ = ("dotted", "steps", "tests")

    def __init__(self) -> None:
        self.steps: tuple[tuple[str, _Node], ...] = ()
        self.tests: tuple[Test, ...] = ()
        self.dotted: tuple[tuple[str, _Node], ...] = ()
        """Nodes further down by the names with dots that an event may have for them, longest way first."""


class Tree:
    """One way to choose the fields that must agree. Immutable; usable from any thread."""

    def __init__(self, fields: Iterable[Field]) -> None:
        fields = tuple(fields)
        self._absent = tuple(field.path for field in fields if field.test is None)
        self._perhaps = tuple(field for field in fields if field.test is not None and field.may_be_absent)
        always = [field for field in fields if field.test is not None and not field.may_be_absent]
        self._root = _grow(always)

        @lru_cache(_VARIANTS)
        def root_with(present: tuple[bool, ...]) -> _Node:
            chosen = (field for field, there in zip(self._perhaps, present, strict=True) if there)
            return _grow([*always, *chosen])

        self._root_with = root_with

    def matches(self, document: Mapping[str, Any]) -> bool:
        """Whether all fields agree."""
        for path in self._absent:
            if path.has_leaf(document):
                return False
        if self._perhaps:
            present = tuple([field.path.has_leaf(document) for field in self._perhaps])
            return _object(self._root_with(present), document)
        return _object(self._root, document)


def _grow(fields: Iterable[Field]) -> _Node:
    branches: dict[str, Any] = {}
    tests: dict[tuple[str, ...], list[Test]] = {}
    for field in fields:
        branch = branches
        for name in field.path.names:
            branch = branch.setdefault(name, {})
        if field.test is not None:
            tests.setdefault(field.path.names, []).append(field.test)
    return _node(branches, (), tests)


def _node(
    branches: Mapping[str, Any], path: tuple[str, ...], tests: Mapping[tuple[str, ...], list[Test]]
) -> _Node:
    steps = [(name, _node(inner, (*path, name), tests)) for name, inner in branches.items()]
    return _made(steps, tuple(tests.get(path, ())))


def _made(steps: Iterable[tuple[str, _Node]], tests: tuple[Test, ...]) -> _Node:
    node = _Node()
    node.steps, node.tests = tuple(steps), tests
    further: list[tuple[int, str, _Node]] = []
    waiting = [(name, 1, child) for name, child in node.steps]
    while waiting:
        way, parts, child = waiting.pop()
        if parts > 1:
            further.append((parts, way, child))
        waiting += ((f"{way}.{name}", parts + 1, below) for name, below in child.steps)
    further.sort(key=lambda one: -one[0])
    node.dotted = tuple((way, child) for _, way, child in further)
    return node


def _object(node: _Node, members: Mapping[str, Any]) -> bool:
    for name, _ in node.dotted:
        if name in members:
            return _split(node, members)
    for name, child in node.steps:
        value = members.get(name, _MISSING)
        kind = type(value)
        if kind is dict:
            if child.tests or not _object(child, value):
                return False
        elif kind is list:
            if not _array(child, child.tests, value):
                return False
        elif child.steps or value is _MISSING:
            return False
        else:
            for test in child.tests:
                if not test(value):
                    return False
    return True


def _array(node: _Node, tests: tuple[Test, ...], elements: list[Any]) -> bool:
    """`tests`: those of the node that are not satisfied yet."""
    plain = [element for element in elements if type(element) is not dict and type(element) is not list]
    left = tuple([test for test in tests if not any(map(test, plain))])
    if not left and not node.steps:
        return True
    if len(plain) == len(elements):
        return False
    for element in elements:
        kind = type(element)
        if kind is dict:
            if not left and _object(node, element):
                return True
        elif kind is list and _array(node, left, element):
            return True
    return False


def _split(node: _Node, members: Mapping[str, Any]) -> bool:
    """An object that has names with dots: what they stand for is not looked for elsewhere."""
    taken: set[int] = set()
    for name, child in node.dotted:
        if name in members:
            part = _without(child, taken)
            taken.add(id(child))
            if part is not None and not _object(_made([(name, part)], ()), members):
                return False
    rest = _without(node, taken)
    return rest is None or _object(rest, members)


def _without(node: _Node, taken: set[int]) -> _Node | None:
    """The node without those parts; None if nothing is left of it."""
    if id(node) in taken:
        return None
    steps = [(name, part) for name, child in node.steps if (part := _without(child, taken)) is not None]
    return _made(steps, node.tests) if steps or node.tests else None
