"""Outcomes on their way into a transaction: none is lost, none of a lost partition is written."""

from processor.delivery.ledger import Entry, Ledger
from tests.support.lanes import lane


def test_entries_are_taken_once_in_the_order_in_which_they_came() -> None:
    ledger, jobs = Ledger(), lane()
    entries = [Entry(jobs, []) for _ in range(3)]
    for entry in entries:
        ledger.add(entry)
    assert len(ledger) == 3
    assert [id(entry) for entry in ledger.take()] == [id(entry) for entry in entries]
    assert len(ledger) == 0
    assert ledger.take() == []


def test_entries_put_back_come_before_later_ones() -> None:
    ledger, jobs = Ledger(), lane()
    first, second = Entry(jobs, [], matched_at_ms=1), Entry(jobs, [], matched_at_ms=2)
    ledger.add(first)
    taken = ledger.take()
    ledger.add(second)
    ledger.put_back(taken)
    assert [entry.matched_at_ms for entry in ledger.take()] == [1, 2]


def test_entries_of_partitions_that_have_gone_drop_out() -> None:
    ledger, kept, gone = Ledger(), lane(partition=0), lane(partition=1)
    ledger.add(Entry(kept, []))
    ledger.add(Entry(gone, []))
    gone.closed = True
    ledger.drop_closed()
    assert [entry.lane for entry in ledger.take()] == [kept]


def test_entries_put_back_after_their_partition_has_gone_drop_out() -> None:
    ledger, kept, gone = Ledger(), lane(partition=0), lane(partition=1)
    ledger.add(Entry(kept, []))
    ledger.add(Entry(gone, []))
    taken = ledger.take()
    gone.closed = True
    ledger.put_back(taken)
    assert [entry.lane for entry in ledger.take()] == [kept]
