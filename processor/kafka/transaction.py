"""The transactional producer: records and offsets that become visible together or not at all (KIP-98,
KIP-447).

One thread owns it. The producer behind it is kept until it is fenced or fails for good, because claiming a
transactional id costs half a second and a transaction on a kept one 10 to 20 ms. Why each step is as it is:
DESIGN.md, "Non-obvious".
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, cast

from confluent_kafka import KafkaError, KafkaException, Producer, TopicPartition

from processor.kafka.access import denied
from processor.kafka.bounded import Bounded, Hung
from processor.kafka.errors import (
    FatalKafkaError,
    Kind,
    NotAllowed,
    RecordTooLarge,
    TransactionAborted,
    TransactionFenced,
    TransactionUncertain,
    classify,
    error_of,
    is_fenced,
    unauthorized,
)
from processor.kafka.records import Commit, OutRecord, Position

log = logging.getLogger(__name__)

TRANSACTION_TIMEOUT = 5.0
"""Seconds after which the broker aborts a transaction by itself (transaction.timeout.ms)."""

_CALL = 1.0
"""Seconds one blocking call may take before it is repeated: short enough that a stop is noticed."""

_HANGS = TRANSACTION_TIMEOUT
"""Seconds after which a call that should have returned after `_CALL` is given up."""

_HANGING = 3
"""So many calls may hang at the same time before the process has to end: each holds on to a client."""


class TransactionalProducer:
    """Writes transactions, one at a time.

    `config` is librdkafka's, without the properties set here. `blocked_since` (monotonic seconds, None
    between calls) is what a watchdog reads: the start of the present call into the client, each of which has
    a time-out of a second. `send_offsets_to_transaction` can hang past it (librdkafka #5456).
    """

    def __init__(self, config: Mapping[str, Any], transactional_id: str) -> None:
        self._config = {
            **config,
            "transactional.id": transactional_id,
            "transaction.timeout.ms": int(TRANSACTION_TIMEOUT * 1000),
            "enable.idempotence": True,
            "acks": "all",
            "partitioner": "murmur2_random",
            "compression.type": "lz4",
            # A flush ignores the linger, so a small transaction is not delayed by it.
            "linger.ms": 5,
            "queue.buffering.max.messages": 1_000_000,
            "queue.buffering.max.kbytes": 262_144,
        }
        self._producer: Producer | None = None
        self._id = transactional_id
        self._bounded = Bounded(f"offsets of {transactional_id}")
        self.blocked_since: float | None = None
        self.claims = 0
        """How many times the transactional id was claimed; more than one means a producer was replaced."""

    def prepare(self, timeout: float) -> None:
        """Claim the transactional id ahead of the first write; raises TransactionAborted when no broker
        answers.
        """
        self._guarded(lambda: self._ready(time.monotonic() + timeout))

    def write(
        self,
        records: Sequence[OutRecord],
        offsets: Mapping[Position, Commit],
        group: object | None,
        *,
        claim_timeout: float = 10.0,
    ) -> None:
        """Write `records` and commit `offsets` for `group` (GroupConsumer.group_metadata()) in one
        transaction.

        Returns when the broker has acknowledged the commit. Raises TransactionAborted (RecordTooLarge among
        them), TransactionUncertain or FatalKafkaError; in no case is a transaction left open by this process.
        """
        self._guarded(lambda: self._write(records, offsets, group, claim_timeout))

    def discard(self) -> None:
        """Forget the producer without waiting; the next write claims the transactional id anew."""
        producer, self._producer = self._producer, None
        if producer is not None:
            producer.purge(in_flight=True, blocking=False)

    def _guarded(self, step: Callable[[], object]) -> None:
        self.blocked_since = time.monotonic()
        try:
            step()
        finally:
            self.blocked_since = None

    def _repeat(self, call: Callable[[], object], deadline: float) -> None:
        """Make `call` until it succeeds; repeats what is retriable until `deadline`, then raises
        TimeoutError.
        """
        pause = 0.01
        while True:
            self.blocked_since = time.monotonic()
            try:
                call()
                return
            except KafkaException as failure:
                error = error_of(failure)
                if classify(error) is not Kind.RETRIABLE:
                    raise
                if time.monotonic() + pause > deadline:
                    raise TimeoutError(error.str()) from None
            time.sleep(pause)
            pause = min(pause * 2, 0.25)

    def _write(
        self,
        records: Sequence[OutRecord],
        offsets: Mapping[Position, Commit],
        group: object | None,
        claim_timeout: float,
    ) -> None:
        producer = self._ready(time.monotonic() + claim_timeout)
        deadline = time.monotonic() + TRANSACTION_TIMEOUT
        try:
            producer.begin_transaction()
            self._produce(producer, records, deadline)
            if offsets and group is not None:
                listed = [
                    TopicPartition(p.topic, p.partition, c.next_offset, c.metadata)
                    for p, c in offsets.items()
                ]
                self._repeat(lambda: self._send_offsets(producer, listed, group), deadline)
        except _TooLarge as too_large:
            self._abort(producer)
            raise RecordTooLarge(too_large.index, records[too_large.index].topic) from None
        except Hung as hung:
            # The client knows the group's coordinator as a broker that it has dropped since, and waits for
            # that one (librdkafka #5456, #5511; seen after restarts of a broker). Another client asks anew.
            self.discard()
            raise TransactionAborted(f"the offsets could not be added: {hung}") from None
        except (KafkaException, TimeoutError) as failure:
            self._refuse_if_denied(producer, failure, records)
            self._give_up(producer, failure)
        try:
            self._repeat(lambda: producer.commit_transaction(_CALL), deadline)
        except KafkaException as failure:
            self._refuse_if_denied(producer, failure, records)
            self._give_up(producer, failure, commit_sent=True)
        except TimeoutError as failure:
            # The commit may have reached the coordinator. Only the group's offsets can tell.
            self.discard()
            raise TransactionUncertain(f"no answer to the commit: {failure}") from None

    def _send_offsets(self, producer: Producer, offsets: list[TopicPartition], group: object) -> None:
        if self._bounded.hanging >= _HANGING:
            raise FatalKafkaError("adding offsets to transactions hangs again and again")
        self._bounded.call(lambda: producer.send_offsets_to_transaction(offsets, group, _CALL), _HANGS)

    def _ready(self, deadline: float) -> Producer:
        if self._producer is not None:
            return self._producer
        try:
            producer = Producer(dict(self._config), logger=log)
            self._repeat(lambda: producer.init_transactions(_CALL), deadline)
        except TimeoutError as failure:
            raise TransactionAborted(f"the transactional id could not be claimed: {failure}") from None
        except KafkaException as failure:
            error = error_of(failure)
            if unauthorized(error) == "transactional-id":
                raise NotAllowed(denied("Write", "transactional-id", self._id)) from None
            if classify(error) is Kind.FATAL and error.code() != KafkaError._FENCED:
                raise FatalKafkaError(f"the transactional id could not be claimed: {error.str()}") from None
            raise TransactionAborted(f"the transactional id could not be claimed: {error.str()}") from None
        self._producer = producer
        self.claims += 1
        return producer

    def _produce(self, producer: Producer, records: Sequence[OutRecord], deadline: float) -> None:
        produce, poll = producer.produce, producer.poll
        for index, record in enumerate(records):
            while True:
                try:
                    produce(
                        record.topic,
                        value=record.value,
                        key=record.key,
                        partition=record.partition,
                        headers=cast("list[tuple[str, str | bytes | None]]", record.headers),
                    )
                    break
                except BufferError:
                    if time.monotonic() > deadline:
                        raise TimeoutError("the local queue stayed full") from None
                    poll(0.01)
                except KafkaException as failure:
                    code = error_of(failure).code()
                    if code == KafkaError.MSG_SIZE_TOO_LARGE:
                        raise _TooLarge(index) from None
                    if code != KafkaError._UNKNOWN_PARTITION or time.monotonic() > deadline:
                        raise
                    # Added since the client last asked by itself, which it does every five minutes.
                    producer.list_topics(record.topic, timeout=_CALL)
                    poll(0.05)

    def _refuse_if_denied(self, producer: Producer, failure: Exception, records: Sequence[OutRecord]) -> None:
        """Raise NotAllowed, once the transaction is gone, where it failed for want of a right."""
        if isinstance(failure, KafkaException) and (kind := unauthorized(error_of(failure))) is not None:
            self._abort(producer)
            if kind == "topic":
                topics = sorted({record.topic for record in records})
                raise NotAllowed("; or ".join(denied("Write", "topic", name) for name in topics)) from None
            raise NotAllowed(f"a transaction of {self._id}: {error_of(failure).str()}") from None

    def _give_up(self, producer: Producer, failure: Exception, *, commit_sent: bool = False) -> None:
        """Leave the transaction by abort, or by dropping the producer; always raises."""
        aborted: type[TransactionAborted] = TransactionAborted
        if isinstance(failure, KafkaException):
            error = error_of(failure)
            reason = error.str()
            if is_fenced(error):
                aborted = TransactionFenced
            if classify(error) is Kind.FATAL:
                # Fenced, or expired by the broker: no transaction of this producer can be committed any more,
                # except one whose commit was already on its way.
                self.discard()
                if commit_sent:
                    raise TransactionUncertain(reason)
                raise aborted(reason)
        else:
            reason = str(failure)
        if not self._abort(producer) and commit_sent:
            raise TransactionUncertain(reason)
        raise aborted(reason)

    def _abort(self, producer: Producer) -> bool:
        """True when the coordinator has answered; else the producer is dropped."""
        try:
            self._repeat(lambda: producer.abort_transaction(_CALL), time.monotonic() + TRANSACTION_TIMEOUT)
            return True
        except (KafkaException, TimeoutError) as failure:
            # Claiming the id again makes the coordinator abort what is left, and its own time-out does too.
            log.warning("abort failed, the producer is replaced", extra={"fields": {"error": str(failure)}})
            self.discard()
            return False


class _TooLarge(Exception):  # noqa: N818 - says what happened
    def __init__(self, index: int) -> None:
        super().__init__(index)
        self.index = index
