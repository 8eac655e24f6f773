"""Sealing a whole table with a new key."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from processor.cli.main import main
from processor.rules import KeyRing, RuleSnapshot, RuleTable, Update, to_record
from processor.rules.changes import build
from processor.rules.reseal import ResealStep, plan_reseal
from tests.support.logs import logging_as_before
from tests.support.rules import KEY, OTHER_KEY, record, ring, snapshot_of, writer

OLD, NEW = KEY, OTHER_KEY
BOTH = (NEW, OLD)


def sealed(plain: str, rule_id: int, key: str = OLD) -> dict[str, str]:
    return {"secret": ring(key).seal(plain, rule_id)}


def everything(rule_id: int, key: str = OLD) -> dict[str, Any]:
    """Fields with a secret in every place that may hold one."""
    return {
        "action_target": {**sealed("https://h.example/x", rule_id, key), "origin": "https://h.example"},
        "action_secret": [
            {**sealed("a", rule_id, key), "not_after": "2026-11-24T10:00:00Z"},
            sealed("b", rule_id, key),
            {"ref": "file:c"},
        ],
        "delivery": {"headers": {"A": sealed("d", rule_id, key), "B": "plain text"}, "rate_limit": "5/h"},
    }


def opened(snapshot: RuleSnapshot, keys: KeyRing) -> dict[int, list[str]]:
    return {
        rule.id: [keys.open(secret.secret, rule.id) for _, secret in rule.secrets()]
        for rule in snapshot.rules.values()
    }


def actions(snapshot: RuleSnapshot, keys: KeyRing) -> list[tuple[str, int]]:
    return [(step.action, step.id) for step in plan_reseal(snapshot, keys).steps]


def resealed(snapshot: RuleSnapshot, keys: KeyRing, limit: int = 1_000) -> tuple[RuleSnapshot, int]:
    """The table after all that is planned was written, and how many transactions that took."""
    table = RuleTable()
    for rule_id, rule in snapshot.rules.items():
        table.apply(b"%d" % rule_id, to_record(rule), None, snapshot.offsets[rule.id])
    offset, transactions = 1_000, 0
    while changes := plan_reseal(table.snapshot(), keys).changes:
        batch = build(changes, table.snapshot(), writer(keys, (limit, 1 << 20)))
        for one in batch.records:
            table.apply(one.key, one.value, None, offset)
            offset += 1
        transactions += 1
        assert transactions <= len(snapshot.rules)
    return table.snapshot(), transactions


def test_every_secret_of_a_rule_is_sealed_by_the_first_key_and_says_the_same() -> None:
    before = snapshot_of({7: record("a", **everything(7))})
    after, _ = resealed(before, ring(*BOTH))

    assert (
        opened(after, ring(NEW)) == opened(before, ring(OLD)) == {7: ["https://h.example/x", "a", "b", "d"]}
    )


def test_nothing_else_of_the_rule_changes_but_who_wrote_it() -> None:
    before = snapshot_of({7: record("a", uid="U", set="s", labels={"l": "1"}, paused=True, **everything(7))})
    after, _ = resealed(before, ring(*BOTH))

    def rest(snapshot: RuleSnapshot) -> dict[str, Any]:
        rule = snapshot.rules[7]
        hidden = {"action_target", "action_secret", "delivery", "updated_by", "updated_at"}
        return {
            **rule.model_dump(exclude=hidden),
            "limit": rule.delivery.rate_limit,
            "origin": rule.origin,
            "plain": rule.delivery.headers["B"],
            "windows": [w.not_after for w in rule.action_secret]
            if isinstance(rule.action_secret, tuple)
            else None,
        }

    assert rest(after) == rest(before)
    assert after.rules[7].updated_by == "tests"


def test_what_the_first_key_has_sealed_and_rules_without_secrets_are_left_alone() -> None:
    snapshot = snapshot_of({1: record("a", action_secret=sealed("s", 1, NEW)), 2: record("b")})
    plan = plan_reseal(snapshot, ring(*BOTH))

    assert plan.steps == (ResealStep("unchanged", "a", 1),)
    assert plan.changes == ()


def test_what_a_plain_producer_left_open_is_sealed() -> None:
    before = snapshot_of({1: record("a", action_secret="open")})
    after, _ = resealed(before, ring(NEW))

    assert before.unsealed == {1: ("action_secret",)}
    assert not after.unsealed
    assert opened(after, ring(NEW)) == {1: ["open"]}


def test_a_rule_that_can_t_be_opened_is_named_with_the_field_and_the_others_are_done() -> None:
    snapshot = snapshot_of(
        {
            1: record("lost", action_secret=sealed("s", 1, OLD)),
            2: record("stolen", action_secret=sealed("s", 3, NEW)),
            3: record("fine", action_secret="open"),
        }
    )
    plan = plan_reseal(snapshot, ring(NEW))

    assert actions(snapshot, ring(NEW)) == [("failed", 1), ("failed", 2), ("resealed", 3)]
    assert plan.failed[0].reason.startswith(
        "action_secret: is sealed with key k1, which is not in secrets.keys"
    )
    assert "sealed for another rule" in plan.failed[1].reason
    assert [change.id for change in plan.changes] == [3]


def test_of_a_rule_that_can_be_opened_in_part_that_part_is_done() -> None:
    third = ring("k3:" + KEY[3:])
    lost = {"secret": third.seal("b", 1)}
    before = snapshot_of({1: record("a", action_secret=[sealed("a", 1, OLD), lost])})
    after, _ = resealed(before, ring(*BOTH))

    assert actions(before, ring(*BOTH)) == actions(after, ring(*BOTH)) == [("failed", 1)]
    values = [secret.secret for _, secret in after.rules[1].secrets()]
    assert ring(NEW).open(values[0], 1) == "a"
    assert values[1] == lost["secret"]


def test_rules_that_plain_producers_gave_one_name_are_sealed_both() -> None:
    before = snapshot_of({n: record("same", action_secret=sealed("s", n)) for n in (1, 2)})
    after, _ = resealed(before, ring(*BOTH))

    assert opened(after, ring(NEW)) == {1: ["s"], 2: ["s"]}


@given(st.lists(st.sampled_from(["old", "new", "open", "none"]), max_size=12), st.integers(1, 4))
def test_any_table_is_sealed_in_transactions_of_any_size(kinds: list[str], limit: int) -> None:
    rules = {}
    for rule_id, kind in enumerate(kinds, 1):
        secret: object = {
            "old": sealed("s", rule_id),
            "new": sealed("s", rule_id, NEW),
            "open": "s",
            "none": None,
        }[kind]
        rules[rule_id] = record(f"r{rule_id}", action_secret=secret)
    after, transactions = resealed(snapshot_of(rules), ring(*BOTH), limit)

    stale = sum(kind in {"old", "open"} for kind in kinds)
    assert transactions == -(-stale // limit)
    assert opened(after, ring(NEW)) == {n: ["s"] if kind != "none" else [] for n, kind in enumerate(kinds, 1)}
    assert {action for action, _ in actions(after, ring(NEW))} <= {"unchanged"}


def test_a_change_keeps_the_rule_in_its_set_whoever_asks() -> None:
    change = plan_reseal(snapshot_of({1: record("a", set="s", action_secret="open")}), ring(NEW)).changes[0]

    assert isinstance(change, Update)
    assert (change.id, change.draft.set, change.set) == (1, "s", None)


def test_without_a_key_the_command_says_how_to_make_one(capsys: pytest.CaptureFixture[str]) -> None:
    with logging_as_before():
        assert main(["rules", "reseal"], {}) == 1

    assert capsys.readouterr().err == (
        "tocsin: there is no key in secrets.keys to seal with; make one with `tocsin secrets new-key`\n"
    )
