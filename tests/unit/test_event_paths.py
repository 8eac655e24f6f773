"""Where the deciding fields of an event are looked for."""

import json
from dataclasses import FrozenInstanceError

import pytest

from processor.events import Event, EventDecoder, EventFields


def read(value: bytes, fields: EventFields) -> Event:
    event = EventDecoder(fields).decode(value)
    assert isinstance(event, Event), event
    return event


@pytest.mark.parametrize(
    ("value", "severity", "wrong_types"),
    [
        (b'{"log":{"level":"path"}}', "path", 0),
        (b'{"log.level":"literal","log":{"level":"path"}}', "literal", 0),
        (b'{"log":{"level":"path"},"log.level":"literal"}', "literal", 0),
        (b'{"log.level":null,"log":{"level":"path"}}', "", 0),
        (b'{"log":{"level":50}}', "50", 0),
        (b'{"log":{"level":{}}}', "", 1),
        (b'{"log":{"level":"a"},"log":{}}', "", 0),
        (b'{"log":"no object"}', "", 0),
        (b'{"log":{"Level":"a"}}', "", 0),
        (b'{"log":{"level":"\\ud800"}}', "\ufffd", 0),
        (b'{"log":{"level":"\xff"}}', "\ufffd", 0),
        (b"{}", "", 0),
    ],
)
def test_a_dotted_path_leads_into_objects_and_a_literal_key_wins(
    value: bytes, severity: str, wrong_types: int
) -> None:
    event = read(value, EventFields(severity="log.level"))
    assert (event.severity, event.wrong_types) == (severity, wrong_types)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ({"a.b.c": "1", "a.b": {"c": "2"}, "a": {"b.c": "3", "b": {"c": "4"}}}, "1"),
        ({"a.b": {"c": "2"}, "a": {"b.c": "3", "b": {"c": "4"}}}, "2"),
        ({"a": {"b.c": "3", "b": {"c": "4"}}}, "3"),
        ({"a": {"b": {"c": "4"}}}, "4"),
        ({"a.b": {"x": "2"}, "a": {"b": {"c": "4"}}}, "4"),
        ({"a.b": "no object", "a": {"b": {"c": "4"}}}, "4"),
    ],
)
def test_at_each_level_the_longest_literal_key_wins(value: object, expected: str) -> None:
    assert read(json.dumps(value).encode(), EventFields(source="a.b.c")).source == expected


@pytest.mark.parametrize("path", ["a b", 'we"ird', "back\\slash", "é", "."])
def test_any_name_can_be_a_path(path: str) -> None:
    value = json.dumps({path: "found", "message": "m"}).encode()
    assert read(value, EventFields(severity=path)).severity == "found"


def test_names_may_be_exchanged() -> None:
    event = read(b'{"severity":"a","source":"b","message":"c"}', EventFields("message", "severity", "source"))
    assert (event.severity, event.source, event.message) == ("c", "a", "b")


def test_fields_may_share_a_path() -> None:
    event = read(b'{"text":"x"}', EventFields(severity="text", source="text", message="text"))
    assert (event.severity, event.source, event.message) == ("x", "x", "x")


def test_a_path_of_very_many_parts_costs_nothing_unusual() -> None:
    assert read(b'{"a":{"a":{}}}', EventFields(severity=".".join("a" * 200))).severity == ""


def test_an_empty_path_is_refused() -> None:
    with pytest.raises(ValueError, match="source"):
        EventFields(source="")


def test_fields_cannot_be_changed() -> None:
    with pytest.raises(FrozenInstanceError):
        EventFields().message = "x"  # type: ignore[misc]
