"""A compacted topic held as a table in memory, never silently wrong.

The reader applies every record of the topic's only partition to a sink, in order, and knows the offset up to
which it has applied them. It starts over from empty, while everybody who asks waits, when what it reads is no
longer what it began to read: another topic under the same name, an end before its own position, an offset
that is gone, or no sight of the end for so long that deletions may have been compacted away unseen.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Mapping
from typing import Any, Protocol

from confluent_kafka import Consumer, KafkaError, KafkaException, Message, TopicPartition

from processor.kafka.access import denied
from processor.kafka.cluster import Cluster
from processor.kafka.errors import (
    BrokerUnavailable,
    FatalKafkaError,
    KafkaFailure,
    Kind,
    NotAllowed,
    classify,
    error_of,
    unauthorized,
)
from processor.kafka.records import InRecord

log = logging.getLogger(__name__)

CHECK_EVERY = 10.0
"""Seconds between looks at the topic's id and end."""

ASK_TIMEOUT = 2.0
"""Seconds to wait for a broker before asking again, so that a stop is noticed meanwhile."""


class TableSink(Protocol):
    """What the records are applied to; called on the reader's thread only."""

    def reset(self) -> None:
        """Forget everything: the table is read from the start (again)."""
        ...

    def apply(self, record: InRecord) -> None:
        """Take one record; bad ones are the sink's to report. Must not raise."""
        ...


class TableReader:
    """The thread that reads `topic` (one partition) into `sink`.

    `retention` is the topic's delete.retention.ms in seconds: a reader that has not seen the end for a
    quarter of it starts over.
    """

    def __init__(
        self,
        config: Mapping[str, Any],
        cluster: Cluster,
        topic: str,
        sink: TableSink,
        *,
        retention: float = 7 * 86_400.0,
    ) -> None:
        self._config = {
            **config,
            # Required by the client, never used: partitions are assigned by hand and nothing is committed.
            "group.id": f"{topic}.reader",
            "isolation.level": "read_committed",
            "enable.auto.commit": False,
            "enable.auto.offset.store": False,
            "auto.offset.reset": "error",
            "enable.partition.eof": True,
            "fetch.queue.backoff.ms": 2,
            "queued.max.messages.kbytes": 16_384,
        }
        self._cluster = cluster
        self._topic = topic
        self._sink = sink
        self._retention = retention
        self._changed = threading.Condition()
        self._stop = threading.Event()
        self._suspect = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"table {topic}", daemon=True)
        self._topic_id: str | None = None
        self._next_offset = -1
        self._ready = False
        self._reason = "not read yet"
        self.failed: BaseException | None = None
        self.rebuilds = 0
        self.beat = time.monotonic()
        """Monotonic time of the reader's last turn, for a liveness check."""

    def start(self) -> None:
        """Start reading; returns at once."""
        self._thread.start()

    def stop(self, timeout: float = 5.0) -> None:
        """Stop reading and wake everybody who waits."""
        self._stop.set()
        with self._changed:
            self._changed.notify_all()
        if self._thread.ident is not None:
            self._thread.join(timeout)

    def state(self) -> tuple[str | None, int, str | None]:
        """(topic id, next offset, None when the table is whole, else why it isn't), consistent with one
        another.
        """
        with self._changed:
            return self._topic_id, self._next_offset, None if self._ready else self._reason

    def suspect(self) -> None:
        """Look at the topic's id and end now: somebody saw something that doesn't fit."""
        self._suspect.set()

    def wait_applied(self, next_offset: int, timeout: float) -> bool:
        """Wait until all before `next_offset` is applied; False when `timeout` seconds passed first."""
        with self._changed:
            return self._changed.wait_for(
                lambda: (self._ready and self._next_offset >= next_offset) or self._stop.is_set(), timeout
            ) and (self._ready and self._next_offset >= next_offset)

    def _run(self) -> None:
        said = ""
        while not self._stop.is_set():
            self.beat = time.monotonic()
            try:
                self._read_once()
            except _StartOver as why:
                self.rebuilds += 1
                self._tell(logging.WARNING, "table is read again from its start", why)
                self._not_ready(str(why))
            except NotAllowed as failure:
                # Rights are often granted by something that comes later; what is missing is said meanwhile.
                self._not_ready(str(failure))
                if said != str(failure):
                    said = str(failure)
                    self._tell(logging.WARNING, "table can't be read now", failure)
                self._stop.wait(1.0)
            except (BrokerUnavailable, KafkaException) as failure:
                self._not_ready(str(failure))
                self._tell(logging.WARNING, "table can't be read now", failure)
                self._stop.wait(0.5)
            except Exception as failure:  # noqa: BLE001 - reported by whoever owns the reader
                self.failed = failure
                self._not_ready(str(failure))
                return

    def _tell(self, level: int, message: str, reason: object) -> None:
        log.log(level, message, extra={"fields": {"topic": self._topic, "reason": str(reason)}})

    def _not_ready(self, reason: str) -> None:
        with self._changed:
            self._ready = False
            self._reason = reason
            self._next_offset = -1
            self._topic_id = None

    def _read_once(self) -> None:
        """Read from the start and keep reading, until stopped or until it must start over."""
        self.beat = time.monotonic()
        info = self._cluster.topic(self._topic, timeout=ASK_TIMEOUT)
        if info is None:
            self._not_ready(f"topic {self._topic} is missing: run `tocsin topics apply`")
            self._stop.wait(1.0)
            return
        consumer = Consumer(dict(self._config), logger=log)
        try:
            low, end = self._range(consumer)
            self._sink.reset()
            with self._changed:
                self._topic_id, self._next_offset, self._ready = info.id, low, False
                self._reason = f"reading up to offset {end}"
            consumer.assign([TopicPartition(self._topic, 0, low)])
            self._follow(consumer, info.id)
        finally:
            consumer.close()

    def _range(self, consumer: Consumer) -> tuple[int, int]:
        try:
            low, end = consumer.get_watermark_offsets(
                TopicPartition(self._topic, 0), timeout=5.0, cached=False
            )
        except KafkaException as failure:
            self._refuse_if_denied(error_of(failure))
            raise
        return low, end

    def _refuse_if_denied(self, error: KafkaError) -> None:
        if unauthorized(error) == "topic":
            raise NotAllowed(denied("Read", "topic", self._topic))

    def _follow(self, consumer: Consumer, topic_id: str) -> None:
        now = time.monotonic()
        next_check, end_seen = now + CHECK_EVERY, now
        while not self._stop.is_set():
            self.beat = now = time.monotonic()
            first = consumer.poll(0.2)
            if first is not None:
                self._take([first, *consumer.consume(2_000, 0)])
            if now >= next_check or self._suspect.is_set():
                self._suspect.clear()
                next_check = now + CHECK_EVERY
                if self._verify(consumer, topic_id):
                    end_seen = now
                elif now - end_seen > self._retention / 4:
                    raise _StartOver("the end was out of sight for a quarter of delete.retention.ms")

    def _take(self, messages: list[Message]) -> None:
        next_offset, at_end = -1, False
        for message in messages:
            error = message.error()
            if error is None:
                self._sink.apply(message)
                next_offset = int(message.offset() or 0) + 1
            elif error.code() == KafkaError._PARTITION_EOF:
                next_offset, at_end = int(message.offset() or 0), True
            elif error.code() in (KafkaError._AUTO_OFFSET_RESET, KafkaError.OFFSET_OUT_OF_RANGE):
                raise _StartOver(error.str())
            elif unauthorized(error) == "group":
                pass  # the client looks for the coordinator of every group id, and this one has no group
            else:
                self._refuse_if_denied(error)
                self._suspect.set()
                if classify(error) is Kind.FATAL:
                    raise FatalKafkaError(error.str())
        if next_offset >= 0:
            with self._changed:
                self._next_offset = max(self._next_offset, next_offset)
                self._ready = self._ready or at_end
                self._changed.notify_all()

    def _verify(self, consumer: Consumer, topic_id: str) -> bool:
        """Compare with the broker; True when the table has everything. Quiet while no broker answers."""
        try:
            info = self._cluster.topic(self._topic)
            if info is None or info.id != topic_id:
                raise _StartOver(f"the topic was {'deleted' if info is None else 'made again'}")
            _, end = consumer.get_watermark_offsets(TopicPartition(self._topic, 0), timeout=5.0, cached=False)
        except KafkaException as failure:
            self._tell(logging.DEBUG, "table can't be verified now", error_of(failure).str())
            return False
        except KafkaFailure as failure:
            self._tell(logging.DEBUG, "table can't be verified now", failure)
            return False
        if end < self._next_offset:
            raise _StartOver(f"the topic ends at {end}, before offset {self._next_offset} that was read")
        return self._next_offset >= end


class EndOffset:
    """Asks for the end of a table's topic, on a connection of its own that no long poll keeps busy.

    read_uncommitted, because an acknowledged plain write may stand behind an open transaction. One thread
    owns it.
    """

    def __init__(self, config: Mapping[str, Any], topic: str) -> None:
        self._consumer = Consumer(
            {
                **config,
                "group.id": f"{topic}.end",
                "isolation.level": "read_uncommitted",
                "enable.auto.commit": False,
            },
            logger=log,
        )
        self._partition = TopicPartition(topic, 0)

    def ask(self, timeout: float) -> int:
        """The offset the next record will get. Raises BrokerUnavailable after `timeout` seconds."""
        try:
            return int(
                self._consumer.get_watermark_offsets(self._partition, timeout=timeout, cached=False)[1]
            )
        except KafkaException as failure:
            raise BrokerUnavailable(f"end of {self._partition.topic}: {error_of(failure).str()}") from None

    def close(self) -> None:
        """Close the connection."""
        self._consumer.close()


class _StartOver(Exception):  # noqa: N818 - says what happened  # noqa: N818 - says what happened
    """What was read so far is no longer to be trusted."""
