"""Where fields are found, arrays, what an index may use, and the reasons for people."""

from __future__ import annotations

from typing import Any

import pytest

from processor.filters import Path, compile_filter

ORDER = {
    "id": 7,
    "tags": ["new", "paid"],
    "items": [{"name": "pen", "n": 1, "in": [{"lot": "A", "ok": True}]}, {"name": "ink", "n": 2, "in": []}],
    "grid": [["x"], ["y", {"z": 1}]],
}


@pytest.mark.parametrize(
    ("pattern", "passes"),
    [
        ({"tags": ["paid"]}, True),
        ({"tags": ["paid"], "id": [7]}, True),
        ({"tags": ["old", "older"]}, False),
        ({"items": {"name": ["ink"]}}, True),
        ({"items": {"name": ["ink"], "n": [2]}}, True),
        ({"items": {"name": ["ink"], "n": [1]}}, False),
        ({"items": {"name": ["pen"], "in": {"lot": ["A"], "ok": [True]}}}, True),
        ({"items": {"name": ["ink"], "in": {"lot": ["A"]}}}, False),
        ({"items": {"name": ["ink"], "$or": [{"n": [1]}, {"n": [2]}]}}, True),
        ({"items": {"name": ["ink"], "$or": [{"n": [1]}, {"n": [3]}]}}, False),
        ({"items": {"name": ["ink"], "price": [{"exists": False}]}}, True),
        ({"items": {"name": ["ink"], "in": [{"exists": False}]}}, True),
        ({"items": {"name": ["ink"], "in": {"lot": [{"exists": False}]}}}, False),
        ({"grid": ["x"]}, True),
        ({"grid": {"z": [1]}}, True),
        ({"items": ["pen"]}, False),
        ({"items.name": ["pen"]}, True),
        ({"id": {"x": [7]}}, False),
    ],
)
def test_fields_in_one_array_must_agree_in_one_element(pattern: Any, passes: bool) -> None:
    assert compile_filter(pattern).matches(ORDER) is passes


def test_two_conditions_on_one_array_may_be_met_by_two_values() -> None:
    both = compile_filter({"tags": ["new"], "$or": [{"tags": ["paid"]}, {"tags": ["sent"]}]})

    assert both.matches(ORDER)
    assert not both.matches({"tags": ["new", "old"]})
    assert not both.matches({"tags": [["new"], ["paid"]]})
    assert both.matches({"tags": [["new", "paid"], ["old"]]})


@pytest.mark.parametrize(
    ("pattern", "event", "passes"),
    [
        ({"log.level": ["x"]}, {"log.level": "x"}, True),
        ({"log.level": ["x"]}, {"log": {"level": "x"}}, True),
        ({"log": {"level": ["x"]}}, {"log.level": "x"}, True),
        ({"log": {"level": ["x"]}}, {"log.level": "y", "log": {"level": "x"}}, False),
        ({"log": {"level": ["x"]}}, {"log.level": "x", "log": {"level": "y"}}, True),
        ({"a.b.c": ["x"]}, {"a": {"b.c": "x"}}, True),
        ({"a.b.c": ["x"]}, {"a.b": {"c": "x"}}, True),
        ({"a.b.c": ["x"]}, {"a.b.c": "y", "a.b": {"c": "x"}}, False),
        ({"a.b": {"c": ["x"], "d": [1]}}, {"a.b.c": "x", "a.b": {"c": "y", "d": 1}}, True),
        ({"a": {"b": ["x"], "c": ["y"]}}, {"a.b": "x", "a": {"c": "y"}}, True),
        ({"a": {"b": ["x"], "c": ["y"]}}, {"a.b": "x", "a": {"c": "z"}}, False),
        ({"a": {"b": ["x"], "c": ["y"]}}, {"a.b": "x"}, False),
        ({"a": {"b": ["x"], "c": [{"exists": False}, "y"]}}, {"a.b": "x"}, True),
        ({"a.b": [{"exists": False}]}, {"a.b": 1}, False),
        ({"a.b": [{"exists": False}]}, {"a.b": {}, "a": {"b": 1}}, True),
        ({"": ["x"]}, {"": "x"}, True),
        ({"a.": ["x"]}, {"a": {"": "x"}}, True),
        ({"a.": ["x"]}, {"a.": "x"}, True),
    ],
)
def test_a_name_with_dots_is_taken_before_nested_objects(pattern: Any, event: Any, passes: bool) -> None:
    assert compile_filter(pattern).matches(event) is passes


def test_leaves_are_looked_for_in_arrays_of_arrays() -> None:
    assert list(Path(("grid",)).leaves(ORDER)) == ["x", "y"]
    assert list(Path(("items", "in", "lot")).leaves(ORDER)) == ["A"]
    assert list(Path(("items", "in")).leaves(ORDER)) == []


def test_events_nested_as_deep_as_events_may_be_are_no_trouble() -> None:
    deep: Any = "x"
    for _ in range(499):
        deep = [deep]

    assert compile_filter({"a": ["x"], "b": [{"exists": False}]}).matches({"a": deep})
    assert compile_filter({"a": ["y"]}).explain({"a": deep}) == 'a: is "x", expected "y"'


def test_required_holds_the_fields_of_exact_texts_beside_all_alternatives() -> None:
    pattern = {
        "source": ["shop", "bank"],
        "detail": {"state": ["x"], "n": [1], "mixed": ["x", 1], "odd": ["x", {"prefix": "y"}]},
        "perhaps": ["x", {"exists": False}],
        "$or": [{"a": ["x"]}, {"b": ["x"]}],
    }
    required = {path.names: texts for path, texts in compile_filter(pattern).required}

    assert required == {("source",): {"shop", "bank"}, ("detail", "state"): {"x"}}


@pytest.mark.parametrize(
    ("pattern", "reason"),
    [
        ({"id": [8, {"prefix": "x"}]}, 'id: is 7, expected 8 or prefix "x"'),
        ({"id": [7], "none": ["x"]}, 'none: no value, expected "x"'),
        ({"id": [{"exists": False}]}, "id: is 7, expected no value"),
        ({"items": [{"exists": True}]}, "items: no value, expected any value"),
        ({"tags": [{"anything-but": ["new", "paid"]}]}, 'tags: holds "new", "paid", expected anything but'),
        (
            {"items": {"n": [{"numeric": [">", 2, "<", 9]}]}},
            "items.n: holds 1, 2, expected a number > 2 and < 9",
        ),
        ({"items": {"name": ["ink"], "n": [1]}}, "no single element of an array has all of them"),
        ({"id": list(range(20, 40))}, "id: is 7, expected 20 or 21 or 22 or 23 or 24 or 15 others"),
        (
            {"$or": [{"id": [1]}, {"id": [2]}]},
            "$or: none of 2 alternatives agrees; the first: id: is 7, expec",
        ),
        ({"id": [{"equals-ignore-case": "Seven"}]}, 'id: is 7, expected "Seven" in any case'),
        ({"id": [{"anything-but": {"suffix": ["a", "b"]}}], "a\nb": [1]}, "a\\nb: no value, expected 1"),
    ],
)
def test_the_first_field_that_says_no_is_named(pattern: Any, reason: str) -> None:
    said = compile_filter(pattern).explain(ORDER)

    assert said is not None
    assert reason in said
    assert said.isprintable()


def test_a_reason_does_not_grow_with_the_event() -> None:
    said = compile_filter({"a": ["x" * 10_000]}).explain({"a": ["y\n" * 10_000] * 1_000})

    assert said is not None
    assert len(said) < 500
    assert said.isprintable()
