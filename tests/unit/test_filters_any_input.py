"""Whatever a pattern or an event says, a filter is refused or works, and costs linear time."""

from __future__ import annotations

import json
from collections.abc import Callable
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from processor.filters import FilterError, compile_filter
from processor.filters import Path as FieldPath
from processor.filters.conditions import OPERATORS
from processor.filters.syntax import Field
from processor.filters.tree import Tree
from processor.rules.documents import write_yaml
from processor.rules.files import read_rules
from tests.support.event_patterns import Maker
from tests.support.rules import fields

NAMES = st.sampled_from(["a", "b", "a.b", "", ".", "$or", *sorted(OPERATORS)]) | st.text(max_size=3)
SCALARS = (
    st.none()
    | st.booleans()
    | st.integers(-(10**400), 10**400)
    | st.floats()
    | st.text(max_size=5)
    | st.sampled_from(["*", "**", "\\", "10.0.0.0/8", "::/0", "=", "<", ">", "\ud800", "10.1.2.3", "::1"])
)
JSON = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(NAMES, inner, max_size=4),
    max_leaves=20,
)
DOCUMENTS = st.dictionaries(NAMES, JSON, max_size=4)


@settings(max_examples=600)
@given(spec=JSON, document=DOCUMENTS)
def test_any_pattern_is_refused_in_one_line_or_works(spec: Any, document: dict[str, Any]) -> None:
    try:
        compiled = compile_filter(spec)
    except FilterError as error:
        refusal = str(error)
    else:
        assert compiled.matches(document) is (compiled.explain(document) is None)
        return
    assert refusal.isprintable()


@settings(max_examples=300)
@given(seed=st.integers(0, 2**40), document=DOCUMENTS)
def test_any_event_passes_or_gets_a_reason(seed: int, document: dict[str, Any]) -> None:
    compiled = compile_filter(Maker(seed).pattern())
    reason = compiled.explain(document)

    assert compiled.matches(document) is (reason is None)
    assert reason is None or reason.isprintable()


@pytest.mark.parametrize("seed", range(30))
def test_a_pattern_survives_a_file(seed: int, tmp_path: Path) -> None:
    pattern = Maker(seed).pattern()
    with (tmp_path / "rule.yaml").open("w") as file:
        write_yaml(fields(filter_pattern=pattern), file)

    [sourced] = read_rules([str(tmp_path)], StringIO()).wanted.drafts

    # As text: 1, 1.0 and true are equal in Python.
    assert json.dumps(sourced.draft.filter_pattern) == json.dumps(pattern)


def nested(levels: int, value: Callable[[], Any]) -> Any:
    """Arrays of two within each other."""
    return [nested(levels - 1, value) for _ in range(2)] if levels else value()


def test_every_value_of_an_event_is_looked_at_once_per_field() -> None:
    looks = 0

    def says(answer: bool) -> Callable[[Any], bool]:
        def test(_: Any) -> bool:
            nonlocal looks
            looks += 1
            return answer

        return test

    # Every element passes three fields and fails the fourth, so all of them have to be tried.
    answers = {"f0": True, "f1": True, "f2": True, "last": False}
    tree = Tree(Field(FieldPath(("a", name)), (), says(answer), False) for name, answer in answers.items())

    assert not tree.matches({"a": nested(10, lambda: dict.fromkeys(answers, "x"))})
    assert looks == 4 * 2**10
