"""What a sample of events looks like: which fields they have, and whether the three that decide are among
them. Pure.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any, Final, Literal, get_args

from processor.events.decoder import EventDecoder
from processor.events.document import document
from processor.events.event import EventFields, Reason, Unreadable

Deciding = Literal["severity", "source", "message"]
DECIDING: Final[tuple[Deciding, ...]] = get_args(Deciding)

MAX_DEPTH: Final = 4
MAX_PATHS: Final = 1_000
"""Fields deeper down, and paths beyond so many, are not listed: keys may be data."""
MAX_VALUES: Final = 1_000

_OFTEN: Final[dict[Deciding, tuple[str, ...]]] = {
    "severity": (
        "severity",
        "level",
        "log.level",
        "severity_text",
        "severityText",
        "lvl",
        "loglevel",
        "priority",
    ),
    "source": (
        "source",
        "service",
        "service.name",
        "app",
        "application",
        "logger",
        "log.logger",
        "component",
    ),
    "message": ("message", "msg", "text", "body", "log", "event.original", "@message"),
}
"""How the fields are named by those who log: syslog, ECS, OpenTelemetry, zap, pino, logrus, bunyan."""


class Sample:
    """Collects events one by one. `place` is where an event stands, for people."""

    def __init__(self, fields: EventFields) -> None:
        self.events = 0
        """All of them, unreadable ones included."""
        self.unreadable: Counter[Reason] = Counter()
        self.first_unreadable: dict[Reason, tuple[str, str]] = {}
        """Of each reason the first place and what is wrong there."""
        self.repaired = 0
        self.said: Counter[Deciding] = Counter()
        """How many say something in each of the three fields."""
        self.severities: Counter[str] = Counter()
        self.paths: Counter[str] = Counter()
        """In how many events each field is, by its dotted path; only fields that hold a value or an array."""
        self._fields = fields
        self._decoder = EventDecoder(fields)

    @property
    def readable(self) -> int:
        """Those that a matcher would judge."""
        return self.events - self.unreadable.total()

    def add(self, value: bytes | None, place: str) -> None:
        """Take one record's value."""
        self.events += 1
        event = self._decoder.decode(value)
        if isinstance(event, Unreadable):
            self.unreadable[event.reason] += 1
            self.first_unreadable.setdefault(event.reason, (place, event.detail))
            return
        self.repaired += event.repaired
        self.said.update(name for name in DECIDING if getattr(event, name))
        if event.severity and (event.severity in self.severities or len(self.severities) < MAX_VALUES):
            self.severities[event.severity] += 1
        for path in dict.fromkeys(_paths(document(event.body), "", MAX_DEPTH)):
            if path in self.paths or len(self.paths) < MAX_PATHS:
                self.paths[path] += 1

    def never_said(self) -> list[Deciding]:
        """Which of the three no readable event says anything in."""
        return [name for name in DECIDING if self.readable and not self.said[name]]

    def instead(self, name: Deciding) -> str | None:
        """The path that this field probably has: a usual one that more than half of the events have."""
        taken = {getattr(self._fields, other) for other in DECIDING if other != name}
        usual = [path for path in _OFTEN[name] if path not in taken and self.paths[path] * 2 > self.readable]
        return max(usual, key=lambda path: self.paths[path], default=None)


def _paths(value: dict[str, Any], prefix: str, depth: int) -> Iterator[str]:
    for name, inner in value.items():
        if isinstance(inner, dict) and inner and depth > 1:
            yield from _paths(inner, f"{prefix}{name}.", depth - 1)
        else:
            yield f"{prefix}{name}"
