"""The jobs in memory: each in one place, and none of a lost partition kept until it would be due."""

from processor.delivery.hand import Hand
from processor.delivery.lanes import State
from tests.support.lanes import NOW, lane, take


def test_jobs_come_out_when_they_are_due_the_earliest_first() -> None:
    hand, jobs = Hand(), lane()
    late, early, equal = take(jobs, 0), take(jobs, 1), take(jobs, 2)
    hand.wait(late, NOW + 20)
    hand.wait(early, NOW + 10)
    hand.wait(equal, NOW + 10)
    assert hand.next_due_ms == NOW + 10
    assert list(hand.due(NOW + 9)) == []
    assert list(hand.due(NOW + 19)) == [early, equal]
    assert hand.next_due_ms == NOW + 20
    assert list(hand.due(NOW + 20)) == [late]
    assert hand.next_due_ms is None


def test_job_may_be_made_to_wait_again_while_it_is_taken_out() -> None:
    hand, job = Hand(), take(lane(), 0)
    hand.wait(job, NOW)
    for due in hand.due(NOW):
        hand.wait(due, NOW + 5)
    assert hand.next_due_ms == NOW + 5
    assert job.state is State.WAITING


def test_attempt_that_was_not_begun_has_its_turn_before_the_others() -> None:
    hand, jobs = Hand(), lane()
    sent, ready = take(jobs, 0), take(jobs, 1)
    hand.send(sent)
    hand.make_ready(ready)
    assert (sent.state, ready.state, hand.load) == (State.SENDING, State.READY, 2)
    hand.landed(sent)
    hand.make_ready(sent, first=True)
    assert list(hand.ready) == [sent, ready]
    assert hand.in_flight == set()


def test_jobs_in_flight_are_found_by_their_lane() -> None:
    hand, one, other = Hand(), lane(partition=0), lane(partition=1)
    mine = take(one, 0)
    hand.send(mine)
    hand.send(take(other, 0))
    assert hand.sent_from({id(one)}) == [mine]


def test_gone_jobs_are_forgotten_at_once_but_hold_their_place_while_in_flight() -> None:
    hand, gone, kept = Hand(), lane(partition=0), lane(partition=1)
    hand.wait(take(gone, 0), NOW + 3_600_000)
    hand.make_ready(take(gone, 1))
    in_flight = take(gone, 2)
    hand.send(in_flight)
    waiting, ready = take(kept, 0), take(kept, 1)
    hand.wait(waiting, NOW + 1)
    hand.make_ready(ready)
    gone.closed = True
    hand.drop_gone()
    assert list(hand.due(NOW + 3_600_000)) == [waiting]
    assert list(hand.ready) == [ready]
    assert hand.in_flight == {in_flight}
