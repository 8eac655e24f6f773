"""A first connection, and what stands in its way if it can't be made."""

from __future__ import annotations

from typing import Final, Literal

from confluent_kafka import KafkaError

from processor.kafka.cluster import Cluster
from processor.kafka.errors import BrokerUnavailable
from processor.settings import KafkaSettings

Obstacle = Literal["refused", "name", "login", "tls", "silence"]
"""Nobody listens there; the name has no address; the login is refused; TLS fails; nothing comes back, or the
connection is closed.
"""

_OBSTACLES: Final[dict[int, Obstacle]] = {
    KafkaError._AUTHENTICATION: "login",
    KafkaError.SASL_AUTHENTICATION_FAILED: "login",
    KafkaError._SSL: "tls",
    KafkaError._RESOLVE: "name",
}


class Unreachable(BrokerUnavailable):
    """No broker answered; `obstacle` is what the client met most lately, the text its own words."""

    def __init__(self, message: str, obstacle: Obstacle) -> None:
        super().__init__(message)
        self.obstacle = obstacle


def connect(kafka: KafkaSettings, client_id: str, timeout: float) -> Cluster:
    """A cluster of which a broker has answered within `timeout` seconds; raises Unreachable."""
    met: dict[Obstacle, str] = {}

    def note(error: KafkaError) -> None:
        obstacle = _OBSTACLES.get(error.code())
        if obstacle is None and error.code() == KafkaError._TRANSPORT:
            # One code for a port where nobody listens and for one that hangs up, as a plaintext port does on
            # TLS; only the system's words tell them apart.
            obstacle = "refused" if "refused" in error.str() else "silence"
        if obstacle is not None:
            met[obstacle] = error.str()

    cluster = Cluster(kafka, client_id, note)
    try:
        cluster.wait_for_broker(timeout)
    except BrokerUnavailable as failure:
        cluster.admin.poll(0)
        # A login that is refused and a handshake that fails also end in a closed connection.
        for obstacle in ("login", "tls", "name", "silence", "refused"):
            if obstacle in met:
                raise Unreachable(f"{failure}: {met[obstacle]}", obstacle) from None
        raise Unreachable(str(failure), "silence") from None
    return cluster
