"""What applying files of scan rules would change."""

from typing import Any

from processor.rules.planning import SourcedDraft
from processor.scanning.plan import Plan, Wanted, make_plan
from processor.scanning.rule import ScanDraft
from processor.scanning.table import ScanSnapshot, ScanTable
from tests.support.scan_rules import applied, draft, record, table_of


def wanted(*drafts: ScanDraft, next_id: int | None = None) -> Wanted:
    return Wanted(
        tuple(SourcedDraft(f"f.yaml, document {n}", one) for n, one in enumerate(drafts, 1)), next_id
    )


def steps(plan: Plan) -> list[tuple[str, str, int | None]]:
    return [(step.action, step.name, step.id) for step in plan.steps]


def planned(table: ScanTable, *drafts: ScanDraft, **options: Any) -> Plan:
    """Plan and write it; the plan. Planned again it would change nothing."""
    plan = make_plan(wanted(*drafts), table.snapshot(), **options)
    applied(table, *plan.changes)
    assert not make_plan(wanted(*drafts), table.snapshot(), **options).changes
    return plan


def refused(snapshot: ScanSnapshot, *drafts: ScanDraft, **options: Any) -> list[str]:
    plan = make_plan(wanted(*drafts), snapshot, **options)
    assert not plan.changes
    return [step.reason for step in plan.invalid]


def test_rules_are_matched_by_workload_and_name() -> None:
    table = table_of([(b"1", record("oom")), (b"2", record("oom", workload="w"))])
    plan = planned(
        table, draft("oom"), draft("oom", workload="w", severity="fatal"), draft("oom", workload="v")
    )
    assert steps(plan) == [("unchanged", "oom", 1), ("updated", "oom", 2), ("created", "oom", None)]


def test_override_may_name_a_global_rule_of_the_same_files_whatever_the_order() -> None:
    table = ScanTable()
    plan = planned(table, draft("mine", workload="w", overrides="disk"), draft("disk"))
    assert [action for action, _, _ in steps(plan)] == ["created", "created"]
    by_name = {rule.name: rule for rule in table.snapshot().rules.values()}
    assert by_name["mine"].overrides == by_name["disk"].id


def test_name_and_id_of_the_same_global_rule_are_no_difference() -> None:
    table = table_of([(b"1", record("oom")), (b"2", record("mine", workload="w", overrides=1))])
    for reference in (1, "oom"):
        plan = planned(table, draft("mine", workload="w", overrides=reference))
        assert steps(plan) == [("unchanged", "mine", 2)]


def test_override_of_nothing_is_an_invalid_step_with_its_place() -> None:
    said = refused(ScanTable().snapshot(), draft("ok"), draft("mine", workload="w", overrides="oom"))
    assert said == ["f.yaml, document 2: overrides: there is no global rule 'oom'"]


def test_pruning_a_global_rule_takes_what_overrides_it_along_once() -> None:
    table = table_of(
        [
            (b"1", record("oom", set="s")),
            (b"2", record("mine", workload="w", overrides=1, set="s")),
            (b"3", record("theirs", workload="v", overrides=1)),
            (b"4", record("stays", set="s")),
        ]
    )
    plan = planned(table, draft("stays"), set_name="s", prune=True)
    assert sorted(steps(plan)) == [
        ("deleted", "mine", 2),
        ("deleted", "oom", 1),
        ("deleted", "theirs", 3),
        ("unchanged", "stays", 4),
    ]
    assert list(table.snapshot().rules) == [4]


def test_files_cannot_keep_an_override_of_what_they_prune() -> None:
    table = table_of(
        [
            (b"1", record("oom", set="s")),
            (b"2", record("mine", workload="w", overrides=1, set="s")),
        ]
    )
    mine = draft("mine", workload="w", overrides=1)
    assert refused(table.snapshot(), mine, set_name="s", prune=True) == [
        "f.yaml, document 1: overrides: rule 1 (oom) would be pruned"
    ]


def test_invalid_record_is_mended_only_by_a_draft_for_its_workload() -> None:
    table = table_of([(b"1", record("oom", workload="w", pattern="("))])
    plan = planned(table, draft("oom", workload="v"), draft("oom", workload="w"))
    assert steps(plan) == [("created", "oom", None), ("updated", "oom", 1)]
