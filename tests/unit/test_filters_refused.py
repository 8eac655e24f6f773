"""A pattern that can't be run as written is refused, with the place and what may stand there."""

from __future__ import annotations

import re
from typing import Any

import pytest

from processor.filters import FilterError, compile_filter
from processor.filters.syntax import MAX_CHARACTERS, MAX_COMBINATIONS, MAX_CONDITIONS, MAX_DEPTH


def nested(depth: int) -> Any:
    pattern: Any = ["x"]
    for _ in range(depth):
        pattern = {"a": pattern}
    return pattern


def alternatives(depth: int) -> Any:
    pattern: Any = {"a": [1]}
    for _ in range(depth):
        pattern = {"$or": [pattern, {"b": [1]}]}
    return pattern


@pytest.mark.parametrize(
    ("pattern", "path", "message"),
    [
        (None, "", "expected an object of fields"),
        ([], "", "expected an object of fields"),
        ("x", "", "expected an object of fields"),
        ({}, "", "is empty; a filter that accepts any event is left out"),
        ({"a": {}}, "a", "is empty"),
        ({"a": []}, "a", "is an empty list, which no value passes"),
        ({"a": "x"}, "a", "expected a list of values, or an object of further fields"),
        ({"a": {"b": None}}, "a.b", "expected a list of values, or an object of further fields"),
        ({"a": [["x"]]}, "a[0]", "a list within the list"),
        ({"a": ["x", {"prefx": "y"}]}, "a[1].prefx", "unknown operator, known are prefix, suffix, equals-"),
        ({"a": [{"exactly": "y"}]}, "a[0].exactly", "unknown operator"),
        ({"a": [{}]}, "a[0]", "an operator is an object with one name"),
        ({"a": [{"prefix": "x", "suffix": "y"}]}, "a[0]", "only one operator in one object"),
        ({"a": [{"prefix": 1}]}, "a[0].prefix", "expected text, not a number"),
        ({"a": [{"prefix": ["x"]}]}, "a[0].prefix", "expected text, not a list"),
        ({"a": [{"prefix": {"suffix": "x"}}]}, "a[0].prefix.suffix", "or an object with equals-ignore-case"),
        ({"a": [{"suffix": {}}]}, "a[0].suffix", "an operator is an object with one name"),
        ({"a": [{"suffix": None}]}, "a[0].suffix", "expected text, not null"),
        ({"a": [{"equals-ignore-case": ["x"]}]}, "a[0].equals-ignore-case", "expected text, not a list"),
        ({"a": [{"wildcard": {"prefix": "x"}}]}, "a[0].wildcard", "expected text, not an object"),
        ({"a": [{"wildcard": "x**"}]}, "a[0].wildcard", "two wildcards in a row at character 2; write one"),
        ({"a": [{"wildcard": "x\\y"}]}, "a[0].wildcard", "\\ at character 1 must stand before * or \\"),
        ({"a": [{"wildcard": "x\\"}]}, "a[0].wildcard", "\\ at character 1 must stand before * or \\"),
        ({"a": [{"anything-but": []}]}, "a[0].anything-but", "is an empty list"),
        ({"a": [{"anything-but": ["x", 1]}]}, "a[0].anything-but", "text and numbers in one list"),
        ({"a": [{"anything-but": True}]}, "a[0].anything-but", "expected text or numbers, or an object"),
        ({"a": [{"anything-but": [None]}]}, "a[0].anything-but", "expected text or numbers, or an object"),
        ({"a": [{"anything-but": [["x"]]}]}, "a[0].anything-but[0]", "expected text, a number, true, false"),
        ({"a": [{"anything-but": {"cidr": "::/0"}}]}, "a[0].anything-but.cidr", "unknown in anything-but"),
        ({"a": [{"anything-but": {"prefix": ""}}]}, "a[0].anything-but.prefix", "is empty"),
        ({"a": [{"anything-but": {"suffix": ["x", ""]}}]}, "a[0].anything-but.suffix[1]", "is empty"),
        ({"a": [{"anything-but": {"wildcard": []}}]}, "a[0].anything-but.wildcard", "is an empty list"),
        ({"a": [{"anything-but": {"wildcard": ["x", "**"]}}]}, "a[0].anything-but.wildcard[1]", "in a row"),
        (
            {"a": [{"anything-but": {"prefix": {"equals-ignore-case": "x"}}}]},
            "a[0].anything-but.prefix",
            "exp",
        ),
        ({"a": [{"numeric": 5}]}, "a[0].numeric", 'expected a list such as ["=", 5]'),
        ({"a": [{"numeric": []}]}, "a[0].numeric", 'expected a list such as ["=", 5]'),
        ({"a": [{"numeric": [">", 0, "<"]}]}, "a[0].numeric", 'expected a list such as ["=", 5]'),
        ({"a": [{"numeric": ["!=", 0]}]}, "a[0].numeric[0]", "expected one of =, <, <=, >, >="),
        ({"a": [{"numeric": [">", "0"]}]}, "a[0].numeric[1]", "expected a number"),
        ({"a": [{"numeric": [">", True]}]}, "a[0].numeric[1]", "expected a number"),
        ({"a": [{"numeric": [">", float("inf")]}]}, "a[0].numeric[1]", "is not a number that JSON has"),
        ({"a": [{"numeric": ["<", 5, ">", 0]}]}, "a[0].numeric[0]", "the lower bound comes first"),
        ({"a": [{"numeric": [">", 5, ">", 6]}]}, "a[0].numeric[2]", "the upper bound comes second"),
        ({"a": [{"numeric": ["=", 5, "<", 6]}]}, "a[0].numeric[0]", "the lower bound comes first"),
        ({"a": [{"numeric": [">=", 5, "<=", 5]}]}, "a[0].numeric[3]", "less than the upper one"),
        ({"a": [{"exists": "true"}]}, "a[0].exists", "expected true or false"),
        ({"a": [{"exists": 1}]}, "a[0].exists", "expected true or false"),
        ({"a": [{"cidr": "10.0.0.1"}]}, "a[0].cidr", "such as 10.0.0.0/8"),
        ({"a": [{"cidr": "10.0.0.0/33"}]}, "a[0].cidr", "is no network of IPv4 or IPv6"),
        ({"a": [{"cidr": "10.0.0.0/255.0.0.0"}]}, "a[0].cidr", "such as 10.0.0.0/8"),
        ({"a": [{"cidr": "fe80::1%eth0/64"}]}, "a[0].cidr", "is no network of IPv4 or IPv6"),
        ({"a": [{"cidr": ["10.0.0.0/8"]}]}, "a[0].cidr", "expected text, not a list"),
        ({"$or": [{"a": [1]}]}, "$or", "expected a list of two or more objects"),
        ({"$or": {"a": [1]}}, "$or", "expected a list of two or more objects"),
        ({"$or": ["x", "y"]}, "$or[0]", "expected an object of fields"),
        ({"b": {"$or": [{"a": [1]}, {}]}}, "b.$or[1]", "is empty"),
        ({"$or": [{"a": [1]}, {"prefix": "x"}]}, "$or[1].prefix", "prefix is an operator: it belongs in the"),
        ({"a": ["\ud800"]}, "a[0]", "is not valid Unicode"),
        ({"a": [{"prefix": "\ud800"}]}, "a[0].prefix", "is not valid Unicode"),
        ({"\ud800": ["x"]}, "\\ud800", "is not valid Unicode"),
        ({"a": [10**400]}, "a[0]", "is a number that is too large"),
        ({"a": [float("nan")]}, "a[0]", "is not a number that JSON has"),
        ({"a": {1: ["x"]}}, "a", "a field's name must be text"),
        (nested(MAX_DEPTH + 1), ".".join("a" * (MAX_DEPTH + 1)), "is nested deeper than 32 fields"),
        (nested(100_000), ".".join("a" * (MAX_DEPTH + 1)), "is nested deeper than 32 fields"),
        ({".".join("a" * 33): [1]}, ".".join("a" * 33), "is nested deeper than 32 fields"),
        (alternatives(MAX_DEPTH + 1), ".".join(["$or[0]"] * MAX_DEPTH + ["$or"]), "is nested deeper than 32"),
        ({"a": [{"anything-but": [[[[[["x"]]]]]]}]}, "a[0]", "is nested too deeply"),
        ({"a": list(range(MAX_CONDITIONS + 1))}, f"a[{MAX_CONDITIONS}]", "has more than 10000 values"),
        ({"a": ["x" * (MAX_CHARACTERS + 1)]}, "a[0]", "has more than 65536 characters"),
    ],
)
def test_is_refused_with_its_place(pattern: Any, path: str, message: str) -> None:
    with pytest.raises(FilterError, match=re.escape(message)) as refused:
        compile_filter(pattern)

    assert refused.value.path == path
    assert str(refused.value).startswith(f"{path}: " if path else "")
    assert str(refused.value).isprintable()


def test_too_many_combinations_are_refused_before_they_are_made() -> None:
    pattern = {f"f{n}": {"$or": [{"a": [1]}, {"b": [1]}]} for n in range(60)}

    with pytest.raises(FilterError, match=f"make {2**60} combinations, at most {MAX_COMBINATIONS}"):
        compile_filter(pattern)


def test_what_is_just_within_the_limits_is_taken() -> None:
    compile_filter(nested(MAX_DEPTH))
    compile_filter(alternatives(MAX_DEPTH))
    compile_filter({"a": list(range(MAX_CONDITIONS))})
    compile_filter({"$or": [{"a": [n]} for n in range(MAX_COMBINATIONS)]})
