"""Threads that watch over others: a transaction that hangs, a topic that was made again."""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from typing import Protocol

from processor.kafka.cluster import Cluster
from processor.kafka.errors import KafkaFailure
from processor.kafka.transaction import TRANSACTION_TIMEOUT

log = logging.getLogger(__name__)

GRACE = 5.0
"""Seconds a transaction's calls may take beyond the transaction's own time-out."""


class Sign(Protocol):
    """A sign of life that a liveness check waits for."""

    def rest(self) -> None:
        """None is due until the next one is given."""
        ...


class Watchdog:
    """Ends the process when a transaction hangs though a broker answers.

    `send_offsets_to_transaction` can block for ever past its time-out (librdkafka #5456, #5511), and no other
    thread can free it. The partitions go to another member after the session time-out; the broker aborts what
    was open.
    """

    def __init__(
        self,
        blocked_since: Callable[[], float | None],
        broker_answers: Callable[[], bool],
        signs: Iterable[Sign] = (),
        *,
        end: Callable[[], None] = lambda: os._exit(1),
        limit: float = TRANSACTION_TIMEOUT + GRACE,
    ) -> None:
        """`blocked_since`: monotonic time at which the present call began, None between calls.

        `signs` of life are put to rest while no broker answers: a call that waits then is right to wait.
        """
        self._blocked_since = blocked_since
        self._broker_answers = broker_answers
        self._signs = tuple(signs)
        self._end = end
        self._limit = limit
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="watchdog", daemon=True)

    def start(self) -> None:
        """Begin to watch."""
        self._thread.start()

    def stop(self) -> None:
        """Stop watching."""
        self._stop.set()

    def _run(self) -> None:
        while not self._stop.wait(0.5):
            self.look(time.monotonic())

    def look(self, now: float) -> None:
        """One look at `now`: ends the process when the limit is passed and a broker answers."""
        since = self._blocked_since()
        if since is None or now - since <= self._limit:
            return
        if not self._broker_answers():
            for sign in self._signs:
                sign.rest()
        elif self._blocked_since() == since:
            log.critical(
                "a transaction hangs though the broker answers (librdkafka #5456): ending the process",
                extra={"fields": {"seconds": round(now - since, 1)}},
            )
            self._end()


class TopicWatch:
    """Notices that a topic was deleted and made again, within `every` seconds."""

    def __init__(
        self,
        cluster: Cluster,
        names: Iterable[str],
        reachable: Callable[[str | None], None],
        every: float = 10.0,
    ) -> None:
        """`reachable` is told None after each answer of the broker, else why there was none."""
        self._cluster = cluster
        self._reachable = reachable
        self._names = list(names)
        self._every = every
        self._lock = threading.Lock()
        self._ids: dict[str, str] = {}
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="topic watch", daemon=True)

    def start(self) -> None:
        """Begin to watch."""
        self._thread.start()

    def stop(self) -> None:
        """Stop watching."""
        self._stop.set()

    def ids(self) -> Mapping[str, str]:
        """The last id seen of each topic."""
        with self._lock:
            return dict(self._ids)

    def _run(self) -> None:
        while not self._stop.wait(self._every):
            try:
                found = self._cluster.topics(self._names)
            except KafkaFailure as failure:
                self._reachable(str(failure))
                continue
            self._reachable(None)
            with self._lock:
                self._ids.update({name: info.id for name, info in found.items()})
