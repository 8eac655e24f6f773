"""A rule is in force when its write is acknowledged: events wait until the rule table has caught up.

A batch's events were appended before its fetch returned, so a rule acknowledged before any of them was
appended lies below the end of the rule topic as it is asked for now. The same holds for deletions.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import Literal, Protocol

from processor.kafka.errors import BrokerUnavailable

log = logging.getLogger(__name__)

PATIENCE = 0.2
"""Seconds to wait on the spot; after that the caller keeps its group membership alive between the tries."""

LOUD_AFTER = 5.0
"""Seconds after which the matcher says that it waits, and stops being ready."""


class Table(Protocol):
    """What this module needs of the live rule table."""

    def state(self) -> tuple[str | None, int, str | None]: ...
    def suspect(self) -> None: ...
    def wait_applied(self, next_offset: int, timeout: float) -> bool: ...


class Freshness:
    """Waits for the table; one thread calls it."""

    def __init__(
        self,
        table: Table,
        ask_end: Callable[[float], int],
        mode: Literal["strict", "eventual"],
        max_wait: float | None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`ask_end(timeout)`: the end of the rule topic now. `max_wait`: seconds after which strict goes on
        all the same. `clock`: seconds.
        """
        self._table = table
        self._ask_end = ask_end
        self._mode = mode
        self._max_wait = max_wait
        self._clock = clock
        self._waiting_for = ""
        self.blocked: str | None = None
        """Why the matcher waits, once that takes long; read by its readiness check."""

    def wait(self, between: Callable[[], bool]) -> bool:
        """True once events fetched before this call may be judged, False as soon as `between` says stop.

        `between` is called every PATIENCE seconds of a long wait, to serve the group.
        """
        began = self._clock()
        while not self._try(began):
            if self.blocked is None and self._clock() - began > LOUD_AFTER:
                self.blocked = f"events wait for the rule table: {self._waiting_for}"
                log.warning(
                    "events wait for the rule table", extra={"fields": {"waiting_for": self._waiting_for}}
                )
            if not between():
                self.blocked = None  # nobody waits any more
                return False
        if self.blocked is not None:
            self.blocked = None
            log.info("the rule table has caught up")
        return True

    def _try(self, began: float) -> bool:
        _, known, reason = self._table.state()
        if reason is not None:
            self._waiting_for = reason
            self._table.wait_applied(0, PATIENCE)
            return self._table.state()[2] is None and self._mode == "eventual"
        if self._mode == "eventual":
            return True
        try:
            end = self._ask_end(PATIENCE)
        except BrokerUnavailable as failure:
            self._waiting_for = str(failure)
            return self._over(began)
        if end < known:  # a log's end never falls: this is another topic under the same name
            self._table.suspect()
            self._waiting_for = f"the topic ends at {end}, the table has read {known}"
            return False
        if self._table.wait_applied(end, PATIENCE):
            return True
        self._waiting_for = f"offset {end}, the table is at {self._table.state()[1]}"
        return self._over(began)

    def _over(self, began: float) -> bool:
        if self._max_wait is None or self._clock() - began < self._max_wait:
            return False
        log.error(
            "matcher.rules_max_wait is over: events are judged by a rule table that may be old",
            extra={"fields": {"waited_for": self._waiting_for}},
        )
        return True
