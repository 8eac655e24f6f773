"""Waiting for a condition with a deadline: what tests use where they would otherwise sleep."""

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


def wait_until(
    condition: Callable[[], T],
    timeout: float = 30.0,
    message: str | Callable[[], str] = "",
    *,
    every: float = 0.02,
) -> T:
    """Call `condition` until its result is true and return that result.

    `timeout` and `every` are in seconds. Raises AssertionError with `message` (a function is called then, so
    that it can tell the last state) when the deadline passes; what `condition` raises goes through.
    """
    deadline = time.monotonic() + timeout
    while True:
        result = condition()
        if result:
            return result
        if time.monotonic() > deadline:
            said = message() if callable(message) else message
            raise AssertionError(f"not within {timeout:g} s: {said or condition!r} (last: {result!r})")
        time.sleep(every)
