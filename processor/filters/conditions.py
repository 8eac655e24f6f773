"""What a pattern may ask of one value: an exact value, or an operator with its operand.

The meaning is that of Amazon EventBridge's comparison operators and of event-ruler, the library behind them.
Every test takes any JSON value that is neither an object nor an array, and needs time linear in its length.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from processor.filters.addresses import in_network, read_network
from processor.filters.errors import FilterError, Place
from processor.filters.values import Scalar, Test, any_of, finite, kind, one_of, scalar, show, text_of
from processor.filters.wildcards import compile_wildcard

_LOWER: Final = {">": "<", ">=": "<="}


@dataclass(frozen=True, slots=True)
class Condition:
    """One of the alternatives in a field's list.

    `test` says whether a value will do; None asks for the field's absence. `words` is for people. `exact`
    holds the values that alone pass, where they can be listed.
    """

    test: Test | None
    words: str
    exact: tuple[Scalar, ...] | None = None


def read_condition(said: object, place: Place) -> Condition:
    """One entry of a field's list. Raises FilterError."""
    if isinstance(said, dict):
        return _read_operator(said, place)
    if isinstance(said, list | tuple):
        raise FilterError("a list within the list of values; its values belong in one list", place)
    value = scalar(said, place)
    return Condition(one_of((value,)), show(value), (value,))


def one_test(conditions: Sequence[Condition]) -> Test | None:
    """Whether a value passes one of the conditions (those for absence apart); None if there is no other."""
    exact: list[Scalar] = []
    tests: list[Test] = []
    for condition in conditions:
        if condition.exact is not None:
            exact += condition.exact
        elif condition.test is not None:
            tests.append(condition.test)
    if exact:
        tests.insert(0, one_of(exact))
    return any_of(tests) if tests else None


def _read_operator(said: dict[str, Any], place: Place) -> Condition:
    name, operand, place = _only_member(said, place)
    read = _OPERATORS.get(name)
    if read is None:
        raise FilterError(f"unknown operator, known are {', '.join(_OPERATORS)}", place)
    return read(operand, place)


def _only_member(said: dict[str, Any], place: Place) -> tuple[str, Any, Place]:
    if len(said) != 1:
        raise FilterError(
            "an operator is an object with one name" if not said else "only one operator in one object", place
        )
    [(name, operand)] = said.items()
    return name, operand, (*place, name)


def _prefix(operand: object, place: Place) -> Condition:
    if isinstance(operand, dict):
        folded = _ignoring_case(operand, place)
        return Condition(
            lambda v: type(v) is str and v.casefold().startswith(folded),
            f"prefix {show(operand['equals-ignore-case'])} in any case",
        )
    text = text_of(operand, place)
    return Condition(lambda v: type(v) is str and v.startswith(text), f"prefix {show(text)}")


def _suffix(operand: object, place: Place) -> Condition:
    if isinstance(operand, dict):
        folded = _ignoring_case(operand, place)
        return Condition(
            lambda v: type(v) is str and v.casefold().endswith(folded),
            f"suffix {show(operand['equals-ignore-case'])} in any case",
        )
    text = text_of(operand, place)
    return Condition(lambda v: type(v) is str and v.endswith(text), f"suffix {show(text)}")


def _ignoring_case(operand: dict[str, Any], place: Place) -> str:
    name, text, place = _only_member(operand, place)
    if name != "equals-ignore-case":
        raise FilterError("expected text, or an object with equals-ignore-case", place)
    return text_of(text, place).casefold()


def _equals_ignore_case(operand: object, place: Place) -> Condition:
    text = text_of(operand, place)
    folded = text.casefold()
    return Condition(lambda v: type(v) is str and v.casefold() == folded, f"{show(text)} in any case")


def _wildcard(operand: object, place: Place) -> Condition:
    matches = compile_wildcard(text_of(operand, place), place)
    return Condition(lambda v: type(v) is str and matches(v), f"wildcard {show(operand)}")


def _exists(operand: object, place: Place) -> Condition:
    if operand is True:
        return Condition(lambda _: True, "any value")
    if operand is False:
        return Condition(None, "no value")
    raise FilterError("expected true or false", place)


def _cidr(operand: object, place: Place) -> Condition:
    network = read_network(text_of(operand, place), place)
    return Condition(lambda v: type(v) is str and in_network(v, network), f"an address in {operand}")


def _numeric(operand: object, place: Place) -> Condition:
    if not isinstance(operand, list | tuple) or len(operand) not in (2, 4):
        raise FilterError('expected a list such as ["=", 5], [">", 0] or [">", 0, "<=", 5]', place)
    bounds: list[tuple[str, int | float]] = []
    for n in range(0, len(operand), 2):
        sign, bound = operand[n], operand[n + 1]
        if not isinstance(sign, str) or sign not in _COMPARE:
            raise FilterError(f"expected one of {', '.join(_COMPARE)}", (*place, n))
        if isinstance(bound, bool) or not isinstance(bound, int | float):
            raise FilterError("expected a number", (*place, n + 1))
        bounds.append((sign, finite(bound, (*place, n + 1))))
    words = " and ".join(f"{sign} {show(bound)}" for sign, bound in bounds)
    (sign, bound), *rest = bounds
    if not rest:
        return Condition(_COMPARE[sign](bound), f"a number {words}")
    [(second, above)] = rest
    if sign not in _LOWER:
        raise FilterError("the lower bound comes first: > or >=, then < or <=", (*place, 0))
    if not second.startswith("<"):
        raise FilterError("the upper bound comes second: < or <=", (*place, 2))
    if bound >= above:
        raise FilterError("the lower bound must be less than the upper one", (*place, 3))
    low, high = _COMPARE[sign](bound), _COMPARE[second](above)
    return Condition(lambda v: low(v) and high(v), f"a number {words}")


_COMPARE: Final[dict[str, Callable[[int | float], Test]]] = {
    "=": lambda bound: lambda v: (type(v) is int or type(v) is float) and v == bound,
    "<": lambda bound: lambda v: (type(v) is int or type(v) is float) and v < bound,
    "<=": lambda bound: lambda v: (type(v) is int or type(v) is float) and v <= bound,
    ">": lambda bound: lambda v: (type(v) is int or type(v) is float) and v > bound,
    ">=": lambda bound: lambda v: (type(v) is int or type(v) is float) and v >= bound,
}


def _anything_but(operand: object, place: Place) -> Condition:
    """Any value, of whatever type, that is not one of those named."""
    if isinstance(operand, dict):
        return _anything_but_operator(operand, place)
    values = tuple(scalar(value, at) for value, at in _several(operand, place))
    kinds = {kind(value) for value in values}
    if not kinds <= {"text", "a number"}:
        raise FilterError("expected text or numbers, or an object with an operator", place)
    if len(kinds) > 1:
        raise FilterError("text and numbers in one list", place)
    test = one_of(values)
    return Condition(lambda v: not test(v), f"anything but {_listed(values)}")


def _anything_but_operator(operand: dict[str, Any], place: Place) -> Condition:
    name, said, place = _only_member(operand, place)
    read = _BUT.get(name)
    if read is None:
        raise FilterError(f"unknown in anything-but, known are {', '.join(_BUT)}", place)
    texts: list[str] = []
    tests: list[Test] = []
    for value, at in _several(said, place):
        texts.append(text_of(value, at))
        if not value and name in ("prefix", "suffix"):
            raise FilterError("is empty, and every text has it", at)
        tests += filter(None, [read(value, at).test])
    test = any_of(tests)
    return Condition(lambda v: not test(v), f"anything but {name} {_listed(texts)}")


_BUT: Final[dict[str, Callable[[object, Place], Condition]]] = {
    "prefix": _prefix,
    "suffix": _suffix,
    "equals-ignore-case": _equals_ignore_case,
    "wildcard": _wildcard,
}

_OPERATORS: Final[dict[str, Callable[[object, Place], Condition]]] = {
    "prefix": _prefix,
    "suffix": _suffix,
    "equals-ignore-case": _equals_ignore_case,
    "wildcard": _wildcard,
    "anything-but": _anything_but,
    "numeric": _numeric,
    "exists": _exists,
    "cidr": _cidr,
}
OPERATORS: Final = frozenset(_OPERATORS)


def _several(said: object, place: Place) -> list[tuple[Any, Place]]:
    """A single value or each of a list, with its place."""
    if not isinstance(said, list | tuple):
        return [(said, place)]
    if not said:
        raise FilterError("is an empty list", place)
    return [(value, (*place, n)) for n, value in enumerate(said)]


def _listed(values: Sequence[Scalar]) -> str:
    shown = ", ".join(show(value) for value in values[:5])
    return f"{shown} and {len(values) - 5} more" if len(values) > 5 else shown
