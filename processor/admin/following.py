"""The thread that feeds the index from the audit topic: its newest records first, then whatever comes."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Sequence
from typing import Final

from processor.admin.index import MOST_RECORDS, DeliveryIndex
from processor.delivery.lookup import audit_entry
from processor.kafka.cluster import Cluster
from processor.kafka.config import client_config
from processor.kafka.errors import FatalKafkaError, KafkaFailure
from processor.kafka.records import InRecord
from processor.kafka.scan import follow, read, stretches
from processor.settings import Settings

log = logging.getLogger(__name__)

LOOK_EVERY: Final = 5.0
"""Seconds between looks whether it still is the same topic."""

PATIENCE: Final = 5.0
"""Seconds to wait for a broker before beginning anew."""

AGAIN_AFTER: Final = 2.0


class Following:
    """Reads from start() to stop(), without a group. A broker that isn't there is waited for."""

    def __init__(self, settings: Settings, index: DeliveryIndex) -> None:
        """Opens no connection yet."""
        name = settings.topics.name("admin-deliveries")
        self._config = client_config(settings.kafka, name)
        self._cluster = Cluster(settings.kafka, name)
        self._topic = settings.topics.deliveries
        self._index = index
        self._topic_id: str | None = None
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="deliveries", daemon=True)
        self.reason: str | None = "the audit trail is not read yet"
        """Why the index is not as new as the topic, None when it is."""
        self.failed: BaseException | None = None

    def start(self) -> None:
        """Begin; returns at once."""
        self._thread.start()

    def stop(self, timeout: float) -> None:
        """End; blocks up to `timeout` seconds."""
        self._stop.set()
        if self._thread.ident is not None:
            self._thread.join(timeout)

    def _run(self) -> None:
        try:
            while not self._stop.is_set():
                try:
                    self._follow()
                except KafkaFailure as failure:
                    self.reason = str(failure)
                    log.debug("the audit trail can't be read now", extra={"fields": {"reason": str(failure)}})
                    self._stop.wait(AGAIN_AFTER)
        except BaseException as failure:  # noqa: BLE001 - reported by the service, which ends the process
            self.failed = failure

    def _follow(self) -> None:
        """Read it all, until stop() or until it is another topic."""
        self._meet(self._id())
        whole = stretches(self._cluster, self._topic, timeout=PATIENCE)
        share = max(1, MOST_RECORDS // max(1, len(whole)))
        newest = [one._replace(start=max(one.start, one.end - share)) for one in whole]
        self._index.clear()
        for batch in read(self._config, newest, patience=PATIENCE):
            self._add(batch)
            if self._stop.is_set():
                return
        cut = [part for one, part in zip(whole, newest, strict=True) if part.start > one.start]
        self._index.left_out({one.position.partition for one in cut})
        starts = {one.position: one.end for one in whole}
        coming = follow(self._config, self._cluster, starts)
        look_at = 0.0
        try:
            for batch in coming:
                if time.monotonic() >= look_at:
                    look_at = time.monotonic() + LOOK_EVERY
                    if self._id() != self._topic_id:
                        return  # what is in the batch may belong to either: all of it is read again
                self._add(batch)
                self.reason = None
                if self._stop.is_set():
                    return
        finally:
            coming.close()

    def _id(self) -> str:
        info = self._cluster.topic(self._topic, timeout=PATIENCE)
        if info is None:
            raise FatalKafkaError(f"topic {self._topic} is missing: run `tocsin topics apply`")
        return info.id

    def _meet(self, topic_id: str) -> None:
        if self._topic_id not in {None, topic_id}:
            self.reason = "the audit topic was made again and is read from its start"
            fields = {"topic": self._topic, "forgotten": len(self._index)}
            log.warning("the audit topic was deleted and made again", extra={"fields": fields})
        self._topic_id = topic_id

    def _add(self, batch: Sequence[InRecord]) -> None:
        self._index.add(entry for entry in map(audit_entry, batch) if entry is not None)
