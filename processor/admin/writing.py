"""One thread writes rules for all requests of this process: the store blocks, and knows one write at a time.

What waits when the thread looks goes into one transaction, each write for itself: one that can't be made (a
name that is taken, a revision that has passed) fails alone. A write is answered when the broker has
acknowledged it and this process's own table holds it, so that whoever reads next here reads it.
"""

from __future__ import annotations

import asyncio
import logging
import threading
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any, Final, Generic, Protocol

from processor.rules.building import Applied, Building, C
from processor.rules.errors import ChangedTwice, RuleFailure, StoreUnavailable
from processor.rules.fenced import FencedStore
from processor.rules.numbered import R, S

log = logging.getLogger(__name__)

MOST_AT_ONCE: Final = 200
MOST_BYTES: Final = 2 << 20
"""Of the requests' bodies in one transaction; a rule's record may be some times as long (sealed, escaped)."""

MOST_WAITING: Final = 1_000

VISIBLE_WITHIN: Final = 5.0
"""Seconds for the own table to follow."""


class Table(Protocol):
    """What has to hold a write before it is answered; LiveRules is one."""

    def wait_applied(self, next_offset: int, timeout: float, /) -> bool: ...


class TooManyWaiting(RuleFailure):
    """Writes come faster than they can be made."""


class NotVisible(RuleFailure):
    """The write is made, and this process's table did not get to it in time."""


@dataclass(eq=False)
class Write(Generic[R, S, C]):
    """One write. plan: the change it is, by the table as it then is; may raise a RuleFailure.

    key: of the record it changes, None for a new rule. by: who wants it.
    """

    plan: Callable[[S], C]
    key: bytes | None
    by: str
    size: int = 0
    done: Future[Applied[R]] = field(default_factory=Future)


class RuleWriter(Generic[R, S, C]):
    """The thread, from start() to stop(). R, S, C: the table's rules, snapshots and changes."""

    def __init__(
        self,
        store: FencedStore[R, S, C],
        table: Table,
        rehearse: Callable[[S], Building[R, Any, C]],
        what: str = "rule",
    ) -> None:
        """`rehearse` builds a transaction as the store does; `what` is written, for the log."""
        self._store = store
        self._table = table
        self._rehearse = rehearse
        self._what = what
        self._waiting: deque[Write[R, S, C]] = deque()
        self._changed = threading.Condition()
        self._stopping = False
        self._thread = threading.Thread(target=self._run, name=f"{what}-writes", daemon=True)
        self.failed: BaseException | None = None

    def start(self) -> None:
        """Start writing what is asked for."""
        self._thread.start()

    def stop(self, timeout: float) -> None:
        """Write what waits, then end; blocks up to `timeout` seconds."""
        with self._changed:
            self._stopping = True
            self._changed.notify()
        if self._thread.ident is not None:
            self._thread.join(timeout)

    async def write(self, write: Write[R, S, C]) -> Applied[R]:
        """Have it written; what became of it. Raises a RuleFailure."""
        with self._changed:
            if self._stopping or self.failed is not None:
                raise StoreUnavailable("this process is ending: ask another one")
            if len(self._waiting) >= MOST_WAITING:
                raise TooManyWaiting(f"{MOST_WAITING} writes wait already: try again")
            self._waiting.append(write)
            self._changed.notify()
        return await asyncio.wrap_future(write.done)

    def _run(self) -> None:
        try:
            while (batch := self._next_batch()) is not None:
                self._make(batch)
        except BaseException as failure:  # noqa: BLE001 - reported by the service, which ends the process
            self.failed = failure
        finally:
            self._store.close()

    def _next_batch(self) -> list[Write[R, S, C]] | None:
        """What goes into the next transaction; None when there is nothing more to come."""
        with self._changed:
            self._changed.wait_for(lambda: self._waiting or self._stopping)
            if not self._waiting:
                return None
            batch: list[Write[R, S, C]] = []
            keys: set[bytes] = set()
            size = 0
            while self._waiting and len(batch) < MOST_AT_ONCE:
                write = self._waiting[0]
                # Two writes of one rule are two records, and a transaction has one for each key.
                if write.key in keys or (batch and size + write.size > MOST_BYTES):
                    break
                self._waiting.popleft()
                if not write.done.set_running_or_notify_cancel():
                    continue  # whoever asked has gone
                batch.append(write)
                size += write.size
                if write.key is not None:
                    keys.add(write.key)
            return batch

    def _make(self, batch: list[Write[R, S, C]]) -> None:
        if not batch:
            return
        failures: dict[Write[R, S, C], Exception] = {}
        taken: list[Write[R, S, C]] = []

        def plan(snapshot: S) -> Sequence[C]:
            failures.clear()
            taken.clear()
            changes: list[C] = []
            rehearsal = self._rehearse(snapshot)
            for write in batch:
                try:
                    change = write.plan(snapshot)
                    rehearsal.add(change)
                except Exception as failure:  # noqa: BLE001 - whoever asked is told, and nobody else
                    failures[write] = failure
                else:
                    taken.append(write)
                    changes.append(change)
            return changes

        try:
            applied = self._store.transact(plan)
        except StoreUnavailable as failure:
            for write in batch:
                write.done.set_exception(failures.get(write, failure))
            return
        except Exception as failure:  # noqa: BLE001 - handed on to whoever asked; one of many is tried alone
            if len(batch) == 1:
                batch[0].done.set_exception(failure)
                return
            for write in batch:
                self._make([write])
            return
        # What such a write takes along was changed by another one just now: it needs the next transaction.
        later = [write for write, why in failures.items() if isinstance(why, ChangedTwice) and taken]
        for write in failures.keys() - later:
            write.done.set_exception(failures[write])
        asked_for = [one for one in applied if not one.along]
        self._answer(list(zip(taken, asked_for, strict=True)), applied)
        for write in later:
            self._make([write])

    def _answer(self, made: list[tuple[Write[R, S, C], Applied[R]]], written: Sequence[Applied[R]]) -> None:
        """`written`: all records, those of `made` and what went along with them."""
        if not made:
            return
        by = {applied.key: write.by for write, applied in made}
        last = ""
        for one in written:
            # What goes along stands behind what took it along.
            last = by.get(one.key, last)
            fields = {
                "action": one.action,
                "rule": one.id,
                "name": one.name,
                "by": last,
                "offset": one.offset,
            }
            log.info(f"{self._what} written", extra={"fields": fields})
        offsets = [one.offset for one in written if one.offset is not None]
        seen = len(offsets) == len(written) and self._table.wait_applied(max(offsets) + 1, VISIBLE_WITHIN)
        for write, applied in made:
            if seen:
                write.done.set_result(applied)
            else:
                write.done.set_exception(
                    NotVisible(
                        "the write is made and in force, but this process could not read it back in time:"
                        " read the rule before writing again"
                    )
                )
