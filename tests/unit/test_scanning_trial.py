"""What a rule makes of one line: template, captures, the event and its record."""

import json
from typing import Any

import pytest
from pydantic import ValidationError

from processor.scanning.event import LONGEST_MESSAGE, cut, to_record
from processor.scanning.lines import STDERR, Tail
from processor.scanning.rule import ScanRule
from processor.scanning.template import read_template
from processor.scanning.trial import try_line

NOW = "2026-11-25T18:00:00.000000001Z"
TAIL = Tail("docker/1", "shop", "shop-1", "shop:2")


def rule(pattern: str, **fields: Any) -> ScanRule:
    return ScanRule(id=1, name="r", pattern=pattern, **fields)


def test_a_hit_becomes_an_event_with_all_it_is_about() -> None:
    oom = rule(
        r"Killed process (?P<pid>\d+) \((?P<name>\S+)\)",
        severity="error",
        message_template="OOM killed ${name} (${pid}) for $5 and $${pid}",
    )
    tried = try_line(oom, b"Killed process 12 (java)", now=NOW, stream="stderr", tail=TAIL, node="n1")
    assert tried.matched
    assert tried.event is not None
    record = to_record(tried.event, "event-log", 1 << 20)
    assert (record.topic, record.key) == ("event-log", b"shop")
    assert json.loads(record.value or b"") == {
        "severity": "error",
        "source": "shop",
        "message": "OOM killed java (12) for $5 and ${pid}",
        "metadata": {
            "container": "shop-1",
            "image": "shop:2",
            "stream": "stderr",
            "rule": "r",
            "captures": {"pid": "12", "name": "java"},
            "suppressed": 0,
            "node": "n1",
        },
        "created_at": NOW,
    }


def test_without_a_template_the_message_is_the_line() -> None:
    tried = try_line(rule("b"), "äbc".encode(), now=NOW)
    assert tried.event is not None
    assert tried.event.message == "äbc"


def test_bytes_that_are_no_text_are_replaced_one_by_one() -> None:
    tried = try_line(rule("^..b$"), b"\xff\xfeb", now=NOW)
    assert tried.event is not None
    assert tried.event.message == "\ufffd\ufffdb"


def test_the_reason_says_what_did_not_fit() -> None:
    assert "not found" in try_line(rule("x"), b"y", now=NOW).reason
    wrong_stream = try_line(rule("(?P<a>x)", streams="stderr"), b"x", now=NOW)
    assert not wrong_stream.matched
    assert "stderr" in wrong_stream.reason
    assert wrong_stream.captures == {"a": "x"}


@pytest.mark.parametrize("character", ["a", "ä", "€", "🦀", "\x01", '"'])
def test_a_record_keeps_to_its_limit_whatever_the_line_holds(character: str) -> None:
    line = (character * (1 << 20)).encode()
    greedy = rule("(?s)(?P<all>.*)", message_template="${all}${all}")
    for limit in (20_000, 100_000, 1_000_000):
        for one in (rule("."), greedy):
            tried = try_line(one, line, now=NOW, tail=TAIL)
            assert tried.event is not None
            record = to_record(tried.event, "event-log", limit)
            assert record.value is not None
            assert len(record.value) <= limit
            message = json.loads(record.value)["message"]
            assert message
            assert set(message) == {character}


def test_a_text_is_cut_between_characters() -> None:
    for limit in range(12):
        kept = cut("a€🦀ä€".encode(), limit)
        assert len(kept) <= limit
        assert "a€🦀ä€".startswith(kept.decode())
    assert len(cut(b"x" * (LONGEST_MESSAGE + 1), LONGEST_MESSAGE)) == LONGEST_MESSAGE


@pytest.mark.parametrize(
    ("template", "complaint"),
    [("${pid}", "names no group"), ("a ${", "start of"), ("${na me}", "start of"), ("${}", "names no group")],
)
def test_a_template_that_cannot_be_filled_is_refused_with_the_rule(template: str, complaint: str) -> None:
    with pytest.raises(ValidationError, match=complaint):
        rule("(?P<name>x)", message_template=template)


def test_what_is_filled_in_is_not_read_again() -> None:
    template = read_template("${a}-$${a}-$$-${b}", ["a", "b"])
    assert template.fill({"a": "${b}", "b": "$"}) == "${b}-${a}-$$-$"
    assert read_template("plain $ {a}", []).fill({}) == "plain $ {a}"


def test_the_stream_of_a_line_is_said() -> None:
    tried = try_line(rule("x"), b"x", now=NOW, stream="stderr")
    assert tried.event is not None
    assert (tried.event.metadata.stream, STDERR) == ("stderr", 2)
