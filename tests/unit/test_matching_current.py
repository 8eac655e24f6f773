"""The rules in force now: whole or not at all."""

from dataclasses import dataclass

from processor.matching.current import CurrentRules
from processor.rules import RuleSnapshot, RuleTable
from tests.support.rules import record


@dataclass
class FakeRules:
    """The live table; `changes` records are applied, one with each look at its state."""

    table: RuleTable
    next_offset: int
    topic_id: str | None = "id"
    reason: str | None = None
    changes: int = 0

    def snapshot(self) -> RuleSnapshot:
        return self.table.snapshot()

    def state(self) -> tuple[str | None, int, str | None]:
        if self.changes:
            self.changes -= 1
            self.table.apply(b"9", record("changed"), None, self.next_offset)
        return self.topic_id, self.next_offset, self.reason


def rules(**more: object) -> FakeRules:
    table = RuleTable()
    table.apply(b"1", record("a"), None, 0)
    return FakeRules(table, 1, **more)  # type: ignore[arg-type]


def test_version_is_that_of_the_whole_table() -> None:
    current = CurrentRules(rules(), 0)
    version = current.version()
    assert version is not None
    assert (len(version.rules), version.topic_id, version.next_offset) == (1, "id", 1)
    assert current.waiting_for() is None


def test_markers_behind_the_last_record_count() -> None:
    live = rules()
    live.next_offset = 4
    version = CurrentRules(live, 0).version()
    assert version is not None
    assert version.next_offset == 4


def test_a_record_that_is_applied_and_not_yet_told_counts() -> None:
    live = rules()
    live.next_offset = 0
    version = CurrentRules(live, 0).version()
    assert version is not None
    assert version.next_offset == 1


def test_no_version_while_the_table_is_not_whole() -> None:
    assert CurrentRules(rules(topic_id=None, reason="being read"), 0).version() is None


def test_no_version_of_a_table_that_changed_meanwhile_but_of_the_next_look() -> None:
    current = CurrentRules(rules(changes=1), 0)
    assert current.version() is None
    version = current.version()
    assert version is not None
    assert len(version.rules) == 2


def test_a_table_that_stays_is_built_once() -> None:
    live = rules()
    current = CurrentRules(live, 0)
    first, second = current.version(), current.version()
    assert first is not None
    assert second is not None
    assert first.rules is second.rules
    live.table.apply(b"2", record("b"), None, 1)
    third = current.version()
    assert third is not None
    assert third.rules is not first.rules
