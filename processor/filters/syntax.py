"""From what a user wrote to the parts of a pattern.

A pattern is an object of fields and `$or`s, all of which must agree. A field holds a list of conditions, of
which one must hold, or an object of further fields. `$or` holds at least two patterns, one of which must
agree, together with whatever stands beside it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from processor.filters.conditions import OPERATORS, Condition, one_test, read_condition
from processor.filters.errors import FilterError, Place
from processor.filters.paths import Path
from processor.filters.values import Test, text_of

OR: Final = "$or"

MAX_DEPTH: Final = 32
"""Names in one path, and `$or`s inside each other."""
MAX_CONDITIONS: Final = 10_000
MAX_CHARACTERS: Final = 65_536
"""Of all names and texts together."""
MAX_COMBINATIONS: Final = 100
"""Ways to choose one alternative from each `$or`: each of them may have to be tried on an event."""


@dataclass(frozen=True, slots=True)
class Field:
    """A path and the conditions of which one must hold."""

    path: Path
    conditions: tuple[Condition, ...]
    test: Test | None
    """Whether a value will do; None where only absence does."""
    may_be_absent: bool


@dataclass(frozen=True, slots=True)
class Group:
    """Fields and alternatives, all of which must agree."""

    fields: tuple[Field, ...]
    alternatives: tuple[tuple[Group, ...], ...]

    def combinations(self) -> int:
        """Ways to choose one alternative from each."""
        ways = 1
        for group in self.alternatives:
            ways *= sum(one.combinations() for one in group)
        return ways

    def choices(self) -> list[tuple[Field, ...]]:
        """The fields that must agree, for each way to choose."""
        found = [self.fields]
        for group in self.alternatives:
            chosen = [choice for one in group for choice in one.choices()]
            found = [fields + choice for fields in found for choice in chosen]
        return found


def read_pattern(said: object) -> Group:
    """The parts of a pattern. Raises FilterError."""
    reading = _Reading()
    group = reading.group(said, (), (), 0)
    if (ways := group.combinations()) > MAX_COMBINATIONS:
        raise FilterError(
            f"its $or make {ways} combinations, at most {MAX_COMBINATIONS} are taken:"
            " use lists of values instead, or several rules",
            (),
        )
    return group


@dataclass(slots=True)
class _Reading:
    """How much of the limits is used."""

    conditions: int = 0
    characters: int = 0

    def group(self, said: object, place: Place, path: tuple[str, ...], ors: int) -> Group:
        if not isinstance(said, Mapping):
            raise FilterError("expected an object of fields", place)
        if not said:
            raise FilterError("is empty; a filter that accepts any event is left out", place)
        fields: list[Field] = []
        alternatives: list[tuple[Group, ...]] = []
        for name, held in said.items():
            if not isinstance(name, str):
                raise FilterError("a field's name must be text", place)
            at = (*place, name)
            self._spend(text_of(name, at), place)
            if name == OR:
                alternatives.append(self._alternatives(held, at, path, ors + 1))
                continue
            names = (*path, *name.split("."))
            if len(names) > MAX_DEPTH:
                raise FilterError(f"is nested deeper than {MAX_DEPTH} fields", at)
            if isinstance(held, Mapping):
                inner = self.group(held, at, names, ors)
                fields += inner.fields
                alternatives += inner.alternatives
            elif isinstance(held, list | tuple):
                fields.append(self._field(held, at, names))
            else:
                raise FilterError("expected a list of values, or an object of further fields", at)
        return Group(tuple(fields), tuple(alternatives))

    def _alternatives(self, held: object, place: Place, path: tuple[str, ...], ors: int) -> tuple[Group, ...]:
        if not isinstance(held, list | tuple) or len(held) < 2:
            raise FilterError("expected a list of two or more objects of fields", place)
        if ors > MAX_DEPTH:
            raise FilterError(f"is nested deeper than {MAX_DEPTH} $or", place)
        groups = []
        for n, one in enumerate(held):
            at = (*place, n)
            if isinstance(one, Mapping) and (confused := OPERATORS & one.keys()):
                name = min(confused)
                # event-ruler then takes $or for a field's name.
                raise FilterError(f"{name} is an operator: it belongs in the list of a field", (*at, name))
            groups.append(self.group(one, at, path, ors))
        return tuple(groups)

    def _field(self, held: list[Any] | tuple[Any, ...], place: Place, names: tuple[str, ...]) -> Field:
        if not held:
            raise FilterError("is an empty list, which no value passes", place)
        conditions = []
        for n, said in enumerate(held):
            self._count(said, (*place, n))
            conditions.append(read_condition(said, (*place, n)))
        return Field(
            Path(names),
            tuple(conditions),
            one_test(conditions),
            any(condition.test is None for condition in conditions),
        )

    def _count(self, said: object, place: Place) -> None:
        """Every value within one condition counts; no condition nests deeper than three levels."""
        waiting: list[tuple[object, int]] = [(said, 0)]
        while waiting:
            value, depth = waiting.pop()
            if depth > 4:
                raise FilterError("is nested too deeply", place)
            if isinstance(value, Mapping):
                waiting += ((part, depth + 1) for pair in value.items() for part in pair)
            elif isinstance(value, list | tuple):
                waiting += ((part, depth + 1) for part in value)
            else:
                self.conditions += 1
                if self.conditions > MAX_CONDITIONS:
                    raise FilterError(f"the pattern has more than {MAX_CONDITIONS} values", place)
                if isinstance(value, str):
                    self._spend(value, place)

    def _spend(self, text: str, place: Place) -> None:
        self.characters += len(text)
        if self.characters > MAX_CHARACTERS:
            raise FilterError(f"the pattern has more than {MAX_CHARACTERS} characters", place)
