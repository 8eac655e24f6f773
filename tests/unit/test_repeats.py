"""The judge of repeated requests: it must see what it is there for."""

import pytest

from tests.support.repeats import AttemptKey, Committed, Copy, Interruption, broken_histories, unexcused

KEY = AttemptKey("msg_1", 1)
OTHER = AttemptKey("msg_2", 1)


def copy(sender: str, at: float, key: AttemptKey = KEY) -> Copy:
    return Copy(key, sender, int(at), at)


def committed(at: float, key: AttemptKey = KEY, outcome: str = "delivered") -> Committed:
    return Committed(key, outcome, at, at + 0.1)


KILLED = Interruption("a", "killed", 100.5)
FROZEN = Interruption("a", "frozen", 100.5, 108.5)


def test_one_copy_that_is_committed_needs_no_excuse() -> None:
    assert unexcused([copy("a", 100.0)], [committed(100.0)], []) == []


@pytest.mark.parametrize("interruption", [KILLED, FROZEN])
def test_copy_in_flight_when_its_sender_was_stopped_is_excused(interruption: Interruption) -> None:
    copies = [copy("a", 100.2), copy("b", 107.0)]
    assert unexcused(copies, [committed(107.0)], [interruption]) == []


def test_repeat_without_an_interruption_is_not() -> None:
    copies = [copy("a", 100.2), copy("b", 107.0)]
    assert len(unexcused(copies, [committed(107.0)], [])) == 1
    assert len(unexcused(copies, [committed(107.0)], [Interruption("b", "killed", 107.1)])) == 1


def test_repeat_of_what_was_committed_is_not() -> None:
    copies = [copy("a", 100.2), copy("b", 107.0)]
    (fault,) = unexcused(copies, [committed(100.2)], [KILLED])
    assert "sender='b'" in fault


def test_copy_that_a_later_commit_of_its_sender_left_out_is_not() -> None:
    copies = [copy("a", 96.0), copy("a", 99.0, OTHER), copy("b", 107.0)]
    (fault,) = unexcused(copies, [committed(107.0), committed(99.0, OTHER)], [KILLED])
    assert "not in a commit made after it" in fault


def test_copy_sent_by_a_zombie_is_not() -> None:
    copies = [copy("a", 109.0), copy("b", 107.0)]
    (fault,) = unexcused(copies, [committed(107.0)], [FROZEN])
    assert "begun after frozen" in fault


def test_copy_sent_long_before_is_not() -> None:
    copies = [copy("a", 90.0), copy("b", 107.0)]
    (fault,) = unexcused(copies, [committed(107.0)], [KILLED])
    assert "long before" in fault


def test_copies_sent_while_the_broker_was_away_are_excused() -> None:
    away = Interruption("", "broker away", 100.0, 110.0)
    copies = [copy("a", 105.0), copy("b", 114.0)]
    assert unexcused(copies, [committed(114.0)], [away]) == []
    assert len(unexcused([copy("a", 111.5), copy("b", 114.0)], [committed(114.0)], [away])) == 1


def test_attempt_that_nobody_sent_or_nobody_committed_is_seen() -> None:
    assert len(unexcused([], [committed(1.0)], [])) == 1
    assert unexcused([copy("a", 100.0)], [], [KILLED]) == [f"{KEY}: sent and never committed"]


def test_whole_history_is_one_of_failures_and_one_end() -> None:
    second = AttemptKey("msg_1", 2)
    whole = [committed(2.0, second), committed(1.0, outcome="failed")]
    assert broken_histories(whole, ["msg_1"]) == []
    assert broken_histories([committed(1.0, outcome="dead")], ["msg_1"]) == []


@pytest.mark.parametrize(
    "history",
    [
        [],
        [(1, "failed")],
        [(2, "delivered")],
        [(1, "failed"), (3, "delivered")],
        [(1, "failed"), (1, "failed"), (2, "delivered")],
        [(1, "delivered"), (2, "delivered")],
        [(1, "delivered"), (1, "dead")],
    ],
)
def test_history_with_a_gap_a_repeat_or_two_ends_is_broken(history: list[tuple[int, str]]) -> None:
    records = [committed(1.0, AttemptKey("msg_1", number), outcome) for number, outcome in history]
    assert len(broken_histories(records, ["msg_1"])) == 1


def test_record_of_an_unknown_job_is_seen() -> None:
    assert len(broken_histories([committed(1.0)], [])) == 1
