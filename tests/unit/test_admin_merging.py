"""Merge patches on rules: RFC 7396, but for values that have several forms."""

from typing import Any

import pytest

from processor.admin.merging import merged

# RFC 7396, appendix A: those whose original and patch are objects.
RFC: list[tuple[dict[str, Any], dict[str, Any], dict[str, Any]]] = [
    ({"a": "b"}, {"a": "c"}, {"a": "c"}),
    ({"a": "b"}, {"b": "c"}, {"a": "b", "b": "c"}),
    ({"a": "b"}, {"a": None}, {}),
    ({"a": "b", "b": "c"}, {"a": None}, {"b": "c"}),
    ({"a": ["b"]}, {"a": "c"}, {"a": "c"}),
    ({"a": "c"}, {"a": ["b"]}, {"a": ["b"]}),
    ({"a": {"b": "c"}}, {"a": {"b": "d", "c": None}}, {"a": {"b": "d"}}),
    ({"a": [{"b": "c"}]}, {"a": [1]}, {"a": [1]}),
    ({"e": None}, {"a": 1}, {"e": None, "a": 1}),
    ({}, {"a": {"bb": {"ccc": None}}}, {"a": {"bb": {}}}),
]


@pytest.mark.parametrize(("original", "patch", "result"), RFC)
def test_the_examples_of_the_rfc(
    original: dict[str, Any], patch: dict[str, Any], result: dict[str, Any]
) -> None:
    assert merged(original, patch) == result


def test_a_secret_that_becomes_a_reference_is_not_both() -> None:
    rule = {
        "action_secret": {"secret": "***"},
        "action_target": {"secret": "***", "origin": "https://a.example.com"},
        "delivery": {"timeout": "5s", "headers": {"X-A": {"secret": "***"}, "X-B": "b"}},
    }
    ref = {"ref": "env:TOCSIN_SECRET_A"}
    patch = {"action_secret": ref, "action_target": ref, "delivery": {"headers": {"X-A": ref}}}
    assert merged(rule, patch) == {
        "action_secret": ref,
        "action_target": ref,
        "delivery": {"timeout": "5s", "headers": {"X-A": ref, "X-B": "b"}},
    }


def test_the_rule_itself_is_left_as_it_is() -> None:
    rule = {"labels": {"a": "b"}}
    merged(rule, {"labels": {"a": None, "c": "d"}})
    assert rule == {"labels": {"a": "b"}}
