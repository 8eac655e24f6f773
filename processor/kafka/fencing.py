"""Being fenced on purpose: those who write in turn, each by claiming the same transactional id."""

from __future__ import annotations

import logging

from processor.kafka.transaction import TransactionalProducer


class FencingIsNoAlarm(logging.Filter):
    """Keeps librdkafka's words about a fenced producer out of the log: for this client it is daily business.

    It calls that fatal; here another writer was quicker and the write is made again.
    """

    def __init__(self, client_id: str) -> None:
        super().__init__()
        self._client = f"[{client_id}#producer-"
        self._log = logging.getLogger(TransactionalProducer.__module__)

    def install(self) -> None:
        """From now on, until remove()."""
        self._log.addFilter(self)

    def remove(self) -> None:
        """As before install()."""
        self._log.removeFilter(self)

    def filter(self, record: logging.LogRecord) -> bool:
        message = record.getMessage()
        return self._client not in message or not any(
            word in message for word in ("fenced", "old epoch", "concurrent")
        )
