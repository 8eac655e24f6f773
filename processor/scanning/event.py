"""The event that a hit becomes: the record on the event log. Pure.

Its value is a JSON object: severity, source (the workload), message, metadata (container, image, stream,
rule, captures, suppressed, node), created_at (the line's own time, RFC 3339). Its key is the workload.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, NamedTuple

import msgspec

from processor.events.text import is_utf8, repair_utf8
from processor.kafka.records import OutRecord
from processor.patterns.captures import captures
from processor.scanning.lines import STDERR, Tail
from processor.scanning.rule import ScanRule
from processor.scanning.ruling import Ruling

LONGEST_CAPTURE: Final = 4_096
"""Bytes of UTF-8 that are kept of what one group matched."""

LONGEST_MESSAGE: Final = 65_536
"""Bytes of UTF-8 that are kept of a message; a line may be sixteen times as long."""

ROOM: Final = 8_192
"""Bytes of a record that are left for everything but message and captures, headers and framing included."""


class Line(NamedTuple):
    """One line. text: valid UTF-8. time: RFC 3339, the line's own or when it was read."""

    text: bytes
    stream: int
    time: str


class Metadata(msgspec.Struct, frozen=True):
    container: str
    image: str
    stream: str
    rule: str
    captures: Mapping[str, str]
    suppressed: int
    node: str


class ScanEvent(msgspec.Struct, frozen=True):
    """The value of the record."""

    severity: str
    source: str
    message: str
    metadata: Metadata
    created_at: str


def readable(text: bytes) -> bytes:
    """The text of a line as patterns see it: valid UTF-8, U+FFFD for each byte that is none of it."""
    return text if is_utf8(text) else repair_utf8(text)


def captured(ruling: Ruling, text: bytes) -> Mapping[str, str]:
    """What the rule's named groups matched in a text that it matches, each cut to LONGEST_CAPTURE."""
    if not ruling.groups:
        return {}
    found = captures(ruling.pattern, text) or {}
    return {name: cut(value, LONGEST_CAPTURE).decode() for name, value in found.items()}


def make_event(ruling: Ruling, tail: Tail, line: Line, suppressed: int, node: str) -> ScanEvent:
    """The event of a line that the rule matches."""
    rule: ScanRule = ruling.rule
    groups = captured(ruling, line.text)
    if ruling.template is not None:
        message = cut(ruling.template.fill(groups).encode(), LONGEST_MESSAGE)
    else:
        message = cut(line.text, LONGEST_MESSAGE)
    return ScanEvent(
        rule.severity,
        tail.workload,
        message.decode(),
        Metadata(
            tail.container,
            tail.image,
            "stderr" if line.stream == STDERR else "stdout",
            rule.name,
            groups,
            suppressed,
            node,
        ),
        line.time,
    )


def to_record(event: ScanEvent, topic: str, limit: int) -> OutRecord:
    """The record of an event, at most `limit` bytes of key and value: message and captures are cut until it
    fits, so that no line can stop a log.
    """
    value = msgspec.json.encode(event)
    longest = LONGEST_MESSAGE
    while len(value) + len(event.source) > limit - ROOM and longest > 1:
        # A character may take six bytes of JSON, so how much to cut is only known afterwards.
        longest //= 2
        about = event.metadata
        shorter = {name: cut(text.encode(), longest).decode() for name, text in about.captures.items()}
        event = msgspec.structs.replace(
            event,
            message=cut(event.message.encode(), longest).decode(),
            metadata=msgspec.structs.replace(about, captures=shorter),
        )
        value = msgspec.json.encode(event)
    return OutRecord(topic, event.source.encode(), value, ())


def cut(text: bytes, limit: int) -> bytes:
    """The first `limit` bytes of a text in UTF-8 or fewer, so that no character is cut in two."""
    if len(text) <= limit:
        return text
    while limit and text[limit] & 0xC0 == 0x80:
        limit -= 1
    return text[:limit]
