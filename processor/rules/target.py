"""Which URLs a rule may hold, as far as the text alone can tell; addresses are judged when the socket is
opened.

A webhook's path is often its credential, so no message here repeats more than the host.
"""

from __future__ import annotations

from processor.egress.target import Target, read_target

MAX_TARGET = 4_096
"""Characters of the longest target taken."""


def parse_target(text: str) -> Target:
    """`text` as the sender will read it; raises ValueError with the reason."""
    if not text:
        raise ValueError("is empty, expected a URL such as https://hooks.example.com/x")
    if len(text) > MAX_TARGET:
        raise ValueError(f"is longer than {MAX_TARGET} characters")
    if any("\ud800" <= character <= "\udfff" for character in text):
        raise ValueError("is not valid Unicode")
    return read_target(text)


def origin_of(text: str) -> str:
    """Scheme, host and port of a URL, for display; empty where it is none."""
    try:
        return parse_target(text).origin
    except ValueError:
        return ""
