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
from typing import Final, Protocol

from processor.rules.changes import Applied, Change, Rehearsal, Writer
from processor.rules.errors import RuleFailure, StoreUnavailable
from processor.rules.table import RuleSnapshot

log = logging.getLogger(__name__)

MOST_AT_ONCE: Final = 200
MOST_BYTES: Final = 2 << 20
"""Of the requests' bodies in one transaction; a rule's record may be some times as long (sealed, escaped)."""

MOST_WAITING: Final = 1_000

VISIBLE_WITHIN: Final = 5.0
"""Seconds for the own table to follow."""


class Store(Protocol):
    """What writes; RuleStore is the one."""

    def transact(self, plan: Callable[[RuleSnapshot], Sequence[Change]], /) -> list[Applied]: ...

    def close(self) -> None: ...


class Table(Protocol):
    """What has to hold a write before it is answered; LiveRules is the one."""

    def wait_applied(self, next_offset: int, timeout: float, /) -> bool: ...


class TooManyWaiting(RuleFailure):
    """Writes come faster than they can be made."""


class NotVisible(RuleFailure):
    """The write is made, and this process's table did not get to it in time."""


@dataclass(eq=False, slots=True)
class Write:
    """One write. plan: the change it is, by the table as it then is; may raise a RuleFailure.

    key: of the record it changes, None for a new rule. by: who wants it.
    """

    plan: Callable[[RuleSnapshot], Change]
    key: bytes | None
    by: str
    size: int = 0
    done: Future[Applied] = field(default_factory=Future)


class RuleWriter:
    """The thread, from start() to stop()."""

    def __init__(self, store: Store, table: Table, rehearsed_by: Writer) -> None:
        """`rehearsed_by`: as the store's own writer."""
        self._store = store
        self._table = table
        self._writer = rehearsed_by
        self._waiting: deque[Write] = deque()
        self._changed = threading.Condition()
        self._stopping = False
        self._thread = threading.Thread(target=self._run, name="rule-writes", daemon=True)
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

    async def write(self, write: Write) -> Applied:
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

    def _next_batch(self) -> list[Write] | None:
        """What goes into the next transaction; None when there is nothing more to come."""
        with self._changed:
            self._changed.wait_for(lambda: self._waiting or self._stopping)
            if not self._waiting:
                return None
            batch: list[Write] = []
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

    def _make(self, batch: list[Write]) -> None:
        if not batch:
            return
        failures: dict[Write, Exception] = {}
        taken: list[Write] = []

        def plan(snapshot: RuleSnapshot) -> Sequence[Change]:
            failures.clear()
            taken.clear()
            changes: list[Change] = []
            rehearsal = Rehearsal(snapshot, self._writer)
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
        for write, refusal in failures.items():
            write.done.set_exception(refusal)
        self._answer(list(zip(taken, applied, strict=True)))

    def _answer(self, made: list[tuple[Write, Applied]]) -> None:
        if not made:
            return
        for write, applied in made:
            fields = {
                "action": applied.action,
                "rule": applied.id,
                "name": applied.name,
                "by": write.by,
                "offset": applied.offset,
            }
            log.info("rule written", extra={"fields": fields})
        offsets = [applied.offset for _, applied in made if applied.offset is not None]
        seen = len(offsets) == len(made) and self._table.wait_applied(max(offsets) + 1, VISIBLE_WITHIN)
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
