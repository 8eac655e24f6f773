"""Events wait until the rule table has caught up with what was acknowledged before them."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal

import pytest

from processor.kafka.errors import BrokerUnavailable
from processor.matching.freshness import LOUD_AFTER, PATIENCE, Freshness


@dataclass
class FakeTable:
    """A table whose time passes while it is waited for. `plan`: what happens at which time."""

    next_offset: int = 10
    reason: str | None = None
    now: float = 0.0
    plan: list[tuple[float, Callable[[], None]]] = field(default_factory=list)
    suspected: int = 0

    def clock(self) -> float:
        return self.now

    def pass_time(self, seconds: float) -> None:
        self.now += seconds
        while self.plan and self.plan[0][0] <= self.now:
            self.plan.pop(0)[1]()

    def at(self, time: float, *, next_offset: int | None = None, reason: str | None = "same") -> None:
        def happen() -> None:
            self.next_offset = self.next_offset if next_offset is None else next_offset
            self.reason = self.reason if reason == "same" else reason

        self.plan.append((time, happen))

    def state(self) -> tuple[str | None, int, str | None]:
        return (None, -1, self.reason) if self.reason else ("id", self.next_offset, None)

    def suspect(self) -> None:
        self.suspected += 1

    def wait_applied(self, next_offset: int, timeout: float) -> bool:
        until = self.now + timeout
        while not self._there(next_offset) and self.now < until:
            self.pass_time(0.01)
        return self._there(next_offset)

    def _there(self, next_offset: int) -> bool:
        return self.reason is None and self.next_offset >= next_offset


def freshness(
    table: FakeTable,
    end: int | Callable[[float], int] = 10,
    mode: Literal["strict", "eventual"] = "strict",
    max_wait: float | None = None,
) -> Freshness:
    ask = end if callable(end) else lambda timeout: end
    return Freshness(table, ask, mode, max_wait, table.clock)


def between(table: FakeTable, turns: int = 10_000) -> Callable[[], bool]:
    left = [turns]

    def once() -> bool:
        left[0] -= 1
        table.pass_time(0.05)
        return left[0] > 0

    return once


def never() -> bool:
    raise AssertionError("there was nothing to wait for")


def test_a_table_that_has_it_all_is_not_waited_for() -> None:
    table = FakeTable(next_offset=10)
    assert freshness(table, 10).wait(never)
    assert table.now == 0.0


def test_a_record_behind_the_table_is_waited_for_on_the_spot() -> None:
    table = FakeTable(next_offset=10)
    table.at(0.1, next_offset=11)
    assert freshness(table, 11).wait(never)
    assert 0.1 <= table.now < PATIENCE


def test_the_group_is_served_while_the_wait_is_long_and_the_end_is_asked_for_again() -> None:
    table = FakeTable(next_offset=10)
    table.at(3.0, next_offset=12)
    asked: list[int] = []

    def end(timeout: float) -> int:
        asked.append(11 + (table.now > 1))
        return asked[-1]

    served = []

    def serve() -> bool:
        served.append(table.now)
        table.pass_time(0.05)
        return True

    assert freshness(table, end).wait(serve)
    assert table.now >= 3.0
    assert {11, 12} == set(asked)
    assert max(b - a for a, b in zip([0.0, *served], served, strict=False)) <= PATIENCE + 0.1


def test_a_long_wait_is_loud_until_it_is_over(caplog: pytest.LogCaptureFixture) -> None:
    table = FakeTable(next_offset=10)
    table.at(LOUD_AFTER + 5, next_offset=11)
    fresh = freshness(table, 11)
    loud_at: list[float] = []

    def serve() -> bool:
        table.pass_time(0.05)
        if fresh.blocked is not None:
            loud_at.append(table.now)
            assert "offset 11, the table is at 10" in fresh.blocked
        return True

    assert fresh.wait(serve)
    assert LOUD_AFTER <= loud_at[0] < LOUD_AFTER + 1
    assert fresh.blocked is None
    said = [record.message for record in caplog.records]
    assert said.count("events wait for the rule table") == 1


def test_nobody_waits_any_more_when_there_is_nothing_left_to_judge() -> None:
    table = FakeTable(next_offset=10)
    fresh = freshness(table, 11)
    assert not fresh.wait(between(table, 200))
    assert fresh.blocked is None


def test_a_broker_without_an_answer_is_waited_for() -> None:
    table = FakeTable(next_offset=10)

    def end(timeout: float) -> int:
        table.pass_time(timeout)
        if table.now < 30:
            raise BrokerUnavailable("no answer")
        return 10

    assert freshness(table, end).wait(between(table))
    assert table.now >= 30


@pytest.mark.parametrize("mode", ["strict", "eventual"])
def test_a_table_that_is_being_read_again_is_waited_for(mode: Literal["strict", "eventual"]) -> None:
    table = FakeTable(reason="being read")
    table.at(7.0, reason=None)
    assert freshness(table, 10, mode, max_wait=0.5).wait(between(table))
    assert table.now >= 7.0


def test_an_end_below_the_table_is_another_topic() -> None:
    table = FakeTable(next_offset=10)
    table.at(0.5, reason="made again")
    table.at(1.0, next_offset=3, reason=None)
    assert freshness(table, 3).wait(between(table))
    assert table.suspected > 0
    assert table.now >= 1.0


def test_eventual_asks_nobody() -> None:
    def end(timeout: float) -> int:
        raise AssertionError("asked")

    assert freshness(FakeTable(next_offset=10), end, "eventual").wait(never)


def test_max_wait_goes_on_loudly(caplog: pytest.LogCaptureFixture) -> None:
    table = FakeTable(next_offset=10)
    assert freshness(table, 11, max_wait=2.0).wait(between(table))
    assert 2.0 <= table.now < 2.5
    assert "may be old" in caplog.text
