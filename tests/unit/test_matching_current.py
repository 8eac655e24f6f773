"""The rules in force now: whole or not at all."""

from dataclasses import dataclass

from processor.matching.current import FEW, HOLD, WARM_UP, CurrentRules
from processor.matching.engine import RuleSet
from processor.matching.shards import Built, Job
from processor.rules import RuleTable
from processor.rules.table import Changes
from tests.support.rules import record


@dataclass
class FakeRules:
    """The live table; `late` records are applied, one with each look at its state."""

    table: RuleTable
    next_offset: int
    topic_id: str | None = "id"
    reason: str | None = None
    late: int = 0

    def changes(self, since: int) -> Changes:
        return self.table.changes(since)

    @property
    def version(self) -> int:
        return self.table.version

    def state(self) -> tuple[str | None, int, str | None]:
        state = self.topic_id, self.next_offset, self.reason
        if self.late:
            self.late -= 1
            self.table.apply(b"9", record("changed"), None, self.next_offset)
        return state


def rules(**more: object) -> FakeRules:
    table = RuleTable()
    table.apply(b"1", record("a"), None, 0)
    return FakeRules(table, 1, **more)  # type: ignore[arg-type]


def current(live: FakeRules) -> CurrentRules:
    return CurrentRules(live, RuleSet())


def test_version_is_that_of_the_whole_table() -> None:
    whole = current(rules())
    version = whole.version()
    assert version is not None
    assert (len(version.rules), version.topic_id, version.next_offset) == (1, "id", 1)
    assert whole.waiting_for() is None


def test_markers_behind_the_last_record_count() -> None:
    live = rules()
    live.next_offset = 4
    version = current(live).version()
    assert version is not None
    assert version.next_offset == 4


def test_a_record_that_is_applied_and_not_yet_told_counts() -> None:
    live = rules()
    live.next_offset = 0
    version = current(live).version()
    assert version is not None
    assert version.next_offset == 1


def test_no_version_while_the_table_is_not_whole() -> None:
    assert current(rules(topic_id=None, reason="being read")).version() is None


def test_no_version_of_a_table_that_changed_meanwhile_but_of_the_next_look() -> None:
    changing = current(rules(late=2))
    assert changing.version() is None
    version = changing.version()
    assert version is not None
    assert len(version.rules) == 2


def test_only_what_has_changed_is_taken_in() -> None:
    live = rules()
    live.table.apply(b"2", record("b"), None, 1)
    following = current(live)
    first = following.version()
    assert first is not None
    kept = {compiled.id: compiled for compiled in first.rules.rules}
    live.table.apply(b"2", record("b", filter_source="x"), None, 2)
    live.table.apply(b"3", record("c"), None, 3)
    live.table.apply(b"3", None, None, 4)
    second = following.version()
    assert second is not None
    now = {compiled.id: compiled for compiled in second.rules.rules}
    assert set(now) == {1, 2}
    assert now[1] is kept[1]
    assert now[2].sources == frozenset({"x"})


def test_a_rebuilt_table_takes_the_place_of_the_old_one() -> None:
    live = rules()
    following = current(live)
    assert following.version() is not None
    live.table.reset()
    live.table.apply(b"7", record("other"), None, 0)
    version = following.version()
    assert version is not None
    assert [compiled.id for compiled in version.rules.rules] == [7]


def test_many_changes_hold_the_loop_a_little_at_a_time() -> None:
    live = rules()
    for number in range(2, 400):
        live.table.apply(b"%d" % number, record(f"r{number}"), None, number)
    ticks = iter(range(1_000))
    slow = CurrentRules(live, RuleSet(), clock=lambda: next(ticks) * HOLD)
    turns = 1
    while (version := slow.version()) is None:
        turns += 1
    assert turns > 2
    assert len(version.rules) == 399


class Never:
    """A builder that takes a job and is never done."""

    def submit(self, job: Job) -> None:
        pass

    def finished(self) -> Built | None:
        return None


def test_at_first_many_rules_are_waited_for_until_they_are_compiled_but_not_for_ever() -> None:
    live = rules()
    for number in range(2, FEW + 10):
        live.table.apply(
            b"%d" % number, record(f"r{number}", filter_message_regex=f"x{number}y"), None, number
        )
    now = [0.0]
    waiting = CurrentRules(live, RuleSet(builder=Never()), clock=lambda: now[0])
    assert waiting.version() is None
    now[0] = WARM_UP - 1
    assert waiting.version() is None
    now[0] = WARM_UP + 1
    assert waiting.version() is not None
    live.table.apply(b"5000", record("later"), None, 5_000)
    now[0] = 0.0
    assert waiting.version() is not None  # once it has begun, changes act at once
