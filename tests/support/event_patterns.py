"""Patterns and events made at random, and a plain reading of what a pattern means.

The reading is slow and simple on purpose: it looks at every way to choose one alternative of each `$or` and
one leaf for each field, and asks whether the choice agrees about arrays.
"""

from __future__ import annotations

import fnmatch
import ipaddress
import random
from collections.abc import Iterator
from decimal import Decimal
from itertools import product
from typing import Any, TypeAlias

Leaf: TypeAlias = tuple[Any, dict[tuple[Any, ...], int]]
"""A value, and for each array on the way (by its place in the event) which element it lies in."""
Wanted: TypeAlias = tuple[tuple[str, ...], list[Any]]

NAMES = ["a", "b", "c"]
TEXTS = ["", "x", "y", "xy", "yx", "X", "XY", "xxy", "x*y", "x\\y", "10.0.0.1", "10.9.0.1", "2001:db8::1"]
NUMBERS = [0, 1, 2, -1, 10, 2.5, 1e2, 100, 0.1, 10_000_000_000]


class Maker:
    """Seeded, so that a table of verdicts can be made again."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)

    def event(self) -> dict[str, Any]:
        """An object of objects, arrays and values, at most four deep."""
        return self._object(4)

    def pattern(self) -> dict[str, Any]:
        """A valid pattern that names no field twice in one combination."""
        return self._group(list(NAMES), 3, 2)

    def _object(self, depth: int) -> dict[str, Any]:
        names = self._random.sample(NAMES, self._random.randint(1, 3))
        return {name: self._value(depth - 1) for name in names}

    def _value(self, depth: int) -> Any:
        kind = self._random.random()
        if depth > 0 and kind < 0.35:
            return self._object(depth)
        if depth > 0 and kind < 0.65:
            return [self._value(depth - 1) for _ in range(self._random.randint(0, 3))]
        return self._scalar()

    def _scalar(self) -> Any:
        return self._random.choice([*TEXTS, *NUMBERS, True, False, None])

    def _group(self, names: list[str], depth: int, ors: int) -> dict[str, Any]:
        self._random.shuffle(names)
        pattern: dict[str, Any] = {}
        if ors and len(names) > 1 and self._random.random() < 0.3:
            # The alternatives share no name with what stands beside them.
            inner = [names.pop() for _ in range(self._random.randint(1, len(names) - 1))]
            ways = range(self._random.randint(2, 3))
            pattern["$or"] = [self._group(list(inner), depth, ors - 1) for _ in ways]
        for name in names[: self._random.randint(0 if pattern else 1, 2)]:
            if depth > 1 and self._random.random() < 0.45:
                pattern[name] = self._group(list(NAMES), depth - 1, ors - 1 if ors else 0)
            else:
                pattern[name] = [self._condition() for _ in range(self._random.randint(1, 2))]
        return pattern

    def _condition(self) -> Any:
        some, texts = self._random, [t for t in TEXTS if "\\" not in t and "*" not in t]
        text = some.choice(texts)
        low, high = sorted(some.sample([-1, 0, 1, 2, 2.5, 10, 100], 2))
        return some.choice(
            [
                self._scalar(),
                self._scalar(),
                self._scalar(),
                {"prefix": text},
                {"prefix": {"equals-ignore-case": text}},
                {"suffix": text},
                {"suffix": {"equals-ignore-case": text}},
                {"equals-ignore-case": text},
                {"wildcard": some.choice(["*", "x*", "*y", "x*y", "*x*", "x\\*y", "x\\\\*", "*x*y", ""])},
                {"anything-but": text},
                {"anything-but": some.choice(NUMBERS)},
                {"anything-but": some.sample(texts, 2)},
                {"anything-but": some.sample(NUMBERS, 2)},
                {"anything-but": {"prefix": some.choice(["x", "y", "10."])}},
                {"anything-but": {"suffix": some.sample(["x", "y", ".1"], 2)}},
                {"anything-but": {"equals-ignore-case": some.sample(texts, 2)}},
                {"anything-but": {"wildcard": some.choice(["x*", "*x*", "*"])}},
                {"numeric": [some.choice(["=", "<", "<=", ">", ">="]), some.choice(NUMBERS)]},
                {"numeric": [some.choice([">", ">="]), low, some.choice(["<", "<="]), high]},
                {"exists": True},
                {"exists": False},
                {"exists": False},
                {"cidr": some.choice(["10.0.0.0/8", "10.0.0.0/24", "2001:db8::/32"])},
            ]
        )


def passes(pattern: dict[str, Any], event: dict[str, Any]) -> bool:
    """Whether the event passes, read plainly."""
    return any(_agree(choice, event) for choice in _choices(pattern, ()))


def _choices(pattern: dict[str, Any], path: tuple[str, ...]) -> list[list[Wanted]]:
    parts: list[list[list[Wanted]]] = []
    for name, held in pattern.items():
        if name == "$or":
            parts.append([choice for one in held for choice in _choices(one, path)])
        elif isinstance(held, dict):
            parts.append(_choices(held, (*path, *name.split("."))))
        else:
            parts.append([[((*path, *name.split(".")), held)]])
    return [[field for part in chosen for field in part] for chosen in product(*parts)]


def _agree(choice: list[Wanted], event: dict[str, Any]) -> bool:
    candidates: list[list[Leaf]] = []
    for path, conditions in choice:
        leaves = list(_leaves(event, path, (), {}))
        if not leaves and {"exists": False} in conditions:
            continue
        candidates.append([leaf for leaf in leaves if any(_holds(one, leaf[0]) for one in conditions)])
    return any(_consistent([within for _, within in leaves]) for leaves in product(*candidates))


def _consistent(leaves: list[dict[tuple[Any, ...], int]]) -> bool:
    chosen: dict[tuple[Any, ...], int] = {}
    return all(chosen.setdefault(array, n) == n for within in leaves for array, n in within.items())


def _leaves(
    value: Any, path: tuple[str, ...], place: tuple[Any, ...], within: dict[tuple[Any, ...], int]
) -> Iterator[Leaf]:
    if isinstance(value, list):
        for n, element in enumerate(value):
            inside = {**within, place: n} if isinstance(element, dict | list) else within
            yield from _leaves(element, path, (*place, n), inside)
    elif isinstance(value, dict):
        for end in range(len(path), 0, -1):
            name = ".".join(path[:end])
            if name in value:
                yield from _leaves(value[name], path[end:], (*place, name), within)
                return
    elif not path:
        yield value, within


def _holds(condition: Any, value: Any) -> bool:
    if not isinstance(condition, dict):
        return _same(condition, value)
    [(name, operand)] = condition.items()
    match name:
        case "exists":
            return bool(operand)
        case "anything-but" if isinstance(operand, dict):
            [(inner, texts)] = operand.items()
            texts = texts if isinstance(texts, list) else [texts]
            return not any(_holds({inner: text}, value) for text in texts)
        case "anything-but":
            return not any(_same(one, value) for one in (operand if isinstance(operand, list) else [operand]))
        case "numeric":
            return _is_number(value) and all(
                _compare(Decimal(value), sign, Decimal(bound))
                for sign, bound in zip(operand[::2], operand[1::2], strict=True)
            )
    if not isinstance(value, str):
        return False
    match name:
        case "equals-ignore-case":
            return bool(value.casefold() == operand.casefold())
        case "prefix" | "suffix":
            if isinstance(operand, dict):
                value, operand = value.casefold(), operand["equals-ignore-case"].casefold()
            length = len(operand)
            return length == 0 or bool((value[:length] if name == "prefix" else value[-length:]) == operand)
        case "wildcard":
            text = operand.replace("\\\\", "\x00").replace("\\*", "\x01")
            text = "".join({"\x00": "\\", "\x01": "[*]", "[": "[[]", "?": "[?]"}.get(c, c) for c in text)
            return fnmatch.fnmatchcase(value, text)
        case "cidr":
            try:
                return ipaddress.ip_address(value) in ipaddress.ip_network(operand, strict=False)
            except ValueError:
                return False
    raise AssertionError(f"no operator {name}")


def _same(one: Any, other: Any) -> bool:
    if _is_number(one) and _is_number(other):
        return Decimal(one) == Decimal(other)
    return type(one) is type(other) and one == other


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _compare(value: Decimal, sign: str, bound: Decimal) -> bool:
    match sign:
        case "=":
            return value == bound
        case "<":
            return value < bound
        case "<=":
            return value <= bound
        case ">":
            return value > bound
        case _:
            return value >= bound
