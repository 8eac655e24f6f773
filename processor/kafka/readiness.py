"""What a role waits for before it begins: a broker, and topics that are fit for it."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from typing import Final

from processor.kafka.access import Component, needs
from processor.kafka.cluster import Cluster
from processor.kafka.errors import BrokerUnavailable, KafkaFailure, NotAllowed
from processor.kafka.rights import missing
from processor.kafka.topic_admin import Role, require_topics
from processor.settings import Settings

log = logging.getLogger(__name__)

RIGHTS_EVERY: Final = 2.0
"""Seconds between looks at rights that are missing."""


def wait_for_topics(
    settings: Settings, role: Role, cluster: Cluster, stop: threading.Event, waiting: Callable[[str], None]
) -> bool:
    """Wait for a broker, then look at the topics. False when `stop` was set first.

    An absent broker and rights that are missing are waited for, and `waiting` is told why; wrong topics raise
    Refused with the command that mends them.
    """
    said: set[str] = set()
    while not stop.is_set():
        try:
            cluster.wait_for_broker(2.0)
            require_rights(settings, role, cluster)
            require_topics(settings, role, cluster)
        except (BrokerUnavailable, NotAllowed) as failure:
            waiting(str(failure))
            absent = isinstance(failure, BrokerUnavailable)
            message = "waiting for the broker" if absent else "waiting for rights on Kafka"
            if (once := message if absent else str(failure)) not in said:
                said.add(once)
                log.warning(message, extra={"fields": {"error": str(failure)}})
            stop.wait(0.5 if absent else 1.0)
            continue
        if said:
            log.info("the broker answers")
        return True
    return False


class RightsReport:
    """A thread that asks whether all is allowed that a component does, and says so until it is.

    For a component that can do some of its work without the rest.
    """

    def __init__(self, settings: Settings, component: Component) -> None:
        """Opens no connection yet."""
        self._settings = settings
        self._component: Component = component
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"{component}-rights", daemon=True)

    def start(self) -> None:
        """Begin; returns at once."""
        self._thread.start()

    def stop(self, timeout: float) -> None:
        """End; blocks up to `timeout` seconds."""
        self._stop.set()
        if self._thread.ident is not None:
            self._thread.join(timeout)

    def _run(self) -> None:
        cluster = Cluster(self._settings.kafka, self._settings.topics.name(f"{self._component}-rights"))
        said = ""
        while not self._stop.is_set():
            try:
                require_rights(self._settings, self._component, cluster, 2.0)
            except NotAllowed as failure:
                if said != (said := str(failure)):
                    log.warning("rights on Kafka are missing", extra={"fields": {"error": said}})
            except KafkaFailure as failure:
                log.debug("rights can't be looked at now", extra={"fields": {"error": str(failure)}})
            else:
                if said:
                    log.info("all rights on Kafka are there")
                return
            self._stop.wait(RIGHTS_EVERY)


def require_rights(settings: Settings, component: Component, cluster: Cluster, timeout: float = 10.0) -> None:
    """Return if all is allowed that `component` does, as far as brokers tell; raise NotAllowed with all that
    is not. Raises BrokerUnavailable, FatalKafkaError.
    """
    if lacking := missing(cluster, needs(settings, component), settings.output_topics, timeout):
        raise NotAllowed("; ".join(lacking))


def largest_record(topics: list[str], cluster: Cluster, headroom: int) -> int:
    """The largest record that each of `topics` takes, less `headroom` (bytes).

    For message.max.bytes, so that the client refuses what a broker would.

    A record that the broker refuses makes the whole transaction abort-only.
    """
    limits = [int(config["max.message.bytes"]) for config in cluster.configs(topics).values()]
    return min(limits) - headroom
