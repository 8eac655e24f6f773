"""The default webhook body.

    {"type":"event_trigger","trigger_id":7,"trigger_name":"…","event":{…},"timestamp":"2026-11-23T10:00:00Z"}

The event goes in as its bytes: re-encoding it would change numbers, spacing and key order.
"""

import json
from datetime import UTC, datetime


def format_second(at_ms: int) -> str:
    """RFC 3339 in UTC, whole seconds (cut, not rounded), of a time in ms since 1970."""
    return datetime.fromtimestamp(at_ms // 1000, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _json_text(text: str) -> bytes:
    """A JSON string in UTF-8, nothing escaped but what JSON demands; lone surrogates become U+FFFD."""
    whole = text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    return json.dumps(whole, ensure_ascii=False).encode()


class BodyTemplate:
    """The constant parts of one rule's bodies, built once per rule."""

    __slots__ = ("_head",)

    def __init__(self, rule_id: int, rule_name: str) -> None:
        self._head = b'{"type":"event_trigger","trigger_id":%d,"trigger_name":%b,"event":' % (
            rule_id,
            _json_text(rule_name),
        )

    def render(self, event_body: bytes, at_second: str) -> bytes:
        """The body for one event.

        event_body: a JSON object, used untouched; at_second: the time of the match, from format_second.
        """
        return b'%b%b,"timestamp":"%b"}' % (self._head, event_body, at_second.encode())
