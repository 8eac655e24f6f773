"""Runs of records judged into a batch."""

from collections.abc import Sequence

from processor.events import EventDecoder, EventFields
from processor.matching.batch import MAX_RECORDS, Batch
from processor.matching.engine import RuleSet
from processor.matching.judge import Judge, Version
from processor.matching.judging import AT_ONCE, SLICE, Judging
from tests.support.fakes import POSITION, FakeRecord
from tests.support.rules import record, snapshot_of

HIT, MISS, BROKEN = b'{"message":"failed"}', b'{"message":"fine"}', b"{"


def judged(
    values: list[tuple[int, bytes]], expected: int = 0, *, copies: int = 1, times: Sequence[float] = ()
) -> tuple[Batch, list[int], int]:
    """What a run of these (offset, value) makes: the batch, the offsets left, the offset expected then.

    `times`: what the clock says, at the start and before each portion; without them it stands still.
    """
    given = {n: record(f"r{n}", filter_message_regex="failed") for n in range(1, copies + 1)}
    version = Version(RuleSet(snapshot_of(given).rules), "RulesTopicId", 42)
    batch = Batch()
    judge = Judge(EventDecoder(EventFields()), "jobs", "dead")
    judging = Judging(judge, version, batch, clock=iter(times).__next__ if times else lambda: 0.0)
    left, offset = judging.run([FakeRecord(value, at=at) for at, value in values], POSITION, expected, "T")
    return batch, [one.offset() or 0 for one in left], offset


def test_each_event_is_counted_once() -> None:
    batch, left, offset = judged([(0, MISS), (1, HIT), (2, BROKEN), (5, MISS)])
    assert batch.outcomes == {"matched": 1, "unmatched": 2, "dead": 1}
    assert (left, offset) == ([], 6)
    assert batch.next_offsets == {POSITION: 6}
    assert [(one.topic, batch.event_of(n).offset()) for n, one in enumerate(batch.records)] == [
        ("jobs", 1),
        ("dead", 2),
    ]


def test_what_was_judged_already_is_left_out_wherever_it_stands() -> None:
    batch, left, offset = judged([(3, HIT), (4, HIT), (5, HIT)], expected=5)
    assert (batch.outcomes["matched"], left, offset) == (1, [], 6)
    batch, left, offset = judged([(0, HIT), (1, HIT), (0, HIT), (1, HIT), (2, HIT)])
    assert (batch.outcomes["matched"], left, offset) == (3, [], 3)
    batch, left, offset = judged([(1, HIT)], expected=5)
    assert (batch.outcomes["matched"], left, offset) == (0, [], 5)


def test_a_slice_that_is_over_leaves_the_rest_for_the_next_turn() -> None:
    batch, left, offset = judged([(n, MISS) for n in range(AT_ONCE + 3)], times=[0, SLICE, 2 * SLICE])
    assert (left, offset) == ([AT_ONCE, AT_ONCE + 1, AT_ONCE + 2], AT_ONCE)
    assert batch.next_offsets == {POSITION: AT_ONCE}


def test_a_full_batch_leaves_the_rest_in_hand() -> None:
    copies = MAX_RECORDS // 2
    batch, left, offset = judged([(n, HIT) for n in range(5)], copies=copies)
    assert len(batch.records) == MAX_RECORDS
    assert (left, offset) == ([2, 3, 4], 2)
    assert batch.outcomes == {"matched": 2, "unmatched": 0, "dead": 0}
    assert batch.next_offsets == {POSITION: 2}


def test_more_than_one_portion_and_odd_events_among_them() -> None:
    values = [(n, HIT if n % 100 == 0 else MISS) for n in range(2 * AT_ONCE + 7)]
    values[AT_ONCE + 1] = (AT_ONCE + 1, b'{"message":"fai\\u006ced",\n"more":"\xff"}')
    batch, left, offset = judged(values)
    assert (left, offset) == ([], len(values))
    assert batch.outcomes["matched"] == sum(1 for _, value in values if value == HIT) + 1
    assert batch.repaired == 1
