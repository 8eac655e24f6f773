"""What named groups match: as Go's regexp has it."""

import pytest

from processor.patterns import compile_pattern
from processor.patterns.captures import captures, group_names


@pytest.mark.parametrize(
    ("pattern", "text", "expected"),
    [
        (r"(?P<pid>\d+) \((?<name>\S+)\)", "ü 12 (java)", {"pid": "12", "name": "java"}),
        (r"a(?P<none>x)?b", "ab", {"none": ""}),
        (r"(?P<one>x)|(?P<one>y)", "zy", {"one": "y"}),
        (r"(?U)(?P<short>a+)(?P<rest>a*)", "aaa", {"short": "a", "rest": ""}),
        (r"(?P<long>a+)(?P<rest>a*)", "aaa", {"long": "aaa", "rest": ""}),
        (r"(?:(?P<last>\w)=)+", "a=b=c", {"last": "b"}),
        (r"(?P<alt>a|ab)(?P<rest>c|bcd)", "abcd", {"alt": "a", "rest": "bcd"}),
        (r"((x)(?P<third>y))", "xy", {"third": "y"}),
    ],
)
def test_groups_hold_what_go_says(pattern: str, text: str, expected: dict[str, str]) -> None:
    found = captures(compile_pattern(pattern), text.encode())
    assert found == {name: value.encode() for name, value in expected.items()}


def test_without_a_match_there_are_none() -> None:
    assert captures(compile_pattern("(?P<a>x)"), b"y") is None


def test_names_are_in_the_patterns_order_and_each_is_there_once() -> None:
    assert group_names(compile_pattern("(?P<b>x)(y)(?P<a>z)(?P<b>x)")) == ("b", "a")
