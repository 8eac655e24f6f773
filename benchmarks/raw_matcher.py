"""The limit for the matcher: events in, every n-th out again, in transactions, with nothing in between.

A process of its own. It uses the client as the matcher does (the same properties, the same fetches of 500, a
commit 5 ms after a hit and every 100 ms without one, offsets in the transaction), and puts out values and
headers of the same size as jobs, but it looks at no event and knows no rule.
"""

import argparse
import signal
import time
from types import FrameType

from confluent_kafka import Consumer, KafkaError, KafkaException, Producer, TopicPartition

from processor.jobs import EventJobs, RuleJobs

FETCH, IDLE, LINGER = 500, 0.1, 0.002
HIT_WAIT, QUIET_WAIT = 0.005, 0.1

_CONSUMER = {
    "partition.assignment.strategy": "cooperative-sticky",
    "isolation.level": "read_committed",
    "enable.auto.commit": False,
    "enable.auto.offset.store": False,
    "auto.offset.reset": "earliest",
    "enable.partition.eof": True,
    "session.timeout.ms": 6_000,
    "heartbeat.interval.ms": 1_500,
    "fetch.queue.backoff.ms": 2,
    "queued.max.messages.kbytes": 16_384,
}
_PRODUCER = {
    "transaction.timeout.ms": 5_000,
    "enable.idempotence": True,
    "partitioner": "murmur2_random",
    "compression.type": "lz4",
    "linger.ms": 5,
    "queue.buffering.max.messages": 1_000_000,
    "queue.buffering.max.kbytes": 262_144,
}


class Loop:
    """Runs until stop() is called."""

    def __init__(self, bootstrap: str, group: str, events: str, jobs: str, every: int) -> None:
        """`every`: how many events there are to each hit; 0 is none."""
        self._consumer = Consumer({**_CONSUMER, "bootstrap.servers": bootstrap, "group.id": group})
        self._consumer.subscribe([events])
        self._producer = Producer({**_PRODUCER, "bootstrap.servers": bootstrap, "transactional.id": group})
        self._producer.init_transactions(30)
        self._jobs = jobs
        self._every = every
        self._running = True
        rule = RuleJobs(4321, "01JDABCDEFGHJKMNPQRSTVWXYZ", "rule-04321", 0)
        event = EventJobs(
            topic=events,
            topic_id="A" * 22,
            partition=3,
            offset=123_456,
            rules_topic_id="A" * 22,
            rules_offset=1_234,
            matched_at_ms=time.time_ns() // 1_000_000,
        )
        _, body, headers = event.job(rule, b"{}")
        self._headers: list[tuple[str, str | bytes | None]] = [*headers]
        self._head, self._tail = body.split(b"{}")
        self._keys = rule.keys

    def stop(self, _number: int, _frame: FrameType | None) -> None:
        """As a signal handler: leave the loop after this turn."""
        self._running = False

    def run(self) -> None:
        consumer, head, tail, keys, every = self._consumer, self._head, self._tail, self._keys, self._every
        offsets: dict[int, int] = {}
        out: list[bytes] = []
        due: float | None = None
        hit = False
        seen = 0
        while self._running:
            wait = IDLE if due is None else min(IDLE, max(0.0, due - time.monotonic()))
            first = consumer.poll(wait)
            messages = [] if first is None else [first, *consumer.consume(FETCH - 1, LINGER)]
            now = time.monotonic()
            for message in messages:
                if message.error() is not None:
                    _check(message.error())
                    continue
                offsets[message.partition() or 0] = (message.offset() or 0) + 1
                seen += 1
                if every and seen % every == 0:
                    out.append(b"%b%b%b" % (head, message.value() or b"", tail))
                    if not hit:
                        hit, due = True, now + HIT_WAIT if due is None else min(due, now + HIT_WAIT)
            if offsets and due is None:
                due = now + QUIET_WAIT
            if due is not None and time.monotonic() >= due:
                self._commit(out, offsets, keys)
                out, offsets, due, hit = [], {}, None, False
        self._consumer.close()

    def _commit(self, out: list[bytes], offsets: dict[int, int], keys: list[bytes]) -> None:
        producer, topic, headers = self._producer, self._jobs, self._headers
        producer.begin_transaction()
        for number, value in enumerate(out):
            producer.produce(topic, value=value, key=keys[number & 15], headers=headers)
        (event_topic,) = {p.topic for p in self._consumer.assignment()}
        positions = [TopicPartition(event_topic, p, o, "1;" + "A" * 22 + ";") for p, o in offsets.items()]
        producer.send_offsets_to_transaction(positions, self._consumer.consumer_group_metadata(), 5.0)
        producer.commit_transaction(5.0)


def _check(error: KafkaError | None) -> None:
    if error is not None and error.code() != KafkaError._PARTITION_EOF and not error.retriable():
        raise KafkaException(error)


def main() -> None:
    parser = argparse.ArgumentParser()
    for name in ("bootstrap", "group", "events", "jobs"):
        parser.add_argument(name)
    parser.add_argument("every", type=int)
    loop = Loop(**vars(parser.parse_args()))
    signal.signal(signal.SIGTERM, loop.stop)
    loop.run()


if __name__ == "__main__":
    main()
