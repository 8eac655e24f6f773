"""Records written one after the other, each acknowledged by itself: at least once, in order, never given up.

For a process whose input is not Kafka. The client repeats what no broker has acknowledged for as long as it
takes (no delivery time-out), without gaps, reordering or copies (idempotence); whoever gives it records
bounds how many are on their way.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Mapping
from typing import Any, Final

from confluent_kafka import KafkaError, KafkaException, Message, Producer

from processor.kafka.errors import FatalKafkaError, error_of
from processor.kafka.records import OutRecord

log = logging.getLogger(__name__)

Answered = Callable[[str | None], None]
"""Called on the stream's own thread when a record's fate is known: None, or why it can never be written."""

_POLL: Final = 0.2

_NEVER: Final = frozenset({KafkaError.MSG_SIZE_TOO_LARGE, KafkaError.INVALID_RECORD, KafkaError.INVALID_MSG})
"""What is the record's own fault."""


class RecordStream:
    """A producer and the thread that hears its acknowledgements. One thread gives it records."""

    def __init__(self, config: Mapping[str, Any], largest: int) -> None:
        """`config` is librdkafka's. `largest`: bytes of a record, from the topic's limit."""
        self._producer = Producer(
            {
                **config,
                "enable.idempotence": True,
                "acks": "all",
                "partitioner": "murmur2_random",
                "compression.type": "lz4",
                "linger.ms": 5,
                "delivery.timeout.ms": 0,
                "message.max.bytes": largest,
                "queue.buffering.max.messages": 1_000_000,
                "queue.buffering.max.kbytes": 1_048_576,
            },
            logger=log,
        )
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="record stream", daemon=True)
        self.failed: FatalKafkaError | None = None
        """Why nothing more can be written, if so."""

    def start(self) -> None:
        """Begin to hear acknowledgements; returns at once."""
        self._thread.start()

    def write(self, record: OutRecord, answered: Answered) -> None:
        """Hand over one record; never blocks. A record that the client refuses at once, because it is too
        large, is answered before this returns. Raises FatalKafkaError when the client can't go on.
        """

        def acknowledged(error: KafkaError | None, _: Message) -> None:
            if error is None:
                answered(None)
            elif error.code() in _NEVER:
                answered(error.str())
            else:
                # It might be written later, but in order only by whoever reads its source again.
                self.failed = FatalKafkaError(f"{record.topic}: {error.str()}")

        if self.failed is not None:
            raise self.failed
        try:
            self._producer.produce(record.topic, value=record.value, key=record.key, on_delivery=acknowledged)
        except BufferError:
            raise FatalKafkaError("more records were handed over than may be on their way") from None
        except KafkaException as failure:
            error = error_of(failure)
            if error.code() not in _NEVER:
                raise FatalKafkaError(f"{record.topic}: {error.str()}") from None
            answered(error.str())

    def stop(self, timeout: float) -> int:
        """Wait up to `timeout` seconds for what is on its way; how many records still were then."""
        left = int(self._producer.flush(timeout)) if self.failed is None else len(self._producer)
        self._stop.set()
        if self._thread.ident is not None:
            self._thread.join(1.0)
        return left

    def _run(self) -> None:
        while not self._stop.is_set():
            self._producer.poll(_POLL)
