"""The embedded broker: noida-db, one program that speaks Kafka and keeps its data in a directory.

It has real transactions and is good for a look, not for proof: topics have no ids, and two members of one
group get stuck, so the demo runs one process of each role.
"""

import asyncio
import importlib.resources
import importlib.util
import os
import random
import socket
import sys
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Final

from processor.demo.blocking import in_thread
from processor.demo.children import Child
from processor.demo.errors import DemoError
from processor.kafka.cluster import Cluster
from processor.settings import KafkaSettings

REQUIREMENT: Final = "noida-db>=0.2.3"
"""What the extra `demo` adds."""

START_TIMEOUT: Final = 15.0
STOP_TIMEOUT: Final = 5.0

_LOWEST_EPHEMERAL: Final = 32_768


def program() -> Path:
    """The broker's executable; DemoError with the remedy when it isn't installed."""
    if importlib.util.find_spec("noida_db") is None:
        raise DemoError(
            "the embedded broker is not installed; add it with: "
            f"{sys.executable} -m pip install '{REQUIREMENT}'"
        )
    # The server itself and not the command `noida-db`: that is a parent that passes no signal on.
    found = Path(str(importlib.resources.files("noida_db"))) / "noida-db"
    if not os.access(found, os.X_OK):  # wheels may arrive without the bit
        try:
            found.chmod(0o755)
        except OSError as failure:
            raise DemoError(f"the embedded broker can't be run: {found}: {failure.strerror}") from None
    return found


async def start_broker(directory: Path) -> tuple[Child, str]:
    """Start the broker with its data in `directory`; the process and its address. It may not answer yet."""
    port = free_port()
    where = ["--host", "127.0.0.1", "--kafka-port", str(port), "--data-dir", str(directory / "data")]
    command = [str(program()), "start", "--only", "kafka", *where]
    return await Child.start("broker", command, directory, os.environ), f"127.0.0.1:{port}"


async def wait_for_answer(broker: Child, address: str) -> None:
    """Wait until the broker answers; DemoError when it ends or doesn't within START_TIMEOUT."""
    host, _, port = address.rpartition(":")
    # Kafka's client would complain in the log about a port that isn't open yet.
    await _wait(broker, lambda: _is_open(host, int(port)))
    cluster = Cluster(KafkaSettings(bootstrap_servers=address), "demo")
    await _wait(broker, lambda: in_thread(lambda: cluster.answers(0.5)))


async def _wait(broker: Child, condition: Callable[[], Awaitable[bool]]) -> None:
    deadline = time.monotonic() + START_TIMEOUT
    while not await condition():
        broker.check()
        if time.monotonic() > deadline:
            raise DemoError(f"the broker does not answer: {broker.last_words()}")
        await asyncio.sleep(0.02)


async def _is_open(host: str, port: int) -> bool:
    try:
        _, writer = await asyncio.open_connection(host, port)
    except OSError:
        return False
    writer.close()
    return True


def free_port() -> int:
    """A TCP port on 127.0.0.1 that nobody has now and no outgoing connection will be given.

    Below the kernel's range of ephemeral ports: a client that keeps trying a port in that range ends up
    connected to itself one day.
    """
    for _ in range(200):
        port = random.randrange(15_000, _LOWEST_EPHEMERAL)
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    raise DemoError("no free port on 127.0.0.1")
