"""Which headers a rule may add to its webhooks: anything but what the request itself is made of."""

from __future__ import annotations

import re

MAX_HEADERS = 50
MAX_VALUE = 4_096
"""Characters of the longest value taken."""

_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,128}")  # RFC 9110, 5.6.2
_VALUE = re.compile(r"[\t\x20-\x7e]*")  # RFC 9110, 5.5, without the obsolete bytes above ASCII

_OWN = frozenset(
    {
        # Written by the sender itself (contract: "Request"), or derived from the body it sends.
        "content-type",
        "content-length",
        "content-encoding",
        "host",
        "user-agent",
        "traceparent",
        "tracestate",
        # Hop-by-hop (RFC 9110, 7.6.1) and what changes how the message is framed or sent.
        "connection",
        "expect",
        "keep-alive",
        "proxy-authenticate",
        "proxy-authorization",
        "proxy-connection",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
    }
)


def check_header_name(name: str) -> None:
    """Raises ValueError when a rule may not set this header."""
    if _TOKEN.fullmatch(name) is None:
        raise ValueError("is not a header name (letters, digits and - are)")
    lower = name.lower()
    if lower in _OWN or lower.startswith("webhook-"):
        raise ValueError("is set by Tocsin itself and can't be chosen")


def check_header_value(value: str) -> None:
    """Raises ValueError, without the value, when it can't stand in a header."""
    if len(value) > MAX_VALUE:
        raise ValueError(f"is longer than {MAX_VALUE} characters")
    if _VALUE.fullmatch(value) is None:
        raise ValueError("holds a line break, a control character or a character outside ASCII")
