"""The one way tables of rules are written: read the whole table, change it in a transaction, and let no other
writer in between.

Every writer claims the same transactional id, and the broker fences whoever claimed it before. So: claim
it, read the table to its end, decide on the changes, write them. If another writer came in between, the
write fails and all is done again from the start. A write whose answer was lost is looked for in the topic
by its `write-id` header. Plain producers are not fenced; of their records, those acknowledged before the
table was read are seen.

The claim is kept for the next write: only a claim that another writer took away costs half a second.
"""

from __future__ import annotations

import logging
import random
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import timedelta
from types import TracebackType
from typing import Final, Generic, Self

from processor.kafka.cluster import Cluster
from processor.kafka.config import client_config
from processor.kafka.errors import (
    BrokerUnavailable,
    FatalKafkaError,
    NotAllowed,
    RecordTooLarge,
    TransactionAborted,
    TransactionUncertain,
)
from processor.kafka.fencing import FencingIsNoAlarm
from processor.kafka.records import OutRecord
from processor.kafka.table import EndOffset, TableReader
from processor.kafka.transaction import TransactionalProducer
from processor.lifecycle import Deadline
from processor.rules.building import Applied, Batch, C, Writer
from processor.rules.codec import show_key
from processor.rules.errors import RuleTooLarge, StoreUnavailable
from processor.rules.identity import random_hex
from processor.rules.numbered import R, S, Table
from processor.rules.trace import WRITE_ID, WriteTrace
from processor.settings import Settings

log = logging.getLogger(__name__)

END_SEEN_WITHIN_MS: Final = 10
"""fetch.wait.max.ms of the reader, see live.py: two writers who take turns wait for each other's commit
marker.
"""

_PAUSE: Final = 0.1

LOOK_EVERY: Final = 0.2
"""Seconds between two reports of how far the reading of the table is."""

Report = Callable[[str, int, int], None]
"""Takes what is counted, how many of them are done, and of how many at most."""


def no_report(_what: str, _done: int, _total: int) -> None:
    """Nobody looks."""


class FencedStore(ABC, Generic[R, S, C]):
    """Reads and writes the topic of a table; any thread may use it, one write at a time.

    R, S, C: the table's rules, snapshots and changes.

    Opens its connections with the first call, keeps them until close(), and is a context manager. Every call
    raises StoreUnavailable when no broker answered within `timeout` seconds.
    """

    def __init__(
        self,
        settings: Settings,
        writer: Writer,
        *,
        topic: str,
        transactional_id: str,
        table: Table[R, S],
        timeout: timedelta,
        report: Report,
    ) -> None:
        """`transactional_id`, to which the topics' prefix is added: one for all writers of a topic, which is
        what keeps them apart. `table` is this object's alone. `report` is told how far a long read or write
        is, in the thread that makes it.
        """
        name = settings.topics.name(transactional_id)
        self._topic = topic
        self._writer = writer
        self._timeout = timeout
        self._report = report
        self._lock = threading.Lock()
        self._config = client_config(settings.kafka, name)
        self._reading = client_config(settings.kafka, name, fetch_wait_max_ms=END_SEEN_WITHIN_MS)
        self._cluster = Cluster(settings.kafka, name)
        self._trace = WriteTrace(table)
        self._reader: TableReader | None = None
        self._end: EndOffset | None = None
        self._name = name
        self._limit = 0
        self._made: TransactionalProducer | None = None
        self._quiet = FencingIsNoAlarm(name)
        self._quiet.install()

    @abstractmethod
    def _build(self, changes: Sequence[C], snapshot: S, writer: Writer) -> Batch[R]:
        """The first transaction of these changes; raises a RuleFailure."""

    def read(self) -> S:
        """The table as of now: every write acknowledged before the call is in it. Claims nothing."""
        with self._lock:
            return self._read_to_end(Deadline(self._timeout))

    def apply(self, changes: Sequence[C]) -> list[Applied[R]]:
        """Make these changes, in order, each rule at most once.

        All of them in one transaction if they fit (`Writer.limits`), else in several; between those other
        writers may come, and what is written stays if a later part fails. Raises a StoreFailure or
        SecretError when a change can't be made; of its transaction nothing is written.
        """
        done = 0

        def rest(_: S) -> Sequence[C]:
            return changes[done:]

        def count(batch: Batch[R]) -> None:
            nonlocal done
            done += batch.taken

        return self._write(rest, count)

    def transact(self, plan: Callable[[S], Sequence[C]]) -> list[Applied[R]]:
        """Make the changes that `plan` wants for the table as it is then, while no other writer can change
        it.

        `plan` is called again whenever another writer came in between, and after each transaction where the
        changes need several: of what is in the table already it must not ask again. What it raises ends the
        write.
        """
        return self._write(plan, lambda _: None)

    def close(self) -> None:
        """Close the connections. The claim is left to the next writer."""
        with self._lock:
            if self._reader is not None:
                self._reader.stop()
            if self._end is not None:
                self._end.close()
            if self._made is not None:
                self._made.discard()
            self._quiet.remove()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _write(
        self, plan: Callable[[S], Sequence[C]], written: Callable[[Batch[R]], None]
    ) -> list[Applied[R]]:
        with self._lock:
            applied: list[Applied[R]] = []
            tries = _Tries(self._timeout)
            self._connect(tries.deadline)
            while True:
                self._claim(tries)
                snapshot = self._read_to_end(tries.deadline)
                changes = plan(snapshot)
                batch = self._build(changes, snapshot, self._writer)
                if batch.records:
                    offsets = self._commit(batch, tries)
                    if offsets is None:
                        continue
                    total = len(applied) + len(changes)
                    applied += (replace(one, offset=offsets.get(one.key)) for one in batch.applied)
                    self._report("rules written", len(applied), total)
                written(batch)
                if batch.taken == len(changes):
                    return applied
                tries = _Tries(self._timeout)

    def _claim(self, tries: _Tries) -> None:
        """Be the one who may write, until somebody else claims it; costs nothing while the last claim
        stands.
        """
        while True:
            try:
                self._producer.prepare(max(0.1, tries.deadline.remaining()))
                return
            except TransactionAborted as failure:
                self._producer.discard()
                tries.again(failure)
            except FatalKafkaError as failure:
                raise StoreUnavailable(f"rules can't be written: {failure}") from None

    def _commit(self, batch: Batch[R], tries: _Tries) -> dict[bytes, int] | None:
        """Write the batch: the offset of each key's record, or None when it was not written and may be
        tried again.
        """
        write_id = random_hex(16)
        self._trace.look_for(write_id)
        headers = [(WRITE_ID, write_id.encode())]
        records = [OutRecord(self._topic, key, value, headers) for key, value in batch.records]
        try:
            self._producer.write(records, {}, None)
        except RecordTooLarge as failure:
            key = batch.records[failure.index].key
            name = next((one.name for one in batch.applied if one.key == key), show_key(key))
            raise RuleTooLarge(
                f"rule {name!r} is larger than {self._topic} takes (max.message.bytes)"
            ) from None
        except NotAllowed as failure:
            raise StoreUnavailable(f"rules can't be written: {failure}") from None
        except (TransactionAborted, TransactionUncertain, FatalKafkaError) as failure:
            return self._look_for_it(failure, tries)
        # The answer is there: the write stands, whether or not its offsets can be seen in time.
        return self._trace.wait_found(len(records), max(2.0, tries.deadline.remaining()))

    @property
    def _producer(self) -> TransactionalProducer:
        if self._made is None:
            # The client refuses what the broker would: that costs one rule its write and nothing else.
            config = {**self._config, "message.max.bytes": max(self._limit, 1_000)}
            self._made = TransactionalProducer(config, self._name)
        return self._made

    def _look_for_it(self, failure: Exception, tries: _Tries) -> dict[bytes, int] | None:
        """After a failed transaction: whether it is in the topic nevertheless."""
        try:
            # Claiming anew makes the broker finish what is left of the old transaction, one way or the
            # other, so what is not in the topic then never will be.
            self._producer.discard()
            self._claim(tries)
            self._read_to_end(tries.deadline)
        except StoreUnavailable as unknown:
            if isinstance(failure, TransactionAborted):
                raise
            raise StoreUnavailable(
                f"whether the rules were written is not known, look before trying again: {unknown}"
            ) from None
        if found := self._trace.found:
            log.info("a rule write whose answer was lost is in the topic")
            return found
        tries.again(failure)
        return None

    def _read_to_end(self, deadline: Deadline) -> S:
        reader, ends = self._connect(deadline)
        end = _ask(ends, deadline)
        if not self._wait_applied(reader, end, deadline):
            why = reader.failed or reader.state()[2] or f"offset {end} was not reached"
            raise StoreUnavailable(f"{self._topic} could not be read in time: {why}")
        return self._trace.snapshot()

    def _wait_applied(self, reader: TableReader, end: int, deadline: Deadline) -> bool:
        began = max(0, reader.state()[1])
        while not reader.wait_applied(end, min(LOOK_EVERY, deadline.remaining())):
            if deadline.expired:
                return False
            self._report("records of rules read", max(0, reader.state()[1] - began), end - began)
        return True

    def _connect(self, deadline: Deadline) -> tuple[TableReader, EndOffset]:
        """Start reading, unless that goes on already. First says what no waiting mends."""
        if self._reader is not None and self._reader.failed is None and self._end is not None:
            return self._reader, self._end
        self._limit = self._look_at_topic(deadline)
        self._end = self._end or EndOffset(self._config, self._topic)
        self._reader = TableReader(self._reading, self._cluster, self._topic, self._trace)
        self._reader.start()
        return self._reader, self._end

    def _look_at_topic(self, deadline: Deadline) -> int:
        """Its max.message.bytes; raises StoreUnavailable when it isn't there or isn't fit for rules."""
        try:
            config = self._cluster.configs([self._topic], timeout=max(0.1, deadline.remaining()))
        except BrokerUnavailable as failure:
            raise StoreUnavailable(f"no broker answered in time: {failure}") from None
        except FatalKafkaError as failure:
            raise StoreUnavailable(f"{self._topic} can't be read: {failure}") from None
        if self._topic not in config:
            raise StoreUnavailable(f"topic {self._topic} is missing: run `tocsin topics apply`")
        policy = config[self._topic].get("cleanup.policy")
        if policy not in (None, "compact"):
            raise StoreUnavailable(
                f"topic {self._topic} would lose rules, cleanup.policy is {policy}: run `tocsin topics apply`"
            )
        return int(config[self._topic].get("max.message.bytes", 1_000_000))


def _ask(ends: EndOffset, deadline: Deadline) -> int:
    """The end of the topic, asked for again while it has no leader, as after a restart of its broker."""
    while True:
        try:
            return ends.ask(max(0.1, deadline.remaining()))
        except BrokerUnavailable as failure:
            if deadline.remaining() <= _PAUSE:
                raise StoreUnavailable(f"no broker answered in time: {failure}") from None
        time.sleep(_PAUSE)


class _Tries:
    """The time one transaction may take, with all its repetitions."""

    def __init__(self, timeout: timedelta) -> None:
        self.deadline = Deadline(timeout)
        self._made = 0

    def again(self, failure: Exception) -> None:
        """Wait a little, a random and growing while, so that two writers don't go on fencing each other.

        Raises StoreUnavailable when the time is over.
        """
        if self.deadline.expired:
            raise StoreUnavailable(f"rules could not be written in time: {failure}") from None
        log.debug(
            "rule write is tried again", extra={"fields": {"reason": str(failure), "tries": self._made}}
        )
        time.sleep(min(self.deadline.remaining(), random.uniform(0.005, 0.02 * 2 ** min(self._made, 5))))
        self._made += 1
