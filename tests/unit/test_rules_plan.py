"""What applying files would do."""

from typing import Any

import pytest

from processor.rules import KeyRing, RuleDraft, RuleSnapshot, RuleTable
from processor.rules.changes import build
from processor.rules.plan import Plan, SourcedDraft, Wanted, make_plan
from processor.rules.view import exported, shown
from tests.support.rules import KEY, OTHER_KEY, draft, record, ring, snapshot_of, table_of, writer

SECRET = "hunter2-very-secret"


def wanted(*drafts: RuleDraft, next_id: int | None = None) -> Wanted:
    return Wanted(
        tuple(SourcedDraft(f"f.yaml, document {n}", one) for n, one in enumerate(drafts, 1)), next_id
    )


def steps(plan: Plan) -> list[tuple[str, str, int | None]]:
    return [(step.action, step.name, step.id) for step in plan.steps]


def applied(table: RuleTable, said: Wanted, keys: KeyRing | None = None, **options: Any) -> Plan:
    """Plan, write, and apply what was written to the table; the plan."""
    by = writer(keys)
    plan = make_plan(said, table.snapshot(), by.keys, **options)
    assert not plan.invalid
    offset = table.snapshot().next_offset
    for number, (key, value) in enumerate(build(plan.changes, table.snapshot(), by).records):
        table.apply(key, value, None, offset + number)
    return plan


def only(plan: Plan) -> str:
    """The reason of the one step, which is invalid; nothing is changed then."""
    assert [step.action for step in plan.steps] == ["invalid"]
    assert plan.changes == ()
    return plan.steps[0].reason


def test_rules_are_matched_by_name() -> None:
    table = table_of([(b"1", record("same")), (b"2", record("other")), (b"3", record("unmentioned"))])

    plan = applied(table, wanted(draft("new"), draft("same"), draft("other", enabled=False)))

    assert steps(plan) == [("created", "new", None), ("unchanged", "same", 1), ("updated", "other", 2)]
    assert [rule.name for rule in table.snapshot().rules.values()] == ["same", "other", "unmentioned", "new"]


def test_true_in_place_of_1_changes_a_pattern_and_another_order_of_names_does_not() -> None:
    table = table_of([(b"1", record("a", filter_pattern={"a": [1, "x"], "b": [0]}))])

    assert steps(applied(table, wanted(draft("a", filter_pattern={"b": [0], "a": [1, "x"]})))) == [
        ("unchanged", "a", 1)
    ]
    assert steps(applied(table, wanted(draft("a", filter_pattern={"a": [True, "x"], "b": [0]})))) == [
        ("updated", "a", 1)
    ]
    assert table.snapshot().rules[1].filter_pattern == {"a": [True, "x"], "b": [0]}


def test_applying_twice_changes_nothing_the_second_time() -> None:
    table = table_of([])
    said = wanted(
        draft(
            "a",
            action_target={"secret": "https://h.example/x"},
            action_secret=SECRET,
            filter_severity="error,",
            labels={"b": "1", "a": "2"},
            delivery={"timeout": "90s", "headers": {"A": {"secret": SECRET}, "B": "b"}},
            muted_until="2026-11-23T12:00:00+02:00",
        ),
        draft("b"),
    )
    applied(table, said, set_name="shop")

    plan = applied(table, said, set_name="shop")

    assert [step.action for step in plan.steps] == ["unchanged", "unchanged"]
    assert plan.changes == ()
    assert applied(table, said).changes == ()  # without --set they stay where they are


@pytest.mark.parametrize(
    "change",
    [
        {"action_secret": "another"},
        {"action_secret": None},
        {"action_secret": {"ref": "env:TOCSIN_SECRET_A"}},
        {"enabled": False},
        {"filter_severity": ["fatal"]},
        {"delivery": {"timeout": "9s"}},
        {"set": "other"},
    ],
)
def test_any_difference_is_an_update(change: dict[str, Any]) -> None:
    table = table_of([])
    applied(table, wanted(draft("a", action_secret=SECRET)))

    assert steps(applied(table, wanted(draft("a", **{"action_secret": SECRET, **change})))) == [
        ("updated", "a", 1)
    ]


def test_a_secret_that_can_not_be_opened_counts_as_changed() -> None:
    table = table_of([])
    said = wanted(draft("a", action_secret=SECRET))
    applied(table, said)

    assert steps(applied(table, said, ring(OTHER_KEY))) == [("updated", "a", 1)]
    assert steps(applied(table, said, ring(OTHER_KEY))) == [("unchanged", "a", 1)]


def test_a_new_first_key_seals_everything_anew_once() -> None:
    table = table_of([])
    said = wanted(draft("a", action_secret=SECRET))
    applied(table, said)
    rotated = ring(OTHER_KEY, KEY)

    assert steps(applied(table, said, rotated)) == [("updated", "a", 1)]
    assert steps(applied(table, said, rotated)) == [("unchanged", "a", 1)]


def test_an_unsealed_rule_is_sealed_by_applying_it() -> None:
    table = table_of([(b"1", record("a", action_secret=SECRET))])

    assert steps(applied(table, wanted(draft("a", action_secret=SECRET)))) == [("updated", "a", 1)]
    assert not table.snapshot().unsealed


@pytest.mark.parametrize(
    "said", [{"action_secret": SECRET}, {"delivery": {"headers": {"A": {"secret": SECRET}}}}]
)
def test_a_plain_secret_without_a_key_is_invalid_and_names_the_command(said: dict[str, Any]) -> None:
    for snapshot in (
        snapshot_of(),
        snapshot_of({1: record("a")}),
        table_of([(b"1", record("a", foo=1))]).snapshot(),
    ):
        reason = only(make_plan(wanted(draft("a", **said)), snapshot, ring()))
        assert reason.startswith("f.yaml, document 1: ")
        assert "tocsin secrets new-key" in reason
        assert SECRET not in reason


def test_a_placeholder_without_a_secret_to_keep_is_invalid() -> None:
    for snapshot in (snapshot_of(), snapshot_of({1: record("a")})):
        assert "action_secret: " in only(
            make_plan(wanted(draft("a", action_secret="***")), snapshot, ring(KEY))
        )


def test_one_invalid_rule_and_nothing_is_changed() -> None:
    plan = make_plan(wanted(draft("a"), draft("b", action_secret="***")), snapshot_of(), ring(KEY))

    assert [step.action for step in plan.steps] == ["created", "invalid"]
    assert [step.name for step in plan.invalid] == ["b"]
    assert plan.changes == ()


def test_an_invalid_record_of_the_same_name_is_repaired_in_place() -> None:
    table = table_of([(b"4", record("a", foo=1))])

    assert steps(applied(table, wanted(draft("a")))) == [("updated", "a", 4)]
    assert list(table.snapshot().rules) == [4]
    assert not table.snapshot().invalid


def test_a_name_that_several_rules_have_needs_the_id() -> None:
    snapshot = snapshot_of({1: record("a"), 2: record("a")})

    assert "ids 1, 2" in only(make_plan(wanted(draft("a")), snapshot, ring()))
    assert steps(make_plan(wanted(draft("a", id=2)), snapshot, ring())) == [("unchanged", "a", 2)]


def test_only_what_was_applied_under_the_same_set_is_pruned() -> None:
    table = table_of(
        [
            (b"1", record("kept", set="shop")),
            (b"2", record("gone", set="shop")),
            (b"3", record("theirs", set="other")),
            (b"4", record("nobodys")),
        ]
    )

    plan = applied(table, wanted(draft("kept"), draft("new")), set_name="shop", prune=True)

    assert steps(plan) == [("unchanged", "kept", 1), ("created", "new", None), ("deleted", "gone", 2)]
    assert not plan.empties_set
    assert [rule.name for rule in table.snapshot().rules.values()] == ["kept", "theirs", "nobodys", "new"]
    assert table.snapshot().rules[5].set == "shop"


def test_pruning_everything_in_a_set_is_told() -> None:
    snapshot = snapshot_of({1: record("a", set="shop"), 2: record("b")})

    assert make_plan(wanted(), snapshot, ring(), set_name="shop", prune=True).empties_set
    assert not make_plan(wanted(), snapshot, ring(), set_name="empty", prune=True).empties_set
    assert not make_plan(wanted(), snapshot, ring(), set_name="shop").empties_set


def test_a_set_takes_over_a_rule_of_another() -> None:
    table = table_of([(b"1", record("a", set="old"))])

    assert steps(applied(table, wanted(draft("a")), set_name="new")) == [("updated", "a", 1)]
    assert table.snapshot().rules[1].set == "new"


def test_ids_asked_for_are_kept_on_an_empty_table_in_any_order() -> None:
    table = table_of([])

    plan = applied(
        table, wanted(draft("x"), draft("b", id=9, uid="UB"), draft("a", id=3, uid="UA"), next_id=20)
    )

    assert steps(plan) == [("created", "x", None), ("created", "b", 9), ("created", "a", 3)]
    snapshot = table.snapshot()
    assert {i: (r.name, r.uid) for i, r in snapshot.rules.items()} == {
        3: ("a", "UA"),
        9: ("b", "UB"),
        20: ("x", "U1"),
    }
    assert snapshot.next_id == 21


def test_a_deleted_rule_that_is_applied_again_gets_another_id() -> None:
    table = table_of([])
    applied(table, wanted(draft("a", id=1)))
    table.apply(b"1", None, None, 9)

    assert steps(applied(table, wanted(draft("a", id=1)))) == [("created", "a", None)]
    assert list(table.snapshot().rules) == [2]


def round_trip(snapshot: RuleSnapshot, *, with_sealed: bool) -> Wanted:
    drafts = [
        RuleDraft.model_validate(exported(rule, with_sealed=with_sealed)) for rule in snapshot.rules.values()
    ]
    return wanted(*drafts, next_id=snapshot.next_id)


def test_an_export_applied_to_its_own_table_changes_nothing() -> None:
    table = table_of([])
    applied(
        table,
        wanted(
            draft("a", action_secret=SECRET, action_target={"secret": "https://h.example/x"}),
            draft("b", delivery={"headers": {"A": {"secret": SECRET}, "B": {"ref": "file:b"}}}, set="shop"),
        ),
    )

    for with_sealed in (False, True):
        assert applied(table, round_trip(table.snapshot(), with_sealed=with_sealed)).changes == ()


def test_an_export_with_sealed_secrets_restores_an_empty_table() -> None:
    table, restored = table_of([]), table_of([])
    applied(table, wanted(draft("gone"), draft("a", action_secret=SECRET, set="shop")))
    table.apply(b"1", None, None, 9)

    applied(restored, round_trip(table.snapshot(), with_sealed=True))

    assert restored.snapshot().rules == table.snapshot().rules
    assert restored.snapshot().next_id == table.snapshot().next_id


def test_what_is_shown_holds_no_secret() -> None:
    table = table_of(
        [(b"9", record("u", action_secret=SECRET, action_target={"secret": f"https://h.example/{SECRET}"}))]
    )
    applied(table, wanted(draft("a", action_secret=SECRET, delivery={"headers": {"A": {"secret": SECRET}}})))

    for rule in table.snapshot().rules.values():
        for text in (str(shown(rule)), str(exported(rule)), str(exported(rule, with_sealed=True))):
            assert SECRET not in text
        assert "sealed:" not in str(shown(rule))
        assert "sealed:" not in str(exported(rule))
        assert shown(rule)["action_secret"] == {"secret": "***"}
    assert shown(table.snapshot().rules[9])["action_target"] == {
        "secret": "***",
        "origin": "https://h.example",
    }
