"""At least once: records acknowledged, then offsets committed, without a transaction."""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping, Sequence
from typing import Any

from confluent_kafka import KafkaError, KafkaException, Message, Producer

from processor.kafka.consumer import GroupConsumer
from processor.kafka.errors import BrokerUnavailable, RecordTooLarge, TransactionAborted, error_of
from processor.kafka.records import Commit, OutRecord, Position

log = logging.getLogger(__name__)

DELIVERY_TIMEOUT = 30.0


class AcknowledgedProducer:
    """Has write() like TransactionalProducer, without its all-or-nothing: after a failure some records may be visible."""

    def __init__(self, config: Mapping[str, Any], consumer: GroupConsumer) -> None:
        self._producer = Producer(
            {
                **config,
                "enable.idempotence": True,
                "acks": "all",
                "partitioner": "murmur2_random",
                "compression.type": "lz4",
                "linger.ms": 2,
                "delivery.timeout.ms": int(DELIVERY_TIMEOUT * 1000),
                "queue.buffering.max.messages": 1_000_000,
                "queue.buffering.max.kbytes": 262_144,
            },
            logger=log,
        )
        self._consumer = consumer
        self.blocked_since: float | None = None
        self.claims = 1

    def prepare(self, timeout: float) -> None:
        """Nothing to claim."""

    def write(
        self,
        records: Sequence[OutRecord],
        offsets: Mapping[Position, Commit],
        group: object | None,
        *,
        claim_timeout: float = 10.0,
    ) -> None:
        """Write `records`, wait for their acknowledgement, then commit `offsets`. Raises TransactionAborted."""
        failures: list[KafkaError] = []

        def acknowledged(error: KafkaError | None, message: Message) -> None:
            if error is not None:
                failures.append(error)

        self.blocked_since = time.monotonic()
        try:
            for index, record in enumerate(records):
                self._produce(index, record, acknowledged)
            left = self._producer.flush(DELIVERY_TIMEOUT)
            if left or failures:
                reason = failures[0].str() if failures else f"{left} records without an answer"
                raise TransactionAborted(reason)
            try:
                self._consumer.commit(offsets)
            except BrokerUnavailable as failure:
                raise TransactionAborted(str(failure)) from None
        finally:
            self.blocked_since = None

    def discard(self) -> None:
        """Forget what has not been sent."""
        self._producer.purge()

    def _produce(self, index: int, record: OutRecord, acknowledged: Any) -> None:
        while True:
            try:
                self._producer.produce(
                    record.topic,
                    value=record.value,
                    key=record.key,
                    partition=record.partition,
                    headers=record.headers,
                    on_delivery=acknowledged,
                )
                return
            except BufferError:
                self._producer.poll(0.05)
            except KafkaException as failure:
                if error_of(failure).code() == KafkaError.MSG_SIZE_TOO_LARGE:
                    raise RecordTooLarge(index, record.topic) from None
                raise TransactionAborted(error_of(failure).str()) from None
