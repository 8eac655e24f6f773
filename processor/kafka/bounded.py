"""Calls into the client that take long or may never return, made so that the caller goes on."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable
from concurrent.futures import Future, wait


class Hung(Exception):  # noqa: N818 - says what happened
    """The call has not returned in time. Its thread is left behind, and so is what the call works on."""


class Bounded:
    """Makes calls on a thread of its own, one at a time; one that hangs is left to itself.

    One thread owns it. The other one starts with the first call; after a call that hung it is replaced.
    """

    def __init__(self, name: str) -> None:
        """`name` is the thread's."""
        self._name = name
        self._worker: _Worker | None = None
        self._left: list[_Worker] = []

    @property
    def hanging(self) -> int:
        """How many calls that were given up have still not returned."""
        self._left = [worker for worker in self._left if worker.is_alive()]
        return len(self._left)

    def call(self, call: Callable[[], object], timeout: float) -> None:
        """Make the call and raise what it raises; Hung when it takes longer than `timeout` seconds."""
        done = self.begin(call)
        if not wait([done], timeout).done:
            if self._worker is not None:
                self._worker.calls.put(None)  # if it ever comes back, it is to end
                self._left.append(self._worker)
                self._worker = None
            raise Hung(f"no return within {timeout:g} s")
        done.result()

    def begin(self, call: Callable[[], object]) -> Future[None]:
        """Have the call made after those begun before; what it raises comes out of the future."""
        worker = self._worker
        if worker is None:
            self._worker = worker = _Worker(self._name)
            worker.start()
        done: Future[None] = Future()
        worker.calls.put((call, done))
        return done


class _Worker(threading.Thread):
    def __init__(self, name: str) -> None:
        super().__init__(name=name, daemon=True)
        self.calls: queue.SimpleQueue[tuple[Callable[[], object], Future[None]] | None] = queue.SimpleQueue()

    def run(self) -> None:
        while (item := self.calls.get()) is not None:
            call, done = item
            try:
                call()
            except BaseException as failure:  # noqa: BLE001 - raised on the caller's thread
                done.set_exception(failure)
            else:
                done.set_result(None)
            del item, call, done  # what the call worked on may go now
