"""apache/kafka in a container, through testcontainers' DockerContainer.

(testcontainers' own Kafka container knows only other images.) The host's port is picked beforehand and bound,
not mapped to whatever is free: so the broker has the same address after a restart and can be told it at once.
"""

import os
import shutil
import subprocess
from typing import TYPE_CHECKING

from tests.support.brokers import Broker, free_port
from tests.support.reaper import REAPER

if TYPE_CHECKING:
    from docker.models.containers import Container  # type: ignore[import-untyped]

IMAGE = os.environ.get("TOCSIN_TEST_KAFKA_IMAGE") or "apache/kafka:4.1.1"

# A single KAFKA_ variable makes the image drop all its defaults, so here is everything a broker needs.
ENVIRONMENT = {
    "CLUSTER_ID": "dG9jc2luLXRlc3QtYnJva2",
    "KAFKA_PROCESS_ROLES": "broker,controller",
    "KAFKA_NODE_ID": "1",
    "KAFKA_CONTROLLER_QUORUM_VOTERS": "1@localhost:9093",
    "KAFKA_LISTENERS": "PLAINTEXT://0.0.0.0:9092,BROKER://localhost:19092,CONTROLLER://localhost:9093",
    "KAFKA_LISTENER_SECURITY_PROTOCOL_MAP": "PLAINTEXT:PLAINTEXT,BROKER:PLAINTEXT,CONTROLLER:PLAINTEXT",
    "KAFKA_INTER_BROKER_LISTENER_NAME": "BROKER",
    "KAFKA_CONTROLLER_LISTENER_NAMES": "CONTROLLER",
    "KAFKA_OFFSETS_TOPIC_REPLICATION_FACTOR": "1",
    "KAFKA_TRANSACTION_STATE_LOG_REPLICATION_FACTOR": "1",
    "KAFKA_TRANSACTION_STATE_LOG_MIN_ISR": "1",
    "KAFKA_SHARE_COORDINATOR_STATE_TOPIC_REPLICATION_FACTOR": "1",
    "KAFKA_SHARE_COORDINATOR_STATE_TOPIC_MIN_ISR": "1",
    "KAFKA_OFFSETS_TOPIC_NUM_PARTITIONS": "5",
    "KAFKA_TRANSACTION_STATE_LOG_NUM_PARTITIONS": "5",
    "KAFKA_GROUP_INITIAL_REBALANCE_DELAY_MS": "0",
    "KAFKA_AUTO_CREATE_TOPICS_ENABLE": "false",
    "KAFKA_TRANSACTION_ABORT_TIMED_OUT_TRANSACTION_CLEANUP_INTERVAL_MS": "1000",
    "KAFKA_LOG_RETENTION_CHECK_INTERVAL_MS": "86400000",
    "KAFKA_BROKER_HEARTBEAT_INTERVAL_MS": "1000",
    "KAFKA_BROKER_SESSION_TIMEOUT_MS": "4000",
    "KAFKA_HEAP_OPTS": "-Xms256m -Xmx1g",
}


class DockerBroker(Broker):
    """Its data lives in the container's own file system: stop and start keep it."""

    kind = "docker"

    def __init__(self) -> None:
        # The reaper's image is not to be had everywhere; tests/support/reaper.py does its work.
        os.environ.setdefault("TESTCONTAINERS_RYUK_DISABLED", "true")
        from testcontainers.core.container import DockerContainer

        port = free_port()
        self._definition = DockerContainer(IMAGE).with_bind_ports(9092, port)
        # The engine's address: this host's, or the bridge's gateway when the tests run in a container
        # themselves. Of localhost ::1 may come first, where the engine may not listen.
        host = self._definition.get_docker_client().host()
        super().__init__("127.0.0.1" if host == "localhost" else host, port)
        advertised = f"PLAINTEXT://{self.bootstrap},BROKER://localhost:19092"
        for name, value in {**ENVIRONMENT, "KAFKA_ADVERTISED_LISTENERS": advertised}.items():
            self._definition.with_env(name, value)
        self._container: Container | None = None

    def _launch(self) -> None:
        if self._container is None:
            self._container = self._definition.start().get_wrapped_container()
            REAPER.adopt("container", self._container.id)
        else:
            self._container.start()

    def stop(self) -> None:
        if self._container is not None:
            self._container.stop(timeout=30)

    def kill(self) -> None:
        if self._container is not None:
            self._container.kill()

    def close(self) -> None:
        if self._container is not None:
            self._container.remove(force=True, v=True)
            REAPER.release("container", self._container.id)
            self._container = None
        self._definition.get_docker_client().client.close()

    def log_tail(self) -> str:
        if self._container is None:
            return ""
        return bytes(self._container.logs(tail=40)).decode("utf-8", "replace")

    def _check_alive(self) -> bool:
        assert self._container is not None
        self._container.reload()
        assert self._container.status == "running", (
            f"the container is {self._container.status}\n{self.log_tail()}"
        )
        return False


def missing() -> str | None:
    """Why this broker can't be had here; None when it can. Pulls the image when only that is missing."""
    if shutil.which("docker") is None:
        return "docker is not installed"
    if not _docker("version", timeout=10):
        return "no Docker engine answers"
    if not _docker("image", "inspect", IMAGE, timeout=10) and not _docker(
        "pull", "--quiet", IMAGE, timeout=300
    ):
        return f"the image {IMAGE} is not there and can't be pulled"
    return None


def _docker(*arguments: str, timeout: float) -> bool:
    try:
        done = subprocess.run(["docker", *arguments], capture_output=True, timeout=timeout, check=False)
    except subprocess.TimeoutExpired:
        return False
    return done.returncode == 0
