"""Records at a steady rate, and when each was seen on the other side."""

import threading
import time
from collections.abc import Callable
from types import TracebackType
from typing import Self

from confluent_kafka import OFFSET_END, Consumer, KafkaError, KafkaException, Producer, TopicPartition

from benchmarks.ground import PARTITIONS, TIMEOUT
from benchmarks.workload import sent_at

SLICE = 0.001
"""Seconds between two looks at the clock; what is due by then goes out together."""


def pace(rate: float, seconds: float, send: Callable[[int], None]) -> int:
    """Call send(0), send(1), … `rate` times a second for so long; how many calls that made.

    A call that comes late is made up for, so the rate holds unless send() itself can't keep up.
    """
    began = time.perf_counter()
    sent, total = 0, int(rate * seconds)
    while sent < total:
        due = min(total, int((time.perf_counter() - began) * rate) + 1)
        while sent < due:
            send(sent)
            sent += 1
        time.sleep(SLICE)
    return sent


def prompt_producer(bootstrap: str) -> Producer:
    """As an application that wants its events on the log soon, but doesn't make a request of each: 1 ms."""
    return Producer(
        {
            "bootstrap.servers": bootstrap,
            "log_level": 0,
            "partitioner": "murmur2_random",
            "linger.ms": 1,
        }
    )


class Arrivals:
    """A context manager: a thread that reads a topic from its end on, committed records only.

    `delays` maps the time stamped into a record (ns since 1970) to the seconds until it was seen.
    """

    def __init__(self, bootstrap: str, topic: str) -> None:
        self.delays: dict[int, float] = {}
        self._consumer = Consumer(
            {
                "bootstrap.servers": bootstrap,
                "log_level": 0,
                "group.id": "bench-arrivals",  # the client insists; nothing joins or commits
                "enable.auto.commit": False,
                "isolation.level": "read_committed",
                "fetch.queue.backoff.ms": 2,
            }
        )
        self._consumer.assign([TopicPartition(topic, n, OFFSET_END) for n in range(PARTITIONS)])
        self._changed = threading.Condition()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="arrivals", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        self._thread.join(TIMEOUT)
        self._consumer.close()

    def wait_for(self, sent_ns: int, timeout: float) -> float | None:
        """The seconds that the record stamped so took; None if it isn't seen in time."""
        with self._changed:
            self._changed.wait_for(lambda: sent_ns in self.delays, timeout)
            return self.delays.get(sent_ns)

    def since(self, begun: int, count: int, timeout: float) -> list[float]:
        """The delays of the records stamped `begun` (ns since 1970) or later.

        Returns when there are `count` of them, or when none has come for `timeout` seconds.
        """
        found: list[float] = []
        changed_at = time.monotonic()
        while len(found) < count and time.monotonic() - changed_at < timeout:
            time.sleep(0.1)
            with self._changed:
                now = [delay for at, delay in self.delays.items() if at >= begun]
            if len(now) > len(found):
                found, changed_at = now, time.monotonic()
        return found

    def _run(self) -> None:
        while not self._stop.is_set():
            first = self._consumer.poll(0.2)
            if first is None:
                continue
            messages = [first, *self._consumer.consume(500, 0)]
            now = time.time_ns()
            with self._changed:
                for message in messages:
                    _check(message.error())
                    sent = sent_at(message.value() or b"")
                    if sent is not None:
                        self.delays.setdefault(sent, (now - sent) / 1e9)
                self._changed.notify_all()


def _check(error: KafkaError | None) -> None:
    if error is not None and not error.retriable():
        raise KafkaException(error)
