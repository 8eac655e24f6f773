"""A readable event's body can always be decoded as a whole."""

from __future__ import annotations

from math import inf
from typing import Any

import pytest

from processor.events import Event, EventDecoder, EventFields, document


def decoded(value: bytes) -> dict[str, Any]:
    event = EventDecoder(EventFields()).decode(value)
    assert isinstance(event, Event)
    return document(event.body)


@pytest.mark.parametrize(
    ("value", "members"),
    [
        (b"{}", {}),
        (b'{"a":[1,-2.5,true,false,null,"x",{"b":{}}]}', {"a": [1, -2.5, True, False, None, "x", {"b": {}}]}),
        (b'{"a":1,"a":2}', {"a": 2}),
        (b'{"a":18446744073709551617}', {"a": 18446744073709551617}),
        (b'{"a":1e999,"b":-1e999,"a":1e999,"c":2}', {"a": inf, "b": -inf, "c": 2}),
        (b'{"a":"\\ud800","b":"\\ud83d\\ude00"}', {"a": "\ufffd", "b": "\U0001f600"}),
        (b'{"a":"\xff"}', {"a": "\ufffd"}),
        (b'{"n":' + b"9" * 3_000 + b"}", {"n": int("9" * 3_000)}),
        (b'{"n":-' + b"9" * 5_000 + b',"m":1}', {"n": -inf, "m": 1}),
    ],
)
def test_members_are_decoded(value: bytes, members: dict[str, Any]) -> None:
    assert decoded(value) == members


@pytest.mark.parametrize("end", [b"1", b"1e999"])
def test_as_deep_as_events_may_nest(end: bytes) -> None:
    value: Any = decoded(b'{"a":' * 500 + end + b"}" * 500)

    for _ in range(500):
        value = value["a"]
    assert value in (1, inf)
