import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from processor.jobs import BodyTemplate, format_second


def test_body_is_exactly_the_contract() -> None:
    body = BodyTemplate(7, "deploy-failures").render(b'{"a": 1.0}', "2026-11-23T10:00:00Z")
    assert body == (
        b'{"type":"event_trigger","trigger_id":7,"trigger_name":"deploy-failures",'
        b'"event":{"a": 1.0},"timestamp":"2026-11-23T10:00:00Z"}'
    )


def test_name_is_utf8_without_html_escaping() -> None:
    body = BodyTemplate(1, "<ä&\u2028>").render(b"{}", "x")
    assert '"trigger_name":"<ä&\u2028>"'.encode() in body


def test_lone_surrogate_in_a_name_still_gives_valid_utf8() -> None:
    body = BodyTemplate(1, "a\ud800b").render(b"{}", "x")
    assert json.loads(body.decode())["trigger_name"] == "a\ufffdb"


@given(st.text(st.characters(codec="utf-8")), st.dictionaries(st.text(), st.integers()))
def test_any_name_and_event_come_out_as_they_went_in(name: str, event: dict[str, int]) -> None:
    body = json.loads(BodyTemplate(7, name).render(json.dumps(event).encode(), "T"))
    assert body == {
        "type": "event_trigger",
        "trigger_id": 7,
        "trigger_name": name,
        "event": event,
        "timestamp": "T",
    }


@pytest.mark.parametrize(
    ("at_ms", "text"),
    [(0, "1970-01-01T00:00:00Z"), (1_795_428_000_999, "2026-11-23T10:00:00Z")],
)
def test_seconds_are_cut(at_ms: int, text: str) -> None:
    assert format_second(at_ms) == text
