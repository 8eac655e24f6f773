"""The HTTP thread: every attempt that goes in comes out once, whatever happens to it."""

import asyncio
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager

import pytest

from processor.delivery.http import WebhookRequest
from processor.delivery.lanes import Lane
from processor.delivery.outcome import Kind, Outcome
from processor.delivery.sending import Attempt, Ended, Sending
from tests.support.lanes import NOW, lane, take
from tests.support.waiting import wait_until

DELIVERED = Outcome(Kind.DELIVERED, NOW, status=200)


class Receivers:
    """Answer when they are told to; a fault of the program when they are broken."""

    def __init__(self) -> None:
        self.posted = 0
        self.broken = False
        self.answering = threading.Event()

    async def post(self, request: WebhookRequest) -> Outcome:
        self.posted += 1
        if self.broken:
            raise RuntimeError("a fault")
        while not self.answering.is_set():  # noqa: ASYNC110 - another thread sets it
            await asyncio.sleep(0.001)
        return DELIVERED


@pytest.fixture
def receivers() -> Receivers:
    return Receivers()


@pytest.fixture
def allowed() -> threading.Event:
    """Whether the process still owns its partitions."""
    event = threading.Event()
    event.set()
    return event


@pytest.fixture
def sending(receivers: Receivers, allowed: threading.Event) -> Iterator[Sending]:
    @asynccontextmanager
    async def opened() -> AsyncIterator[Receivers]:
        yield receivers

    thread = Sending(opened, allowed.is_set)
    thread.start()
    yield thread
    thread.stop(5)


def attempts(jobs: Lane, *offsets: int) -> list[Attempt]:
    return [Attempt(take(jobs, o), WebhookRequest("http://127.0.0.1", "id", 1, b"")) for o in offsets]


def collected(sending: Sending, count: int) -> list[Ended]:
    """What comes back, once it is this many; more would be a fault."""
    found: list[Ended] = []

    def enough() -> bool:
        found.extend(sending.collect())
        return len(found) >= count

    wait_until(enough, 10, lambda: f"{count} attempts; {len(found)} came back")
    assert len(found) == count
    return found


def test_each_attempt_comes_back_with_its_outcome(sending: Sending, receivers: Receivers) -> None:
    made = attempts(lane(), 0, 1, 2)
    receivers.answering.set()
    sending.submit(made)
    found = collected(sending, 3)
    assert {one.attempt.job for one in found} == {one.job for one in made}
    assert {one.outcome for one in found} == {DELIVERED}


def test_attempt_that_is_broken_off_comes_back_without_an_outcome(
    sending: Sending, receivers: Receivers
) -> None:
    made = attempts(lane(), 0, 1)
    sending.submit(made)
    wait_until(lambda: receivers.posted == 2)
    sending.cancel([made[0].job])
    (broken_off,) = collected(sending, 1)
    assert (broken_off.attempt, broken_off.outcome) == (made[0], None)
    receivers.answering.set()
    assert collected(sending, 1)[0].outcome == DELIVERED


def test_attempt_that_is_broken_off_before_it_has_begun_comes_back_too(
    sending: Sending, receivers: Receivers
) -> None:
    made = attempts(lane(), *range(200))
    for one in made:
        sending.submit([one])
        sending.cancel([one.job])
    assert {one.outcome for one in collected(sending, 200)} == {None}
    assert sending.failed is None


def test_nothing_is_sent_while_ownership_is_not_proved(
    sending: Sending, receivers: Receivers, allowed: threading.Event
) -> None:
    receivers.answering.set()
    allowed.clear()
    sending.submit(attempts(lane(), 0))
    assert collected(sending, 1)[0].outcome is None
    assert receivers.posted == 0
    allowed.set()
    sending.submit(attempts(lane(), 0))
    assert collected(sending, 1)[0].outcome == DELIVERED


def test_job_of_a_partition_that_has_gone_is_not_sent(sending: Sending, receivers: Receivers) -> None:
    gone = lane()
    made = attempts(gone, 0)
    gone.closed = True
    sending.submit(made)
    assert collected(sending, 1)[0].outcome is None
    assert receivers.posted == 0


def test_fault_of_the_program_is_reported_and_the_attempt_comes_back(
    sending: Sending, receivers: Receivers
) -> None:
    receivers.broken = True
    sending.submit(attempts(lane(), 0))
    assert collected(sending, 1)[0].outcome is None
    assert isinstance(sending.failed, RuntimeError)


def test_stop_breaks_off_what_is_left(sending: Sending, receivers: Receivers) -> None:
    sending.submit(attempts(lane(), 0, 1))
    wait_until(lambda: receivers.posted == 2)
    sending.stop(10)
    assert {one.outcome for one in collected(sending, 2)} == {None}


class Refused(AbstractAsyncContextManager[Receivers]):
    """A session that can't be opened."""

    async def __aenter__(self) -> Receivers:
        raise OSError("no file descriptors left")

    async def __aexit__(self, *_: object) -> None:
        """Nothing was opened."""


def test_session_that_can_not_be_opened_is_raised_at_the_start() -> None:
    with pytest.raises(OSError, match="no file descriptors left"):
        Sending(Refused, lambda: True).start()
