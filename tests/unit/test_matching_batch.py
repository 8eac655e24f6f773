"""What is judged and not yet committed: when to write it, and what is in it."""

from processor.kafka.records import OutRecord, Position
from processor.matching.batch import BEHIND_WAIT, HIT_WAIT, MAX_BYTES, MAX_RECORDS, QUIET_WAIT, Batch, Outcome
from tests.support.fakes import FakeRecord

POSITION = Position("event-log", 0)
OTHER = Position("event-log", 1)


def job(name: str, value: bytes = b"{}") -> OutRecord:
    return OutRecord("jobs", name.encode(), value, [])


def letter(name: str) -> OutRecord:
    return OutRecord("events.dead", name.encode(), None, [])


def judged(
    batch: Batch, at: int, records: list[OutRecord], outcome: Outcome, now: float, milliseconds: int = 1_000
) -> None:
    """An event at offset `at` of POSITION, as the loop puts it into a batch."""
    if outcome == "unmatched":
        batch.outcomes[outcome] += 1
    else:
        batch.add(FakeRecord(at=at, milliseconds=milliseconds), records, outcome, now)
    batch.advance(POSITION, at + 1, now)


def names(batch: Batch) -> list[bytes | None]:
    return [record.key for record in batch.records]


def test_nothing_is_due_before_anything_is_judged() -> None:
    assert Batch().due_at() is None


def test_offsets_alone_wait_longer_than_hits() -> None:
    batch = Batch()
    judged(batch, 0, [], "unmatched", 100.0)
    judged(batch, 1, [], "unmatched", 100.05)
    assert batch.due_at() == 100.0 + QUIET_WAIT
    judged(batch, 2, [job("a")], "matched", 100.06)
    judged(batch, 3, [job("b")], "matched", 100.064)
    assert batch.due_at() == 100.06 + HIT_WAIT


def test_a_backlog_is_worked_off_in_larger_transactions() -> None:
    batch = Batch()
    batch.behind = True
    judged(batch, 0, [job("a")], "matched", 100.0)
    assert batch.due_at() == 100.0 + BEHIND_WAIT
    batch.behind = False
    assert batch.due_at() == 100.0 + HIT_WAIT


def test_a_late_hit_does_not_put_off_what_has_waited() -> None:
    batch = Batch()
    judged(batch, 0, [], "unmatched", 100.0)
    judged(batch, 1, [job("a")], "matched", 100.0 + QUIET_WAIT - 0.001)
    assert batch.due_at() == 100.0 + QUIET_WAIT


def test_offsets_are_what_comes_after_the_last_event_and_never_fall() -> None:
    batch = Batch()
    judged(batch, 7, [], "unmatched", 1.0)
    batch.advance(POSITION, 10, 1.0)
    batch.advance(POSITION, 9, 1.0)
    batch.advance(OTHER, 3, 1.0)
    assert batch.next_offsets == {POSITION: 10, OTHER: 3}
    assert batch.owns([OTHER])
    assert not batch.owns([Position("event-log", 2)])


def test_it_is_full_by_number_and_by_bytes() -> None:
    many, large = Batch(), Batch()
    judged(many, 0, [job("a")] * (MAX_RECORDS - 1), "matched", 1.0)
    assert not many.full()
    judged(many, 1, [job("a")], "matched", 1.0)
    assert many.full()
    judged(large, 0, [job("a", bytes(MAX_BYTES))], "matched", 1.0)
    assert large.full()


def test_a_letter_takes_the_place_of_all_that_its_event_made() -> None:
    batch = Batch()
    judged(batch, 0, [job("a1"), job("a2")], "matched", 1.0)
    judged(batch, 1, [], "unmatched", 1.0)
    judged(batch, 2, [job("c1"), job("c2"), job("c3")], "matched", 1.0)
    judged(batch, 3, [job("d1")], "matched", 1.0)
    assert batch.event_of(3).offset() == 2

    batch.replace_event_of(3, letter("c"))
    assert names(batch) == [b"a1", b"a2", b"c", b"d1"]
    assert [batch.event_of(i).offset() for i in range(4)] == [0, 0, 2, 3]
    assert batch.outcomes == {"matched": 2, "unmatched": 1, "dead": 1}
    assert batch.jobs() == 3

    batch.replace_event_of(0, letter("a"))
    batch.replace_event_of(2, letter("d"))
    assert names(batch) == [b"a", b"c", b"d"]
    assert batch.outcomes == {"matched": 0, "unmatched": 1, "dead": 3}
    assert batch.jobs() == 0
    assert batch.next_offsets == {POSITION: 4}


def test_a_letter_that_is_replaced_counts_once() -> None:
    batch = Batch()
    judged(batch, 0, [letter("a")], "dead", 1.0)
    batch.replace_event_of(0, letter("smaller"))
    assert batch.outcomes == {"matched": 0, "unmatched": 0, "dead": 1}


def test_times_are_those_of_events_that_fired_and_know_their_time() -> None:
    batch = Batch()
    judged(batch, 0, [job("a"), job("b")], "matched", 1.0, 5)
    judged(batch, 1, [job("c")], "matched", 1.0, -1)
    judged(batch, 2, [letter("d")], "dead", 1.0, 6)
    judged(batch, 3, [], "unmatched", 1.0, 7)
    assert list(batch.hit_times_ms()) == [5]
