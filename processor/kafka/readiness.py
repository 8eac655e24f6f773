"""What a role waits for before it begins: a broker, and topics that are fit for it."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable

from processor.kafka.cluster import Cluster
from processor.kafka.errors import BrokerUnavailable
from processor.kafka.topic_admin import Role, require_topics
from processor.settings import Settings

log = logging.getLogger(__name__)


def wait_for_topics(
    settings: Settings, role: Role, cluster: Cluster, stop: threading.Event, waiting: Callable[[str], None]
) -> bool:
    """Wait for a broker, then look at the topics. False when `stop` was set first.

    An absent broker is waited for, and `waiting` is told why; wrong topics raise Refused with the command
    that mends them.
    """
    said = False
    while not stop.is_set():
        try:
            cluster.wait_for_broker(2.0)
            require_topics(settings, role, cluster)
        except BrokerUnavailable as failure:
            waiting(str(failure))
            if not said:
                said = True
                log.warning("waiting for the broker", extra={"fields": {"error": str(failure)}})
            stop.wait(0.5)
            continue
        if said:
            log.info("the broker answers")
        return True
    return False


def largest_record(topics: list[str], cluster: Cluster, headroom: int) -> int:
    """The largest record that each of `topics` takes, less `headroom` (bytes).

    For message.max.bytes, so that the client refuses what a broker would.

    A record that the broker refuses makes the whole transaction abort-only.
    """
    limits = [int(config["max.message.bytes"]) for config in cluster.configs(topics).values()]
    return min(limits) - headroom
