"""Events written by hand: the event topic that `tocsin demo` makes and feeds, the event of `tocsin probe`.

No role may use this: matcher and sender never write to an event topic.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

from confluent_kafka import KafkaError, KafkaException, Message, Producer
from confluent_kafka.cimpl import NewTopic

from processor.kafka.cluster import Cluster
from processor.kafka.errors import FatalKafkaError, KafkaFailure, error_of
from processor.kafka.records import Headers

log = logging.getLogger(__name__)


def make_event_topic(cluster: Cluster, name: str, partitions: int, timeout: float) -> None:
    """Create the topic with the broker's own defaults; blocks for at most `timeout` seconds.

    Raises FatalKafkaError when the broker refuses, because the topic is there already, for instance.
    """
    new = NewTopic(name, partitions, -1)
    try:
        for made in cluster.admin.create_topics([new], request_timeout=timeout).values():
            made.result(timeout)
    except (KafkaException, TimeoutError) as failure:
        reason = error_of(failure).str() if isinstance(failure, KafkaException) else "no answer"
        raise FatalKafkaError(f"topic {name} can't be made: {reason}") from None


class EventLog:
    """Appends events to one topic, each as soon as it is given. One thread owns it."""

    def __init__(self, config: Mapping[str, Any], topic: str) -> None:
        """`config` is librdkafka's. Connects in the background."""
        self._topic = topic
        self._refused: str | None = None
        own = {
            "acks": "all",
            "linger.ms": 0,  # an event is on its way at once: what follows it is timed from here
            "message.max.bytes": 2_000_000,  # the topic's own limit decides
        }
        self._producer = Producer({**config, **own}, logger=log)

    def append(self, value: bytes, headers: Headers) -> None:
        """Send one event; blocks only while the client's queue is full.

        Raises KafkaFailure when this event, or an earlier one, can't be written.
        """
        while True:
            self._look()
            try:
                self._producer.produce(
                    self._topic, value=value, headers=[*headers], on_delivery=self._acknowledged
                )
            except BufferError:
                self._producer.poll(0.05)
            except KafkaException as failure:
                raise KafkaFailure(f"{self._topic}: {error_of(failure).str()}") from None
            else:
                self._producer.poll(0)
                return

    def flush(self, timeout: float) -> None:
        """Wait until the broker has acknowledged all of them; KafkaFailure when it hasn't in time."""
        left = self._producer.flush(timeout)
        self._look()
        if left:
            raise KafkaFailure(f"{self._topic}: {left} events were not acknowledged in time")

    def _acknowledged(self, error: KafkaError | None, _: Message) -> None:
        if error is not None:
            self._refused = error.str()

    def _look(self) -> None:
        if self._refused is not None:
            raise KafkaFailure(f"{self._topic}: {self._refused}")


def append_event(config: Mapping[str, Any], topic: str, value: bytes, timeout: float) -> tuple[int, int]:
    """Append one event and wait until it is acknowledged by all replicas; its partition and offset.

    Blocks for at most `timeout` seconds; raises KafkaFailure when it is not there by then.
    """
    acknowledged: list[tuple[int, int]] = []
    refused: list[str] = []

    def answered(error: KafkaError | None, message: Message) -> None:
        if error is not None:
            refused.append(error.str())
        else:
            acknowledged.append((message.partition() or 0, message.offset() or 0))

    own = {"acks": "all", "enable.idempotence": True, "delivery.timeout.ms": max(1_000, int(timeout * 1000))}
    producer = Producer({**config, **own}, logger=log)
    try:
        producer.produce(topic, value=value, on_delivery=answered)
    except KafkaException as failure:
        raise KafkaFailure(f"{topic}: {error_of(failure).str()}") from None
    producer.flush(timeout)
    if not acknowledged:
        raise KafkaFailure(f"{topic}: {refused[0] if refused else 'the event was not acknowledged in time'}")
    return acknowledged[0]
