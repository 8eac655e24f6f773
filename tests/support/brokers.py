"""The broker that tests run on: what it can do, and which one this run takes.

`TOCSIN_TEST_BROKER` is one of

    docker      apache/kafka in a container, through testcontainers
    java        Apache Kafka from its Maven artifacts, as a child process
    embedded    noida-db; tests marked real_kafka are skipped by name
    host:port   a broker that is already there; tests that stop a broker of their own are skipped
    auto        (default) the first of docker, java, embedded that is there
"""

import os
import random
import socket
from abc import ABC, abstractmethod
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient

from tests.support.waiting import wait_until

START_TIMEOUT = 90.0  # seconds; a JVM on two busy cores takes 4 to 15

Kind = Literal["docker", "java", "embedded", "external"]


class Broker(ABC):
    """One broker. After start() it answers; stop(), kill() and restart() keep its data and its port."""

    real: bool = True  # Apache Kafka itself, with all it promises
    kind: Kind

    def __init__(self, host: str, port: int) -> None:
        self.host = host
        self.port = port

    @property
    def bootstrap(self) -> str:
        return f"{self.host}:{self.port}"

    def start(self) -> None:
        """Start it and wait until it answers. AssertionError with the end of its log when it doesn't."""
        self._launch()
        wait_until(
            lambda: answers(self.bootstrap) or self._check_alive(),
            START_TIMEOUT,
            lambda: f"the {self.kind} broker at {self.bootstrap} answers\n{self.log_tail()}",
        )

    def restart(self) -> None:
        self.stop()
        self.start()

    @abstractmethod
    def stop(self) -> None:
        """Let it shut down in order, and wait for that."""

    @abstractmethod
    def kill(self) -> None:
        """As a power cut: nothing is flushed, nobody is told."""

    @abstractmethod
    def close(self) -> None:
        """End it and remove its data. Fine to call twice."""

    @abstractmethod
    def log_tail(self) -> str:
        """The end of what it said, for a failed test's message."""

    @abstractmethod
    def _launch(self) -> None: ...

    def _check_alive(self) -> bool:
        """False; raises when waiting for an answer is hopeless."""
        return False


class ExternalBroker(Broker):
    """A broker that was there before and stays: it is never stopped."""

    kind = "external"

    def _launch(self) -> None:
        """It runs already."""

    def stop(self) -> None:
        raise RuntimeError(f"the broker at {self.bootstrap} is not the tests' to stop")

    kill = stop

    def close(self) -> None:
        """It stays."""

    def log_tail(self) -> str:
        return "(its log is elsewhere)"


@dataclass(frozen=True)
class Choice:
    """Which broker this run takes, and why."""

    kind: Kind
    why: str
    address: str = ""

    @property
    def real(self) -> bool:
        return self.kind != "embedded"

    def create(self, directory: Path) -> Broker:
        """A new broker, not yet started. `directory` (empty, the caller's) is for its data and logs."""
        from tests.support.docker_broker import DockerBroker
        from tests.support.embedded_broker import EmbeddedBroker
        from tests.support.java_broker import JavaBroker

        if self.kind == "docker":
            return DockerBroker()
        if self.kind == "java":
            return JavaBroker(directory)
        if self.kind == "embedded":
            return EmbeddedBroker(directory)
        host, _, port = self.address.rpartition(":")
        return ExternalBroker(host, int(port))


def choose(wanted: str) -> Choice:
    """Pick the broker that TOCSIN_TEST_BROKER=`wanted` means. ValueError when there is none.

    Looks for an engine, a JVM and a package; starts nothing, but may pull the container image.
    """
    from tests.support import docker_broker, embedded_broker, java_broker

    looks = {
        "docker": docker_broker.missing,
        "java": java_broker.missing,
        "embedded": embedded_broker.missing,
    }
    if wanted == "auto":
        reasons: list[str] = []
        for kind, missing in looks.items():
            reason = missing()
            if reason is None:
                return Choice(kind, "; ".join(reasons))  # type: ignore[arg-type]
            reasons.append(f"no {kind}: {reason}")
        raise ValueError("no broker to test on: " + "; ".join(reasons))
    if wanted in looks:
        reason = looks[wanted]()
        if reason is not None:
            raise ValueError(f"TOCSIN_TEST_BROKER={wanted}: {reason}")
        return Choice(wanted, "TOCSIN_TEST_BROKER")  # type: ignore[arg-type]
    host, _, port = wanted.rpartition(":")
    if host and port.isdecimal():
        return Choice("external", "TOCSIN_TEST_BROKER", wanted)
    raise ValueError(f"TOCSIN_TEST_BROKER={wanted}: use auto, docker, java, embedded or host:port")


def answers(bootstrap: str, timeout: float = 1.0) -> bool:
    """Whether a broker at `bootstrap` answers a metadata request within `timeout` seconds."""
    admin = AdminClient({"bootstrap.servers": bootstrap, "log_level": 0})
    try:
        return len(admin.list_topics(timeout=timeout).brokers) > 0
    except KafkaException:
        return False


def free_port() -> int:
    """A TCP port on 127.0.0.1 that nobody has now and no outgoing connection will be given.

    Below the kernel's range of ephemeral ports: a client that keeps trying a stopped broker's port in that
    range ends up connected to itself one day, and then the broker can't have its port back.
    """
    lowest_ephemeral = 32768
    for _ in range(200):
        port = random.randrange(15_000, lowest_ephemeral)
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    raise RuntimeError("no free port on 127.0.0.1")


def wanted_broker() -> str:
    return os.environ.get("TOCSIN_TEST_BROKER") or "auto"
