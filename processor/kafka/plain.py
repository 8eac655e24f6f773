"""At least once: records acknowledged, then offsets committed, without a transaction."""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping, Sequence
from typing import Any, cast

from confluent_kafka import KafkaError, KafkaException, Message, Producer

from processor.kafka.consumer import GroupConsumer
from processor.kafka.errors import (
    BrokerUnavailable,
    FatalKafkaError,
    Kind,
    MembershipLost,
    RecordTooLarge,
    TransactionAborted,
    classify,
    error_of,
)
from processor.kafka.records import Commit, OutRecord, Position

log = logging.getLogger(__name__)

DELIVERY_TIMEOUT = 30.0
"""Seconds after which a record that no broker has acknowledged is given up."""


class AcknowledgedProducer:
    """Has write() like TransactionalProducer, without all-or-nothing: after a failure some records may stay.

    One thread owns it.
    """

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

    def prepare(self, timeout: float) -> None:
        """Nothing to claim."""

    def write(
        self, records: Sequence[OutRecord], offsets: Mapping[Position, Commit], _group: object | None
    ) -> None:
        """Write `records`, wait until all are acknowledged, then commit `offsets`.

        Raises TransactionAborted (RecordTooLarge among them): the offsets are not committed. Raises
        FatalKafkaError when the client can't go on.
        """
        failures: list[KafkaError] = []

        def acknowledged(error: KafkaError | None, _: Message) -> None:
            if error is not None:
                failures.append(error)

        self.blocked_since = time.monotonic()
        try:
            for index, record in enumerate(records):
                self._produce(index, record, acknowledged)
            while self._producer.flush(1.0):  # ends: delivery.timeout.ms gives records up
                self.blocked_since = time.monotonic()
            if failures:
                raise _failure(failures[0])
            self._consumer.commit(offsets)
        except (BrokerUnavailable, MembershipLost) as failure:
            raise TransactionAborted(str(failure)) from None
        finally:
            self.blocked_since = None

    def _produce(self, index: int, record: OutRecord, acknowledged: Any) -> None:
        while True:
            try:
                self._producer.produce(
                    record.topic,
                    value=record.value,
                    key=record.key,
                    partition=record.partition,
                    headers=cast("list[tuple[str, str | bytes | None]]", record.headers),
                    on_delivery=acknowledged,
                )
                return
            except BufferError:
                self._producer.poll(0.05)
            except KafkaException as failure:
                error = error_of(failure)
                if error.code() == KafkaError.MSG_SIZE_TOO_LARGE:
                    raise RecordTooLarge(index, record.topic) from None
                raise _failure(error) from None


def _failure(error: KafkaError) -> TransactionAborted | FatalKafkaError:
    if classify(error) is Kind.FATAL:
        return FatalKafkaError(f"records can't be written: {error.str()}")
    return TransactionAborted(error.str())
