"""What a source hands to the scanner: whose lines they are, the lines, and where to go on after them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

STDOUT: Final = 1
STDERR: Final = 2
"""As Docker numbers the streams. A terminal's (TTY) log and a plain file are stdout alone."""

MAX_LINE: Final = 1 << 20
"""Bytes of one line: a longer one is cut into several, which is counted."""

Position = Mapping[str, str | int]
"""Where a tail goes on, in the words of its source; kept as JSON. A source must take back what it gave, in
any later version.
"""


@dataclass(frozen=True, slots=True)
class Tail:
    """One log that is read: a container's, or a file.

    key: unique on this machine and the same after a restart of the scanner, such as `docker/<id>`; its
    position is kept under it. workload: what scan rules speak of (a compose service or a container's name,
    `<namespace>/<owner>`, a file's path). container and image are for the events; empty where there is none.
    """

    key: str
    workload: str
    container: str = ""
    image: str = ""


@dataclass(frozen=True, slots=True)
class Lines:
    """Some lines that follow each other in one tail; never empty.

    texts: each without its end of line and its time stamp, at most MAX_LINE bytes, of any encoding. streams:
    STDOUT or STDERR for each, as bytes. times: for each, when it was logged as the log has it (RFC 3339 with
    nanoseconds, checked), b"" where the log does not say. after: where to go on when all of them are done
    with. cut: how many of the texts are parts of a line that was too long.
    """

    tail: Tail
    texts: Sequence[bytes]
    streams: bytes
    times: Sequence[bytes]
    after: Position
    cut: int = 0


class Sink(Protocol):
    """Takes lines; all methods are called on the event loop of the scanner."""

    def position(self, key: str) -> Position | None:
        """Where to go on with this tail: the last `after` of which all events are acknowledged; None for
        one that is not known.
        """
        ...

    def known(self, prefix: str) -> Sequence[str]:
        """The keys that begin like this and have a position: what was read by an earlier process, too."""
        ...

    async def take(self, lines: Lines) -> None:
        """Judge these lines and hand their events to Kafka. Returns when the next ones may be read: a source
        that awaits it never has more than one portion of a tail in memory, whatever Kafka does.
        """
        ...

    def lost(self, tail: Tail, size: int) -> None:
        """Count `size` bytes (0 if unknown) of a tail that went away before they were read."""
        ...

    def gone(self, tail: Tail) -> None:
        """The tail is at its end and will not come back: its position can be forgotten once its events are
        acknowledged.
        """
        ...


class Source(Protocol):
    """A place that logs come from."""

    @property
    def tails(self) -> Sequence[Tail]:
        """Those that are being read now."""
        ...

    @property
    def trouble(self) -> str:
        """Why it can't read at the moment, in one line; empty when it can. The scanner is ready when no
        source has any.
        """
        ...

    async def run(self, sink: Sink) -> None:
        """Find tails and read them until cancelled, trying again whatever fails for a while. A source that
        ends by itself (standard input, a file read once) returns.
        """
        ...
