"""Produces events at a steady rate, until a file /tmp/stop is there or the count is reached; prints how many
were acknowledged.
"""

import json
import sys
import time
from pathlib import Path

from confluent_kafka import Message, Producer

bootstrap, topic, rate, most, start = sys.argv[1], sys.argv[2], *map(int, sys.argv[3:6])
acknowledged: list[int] = []
producer = Producer({"bootstrap.servers": bootstrap, "enable.idempotence": True, "linger.ms": 5})
began = time.monotonic()


def said(error: object, message: Message) -> None:
    if error is None:
        acknowledged.append(json.loads(message.value() or b"")["n"])


for n in range(start, start + most):
    if n % rate == 0 and Path("/tmp/stop").exists():
        break
    event = {"severity": "error", "source": "load", "message": f"load {n} failed", "n": n}
    producer.produce(topic, json.dumps(event), on_delivery=said)
    producer.poll(max(0.0, began + (n + 1 - start) / rate - time.monotonic()))
producer.flush(60)
print(json.dumps({"acknowledged": len(acknowledged), "first": start, "last": max(acknowledged, default=-1)}))
