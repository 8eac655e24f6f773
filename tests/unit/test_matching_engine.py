"""Which rules an event fires: the rules of matching, on rules as they are read from the topic."""

import json
from typing import Any

import pytest

from processor.events import EventDecoder, EventFields, Unreadable
from processor.matching.engine import RuleSet
from processor.rules import RuleTable
from tests.support.rules import record, snapshot_of

DECODER = EventDecoder(EventFields())
PLAIN_EVENT = {"severity": "error", "source": "shop", "message": "deploy of shop failed: exit 1"}


def fired(rules: dict[int, bytes], event: dict[str, Any]) -> set[int]:
    decoded = DECODER.decode(json.dumps(event).encode())
    assert not isinstance(decoded, Unreadable)
    return {compiled.rule.id for compiled in RuleSet(snapshot_of(rules).rules).match(decoded)}


MATCHING: list[tuple[str, dict[str, Any], dict[str, Any], bool]] = [
    ("no filter fires on anything", {}, {}, True),
    ("no filter fires on an event without fields", {}, {"severity": None, "source": None}, True),
    ("severity: one of a list", {"filter_severity": ["error", "fatal"]}, {"severity": "fatal"}, True),
    ("severity: none of a list", {"filter_severity": ["error", "fatal"]}, {"severity": "warning"}, False),
    ("severity: comma-separated with spaces", {"filter_severity": " error , fatal "}, {}, True),
    ("severity: tabs and line ends around a part", {"filter_severity": "\terror\r\n,x"}, {}, True),
    ("severity: the event's own is not trimmed", {"filter_severity": "error"}, {"severity": " error"}, False),
    ("severity: exactly, not a part of it", {"filter_severity": "err"}, {}, False),
    ("severity: upper and lower case differ", {"filter_severity": "Error"}, {}, False),
    ("severity: empty string is any", {"filter_severity": ""}, {"severity": "whatever"}, True),
    ("severity: empty list is any", {"filter_severity": []}, {"severity": "whatever"}, True),
    ("severity: null is any", {"filter_severity": None}, {"severity": "whatever"}, True),
    ("severity: an empty part accepts the empty one", {"filter_severity": "error,"}, {"severity": ""}, True),
    (
        "severity: an empty part accepts a missing one",
        {"filter_severity": "error,"},
        {"severity": None},
        True,
    ),
    ("severity: only the empty one", {"filter_severity": [""]}, {}, False),
    ("severity: a number is its text", {"filter_severity": "50"}, {"severity": 50}, True),
    ("severity: a boolean is its text", {"filter_severity": "true"}, {"severity": True}, True),
    ("severity: a wrong type counts as missing", {"filter_severity": "x,"}, {"severity": ["x"]}, True),
    ("source: comma-separated with spaces", {"filter_source": "bar, shop"}, {}, True),
    ("source: another one", {"filter_source": "bar, shop"}, {"source": "baz"}, False),
    ("source: beyond ASCII", {"filter_source": "größe, shop"}, {"source": "größe"}, True),
    ("regex: in the middle of the message", {"filter_message_regex": "shop fail"}, {}, True),
    ("regex: not there", {"filter_message_regex": "shop succeeded"}, {}, False),
    ("regex: anchored at the start", {"filter_message_regex": "^deploy"}, {}, True),
    ("regex: anchored where it isn't", {"filter_message_regex": "^shop"}, {}, False),
    ("regex: Go's flags", {"filter_message_regex": "(?i)FAILED: EXIT [0-9]+$"}, {}, True),
    ("regex: in a later line", {"filter_message_regex": "(?m)^second$"}, {"message": "first\nsecond"}, True),
    ("regex: beyond ASCII", {"filter_message_regex": "gr.ße"}, {"message": "die größe"}, True),
    ("regex: empty is any", {"filter_message_regex": ""}, {"message": ""}, True),
    ("regex: a missing message is the empty one", {"filter_message_regex": "^$"}, {"message": None}, True),
    ("regex: a number is its text", {"filter_message_regex": r"^1\.5$"}, {"message": 1.5}, True),
    (
        "AND: all filters say yes",
        {"filter_severity": "error", "filter_source": "shop", "filter_message_regex": "failed"},
        {},
        True,
    ),
    (
        "AND: one filter of three says no",
        {"filter_severity": "error", "filter_source": "shop", "filter_message_regex": "succeeded"},
        {},
        False,
    ),
    ("disabled", {"enabled": False}, {}, False),
    ("paused rules fire: their jobs are held", {"paused": True}, {}, True),
    ("muted rules fire: their jobs are cancelled", {"muted_until": "2999-01-01T00:00:00Z"}, {}, True),
    ("a bad regex fires nothing", {"filter_message_regex": "("}, {}, False),
    ("an unknown action fires nothing", {"action_type": "email"}, {}, False),
    ("an unknown field fires nothing", {"filter_host": "a"}, {}, False),
]


@pytest.mark.parametrize(
    ("rule", "event", "fires"), [pytest.param(*row[1:], id=row[0].replace(" ", "_")) for row in MATCHING]
)
def test_rule_of_matching(rule: dict[str, Any], event: dict[str, Any], fires: bool) -> None:
    neighbour = record("neighbour", filter_severity="no such severity")
    assert fired({7: record(**rule), 8: neighbour}, {**PLAIN_EVENT, **event}) == ({7} if fires else set())


def test_invalid_rules_leave_the_others_alone() -> None:
    rules = {
        1: record("good"),
        2: record("bad pattern", filter_message_regex="(?P<"),
        3: record("bad action", action_type="shell"),
        4: b"no json",
        5: record("off", enabled=False),
        6: record("as good"),
    }
    assert fired(rules, PLAIN_EVENT) == {1, 6}


def test_one_event_fires_each_rule_once() -> None:
    rules = {i: record(f"r{i}", filter_severity="error, error, error") for i in range(1, 50)}
    event = DECODER.decode(json.dumps(PLAIN_EVENT).encode())
    assert not isinstance(event, Unreadable)
    matched = [compiled.rule.id for compiled in RuleSet(snapshot_of(rules).rules).match(event)]
    assert sorted(matched) == list(range(1, 50))


def test_compiled_rules_that_stayed_are_kept_and_changed_ones_are_not() -> None:
    table = RuleTable()
    table.apply(b"1", record("stays", filter_message_regex="shop"), None, 0)
    table.apply(b"2", record("changes", filter_message_regex="shop"), None, 1)
    first = RuleSet(table.snapshot().rules)
    table.apply(b"2", record("changes", filter_message_regex="deploy"), None, 2)
    second = RuleSet(table.snapshot().rules, previous=first)

    event = DECODER.decode(json.dumps(PLAIN_EVENT).encode())
    assert not isinstance(event, Unreadable)
    before, after = ({c.rule.id: c for c in rules.match(event)} for rules in (first, second))
    assert after[1] is before[1]
    assert after[2] is not before[2]


def test_a_disabled_rule_is_not_kept_from_the_set_before() -> None:
    first = RuleSet(snapshot_of({1: record("a")}).rules)
    second = RuleSet(snapshot_of({1: record("a", enabled=False)}).rules, previous=first)
    assert (len(first), len(second)) == (1, 0)


def test_all_jobs_of_a_rule_with_a_rate_limit_have_one_key() -> None:
    limited, free = record("a", delivery={"rate_limit": "20/s"}), record("b")
    decoded = DECODER.decode(json.dumps(PLAIN_EVENT).encode())
    assert not isinstance(decoded, Unreadable)
    compiled = RuleSet(snapshot_of({1: limited, 2: free}).rules).match(decoded)

    assert {one.rule.id: len(set(one.jobs.keys)) for one in compiled} == {1: 1, 2: 16}
