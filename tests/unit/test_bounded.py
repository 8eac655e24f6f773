"""Calls that may never return are left behind."""

import threading

import pytest

from processor.kafka.bounded import Bounded, Hung
from tests.support.waiting import wait_until


def test_calls_are_made_one_after_the_other_on_another_thread() -> None:
    bounded, names = Bounded("calls"), []
    for _ in range(3):
        bounded.call(lambda: names.append(threading.current_thread().name), 5.0)
    assert names == ["calls"] * 3
    assert bounded.hanging == 0


def test_what_a_call_raises_is_raised_and_the_next_call_is_made() -> None:
    bounded = Bounded("calls")

    def fail() -> None:
        raise TimeoutError("its own")

    with pytest.raises(TimeoutError, match="its own"):
        bounded.call(fail, 5.0)
    bounded.call(lambda: None, 5.0)


def test_a_call_that_hangs_is_left_behind_until_it_returns() -> None:
    bounded, go_on, ended = Bounded("calls"), threading.Event(), []
    with pytest.raises(Hung):
        bounded.call(go_on.wait, 0.01)
    assert bounded.hanging == 1
    bounded.call(lambda: ended.append(True), 5.0)  # another thread makes it
    assert ended == [True]
    go_on.set()
    wait_until(lambda: bounded.hanging == 0, 5.0, "the thread that hung ends with its call")
