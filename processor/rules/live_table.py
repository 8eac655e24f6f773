"""A table of a compacted topic in a running role: a thread reads the topic, everybody else asks."""

from __future__ import annotations

import logging
import threading
from typing import Final, Generic, Protocol, TypeVar

from processor.kafka.cluster import Cluster
from processor.kafka.config import client_config
from processor.kafka.records import InRecord, headers_of
from processor.kafka.table import TableReader
from processor.rules.codec import Headers
from processor.settings import Settings

END_SEEN_WITHIN_MS: Final = 20
"""fetch.wait.max.ms of the readers: how long after a write the table can be known to be at its end.

The end lies behind the write's commit marker, which no record shows; the client notices it when the next
fetch comes back empty, and the broker holds that one back for this long (half a second by default).
"""

R = TypeVar("R")
S = TypeVar("S")
R_co = TypeVar("R_co", covariant=True)
S_co = TypeVar("S_co", covariant=True)


class Applying(Protocol[R_co, S_co]):
    """What records are applied to."""

    def reset(self) -> None: ...

    def apply(
        self, key: bytes | None, value: bytes | None, headers: Headers | None, offset: int
    ) -> R_co | None: ...

    def snapshot(self) -> S_co: ...


class LiveTable(Generic[R, S]):
    """The table, kept up to date from start() to stop(). Any thread may ask; asking never waits for Kafka.

    What complaint() says of a record is logged once per version, as soon as the table is whole.
    """

    def __init__(self, settings: Settings, client: str, topic: str, table: Applying[R, S]) -> None:
        """`client`: the client id without the prefix. `table` is this object's alone. Opens no connection
        yet.
        """
        name = settings.topics.name(client)
        self._log = logging.getLogger(type(self).__module__)  # of the table that it is about
        self._lock = threading.Lock()
        self._applied_to = table
        self._said: dict[bytes, tuple[int, str]] = {}
        self._to_say: dict[bytes, tuple[int, str, str]] = {}
        self._reader = TableReader(
            client_config(settings.kafka, name, fetch_wait_max_ms=END_SEEN_WITHIN_MS),
            Cluster(settings.kafka, name),
            topic,
            _Sink(self),
        )

    def complaint(self, read: R) -> tuple[str, str] | None:
        """What to log of such a record, and why; None if it is as it should be."""
        del read
        return None

    def start(self) -> None:
        """Start reading; returns at once, a broker that isn't there is waited for."""
        self._reader.start()

    def stop(self, timeout: float = 5.0) -> None:
        """Stop reading and wake everybody who waits; blocks up to `timeout` seconds."""
        self._reader.stop(timeout)

    def snapshot(self) -> S:
        """The table as it is now, whole or not (see state()); the same object until something changes."""
        with self._lock:
            snapshot = self._applied_to.snapshot()
        self._report()
        return snapshot

    def state(self) -> tuple[str | None, int, str | None]:
        """(the topic's id, next offset, None when the table is whole, else why it isn't)."""
        state = self._reader.state()
        self._report()
        return state

    def applied(self) -> int | None:
        """The offset up to which the table holds everything; None while it isn't whole."""
        _, next_offset, reason = self.state()
        return next_offset if reason is None else None

    def wait_applied(self, next_offset: int, timeout: float) -> bool:
        """Wait until the table is whole and holds everything before `next_offset`; False after `timeout`
        seconds.
        """
        return self._reader.wait_applied(next_offset, timeout)

    def suspect(self) -> None:
        """Have the topic looked at now: somebody saw something that doesn't fit."""
        self._reader.suspect()

    @property
    def failed(self) -> BaseException | None:
        """Why the reader ended by itself, if it did."""
        return self._reader.failed

    @property
    def beat(self) -> float:
        """Monotonic time of the reader's last turn, for a liveness check."""
        return self._reader.beat

    def _reset(self) -> None:
        with self._lock:
            self._applied_to.reset()
            self._to_say.clear()

    def _take(self, record: InRecord) -> None:
        key, offset = record.key(), record.offset()
        with self._lock:
            read = self._applied_to.apply(
                key, record.value(), headers_of(record), -1 if offset is None else offset
            )
            self._to_say.pop(key or b"", None)
            if read is not None and (said := self.complaint(read)):
                self._to_say[key or b""] = (offset or 0, *said)
        self._report()

    def _report(self) -> None:
        # Versions that were replaced before the table was whole are nobody's business any more.
        if not self._to_say or self._reader.state()[2] is not None:
            return
        with self._lock:
            to_say, self._to_say = self._to_say, {}
        self._say(to_say)

    def _say(self, to_say: dict[bytes, tuple[int, str, str]]) -> None:
        """Log what wasn't logged yet. By key: the record's offset, what it is, and why."""
        with self._lock:
            new = {k: said for k, said in to_say.items() if self._said.get(k) != (said[0], said[2])}
            self._said |= {key: (offset, reason) for key, (offset, _, reason) in new.items()}
        for key, (offset, what, reason) in new.items():
            shown = key.decode("utf-8", "backslashreplace")
            self._log.warning(what, extra={"fields": {"rule": shown, "offset": offset, "reason": reason}})


class _Sink:
    """Applies the reader's records; only its thread calls this."""

    def __init__(self, table: LiveTable[R, S]) -> None:
        self._table = table

    def reset(self) -> None:
        self._table._reset()

    def apply(self, record: InRecord) -> None:
        self._table._take(record)
