"""Which rules an event fires: the rules of matching, on rules as they are read from the topic."""

import json
from typing import Any

import pytest

from processor.events import EventDecoder, EventFields, Unreadable
from processor.matching.engine import RuleSet
from tests.support.matching_table import MATCHING, PLAIN_EVENT
from tests.support.rules import record, snapshot_of

DECODER = EventDecoder(EventFields())


def fired(rules: dict[int, bytes], event: dict[str, Any]) -> set[int]:
    decoded = DECODER.decode(json.dumps(event).encode())
    assert not isinstance(decoded, Unreadable)
    return {compiled.rule.id for compiled in RuleSet(snapshot_of(rules).rules).match(decoded)}


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


def test_a_rule_that_is_disabled_or_deleted_fires_no_longer() -> None:
    given = snapshot_of({1: record("a"), 2: record("b"), 3: record("c", filter_message_regex="shop")}).rules
    rules = RuleSet(given)
    rules.update(1, snapshot_of({1: record("a", enabled=False)}).rules[1])
    rules.update(3, None)
    rules.update(99, None)
    event = DECODER.decode(json.dumps(PLAIN_EVENT).encode())
    assert not isinstance(event, Unreadable)
    assert [compiled.id for compiled in rules.match(event)] == [2]
    assert len(rules) == 1


def test_all_jobs_of_a_rule_with_a_rate_limit_have_one_key() -> None:
    limited, free = record("a", delivery={"rate_limit": "20/s"}), record("b")
    decoded = DECODER.decode(json.dumps(PLAIN_EVENT).encode())
    assert not isinstance(decoded, Unreadable)
    compiled = RuleSet(snapshot_of({1: limited, 2: free}).rules).match(decoded)

    assert {one.rule.id: len(set(one.jobs.keys)) for one in compiled} == {1: 1, 2: 16}
