"""Logs: one line per thing, for people or for programs, and nothing secret in it."""

import io
import json
import logging
import re
from collections.abc import Iterator
from typing import Any

import pytest
from pydantic import SecretStr

from processor.observability.logging import Lines, origin, set_up_logging

log = logging.getLogger("processor.rules.live")


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture(autouse=True)
def _logging_as_before() -> Iterator[None]:
    root, own = logging.getLogger(), logging.getLogger("processor")
    handlers, levels = root.handlers[:], (root.level, own.level)
    yield
    root.handlers[:] = handlers
    root.setLevel(levels[0])
    own.setLevel(levels[1])
    logging.captureWarnings(capture=False)


def logged(**fields: object) -> dict[str, Any]:
    """What a line with these fields is as JSON."""
    out = io.StringIO()
    set_up_logging("info", "json", out)
    log.info("rules table ready", extra={"fields": fields})
    line: dict[str, Any] = json.loads(out.getvalue())
    return line


def as_text(message: str, **fields: object) -> str:
    out = io.StringIO()
    set_up_logging("debug", "text", out)
    log.info(message, extra={"fields": fields})
    return out.getvalue()


def test_text_line_has_time_level_place_message_and_fields() -> None:
    line = as_text("rules table ready", offset=12, took=0.5, topic="a.b", strict=True, reason=None)
    assert re.fullmatch(
        r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z INFO    rules\.live: rules table ready"
        r" offset=12 took=0\.5 topic=a\.b strict=true reason=null\n",
        line,
    )


def test_json_line_has_the_fields_beside_the_message() -> None:
    line = logged(offset=12, names=["a", "b"])
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", line.pop("time"))
    assert line == {
        "level": "info",
        "logger": "rules.live",
        "message": "rules table ready",
        "offset": 12,
        "names": ["a", "b"],
    }


def test_field_never_takes_the_place_of_a_standard_one() -> None:
    line = logged(message="x", level=3, time="now")
    assert (line["message"], line["message_"]) == ("rules table ready", "x")
    assert (line["level"], line["level_"]) == ("info", 3)


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ("two words", '"two words"'),
        ("", '""'),
        ("a=b", '"a=b"'),
        ('say "x"', '"say \\"x\\""'),
        ("x\n2026-01-01T00:00:00Z INFO forged", '"x\\n2026-01-01T00:00:00Z INFO forged"'),
        ("\x1b[31mred", '"\\u001b[31mred"'),
        ("a\u2028b", '"a\\u2028b"'),
        ("größe", "größe"),
        (["a", 1], '["a", 1]'),
        ({"a": 1}, '{"a": 1}'),
    ],
)
def test_text_value_stays_one_readable_word(value: object, shown: str) -> None:
    line = as_text("m", v=value)
    assert line.endswith(f"m v={shown}\n")
    assert line.count("\n") == 1


def test_message_cannot_begin_a_line_of_its_own() -> None:
    assert as_text("a\nb\x1b").endswith("rules.live: a\\nb\\u001b\n")


def test_secret_that_reaches_a_log_stays_hidden() -> None:
    assert "hunter2" not in as_text("m", password=SecretStr("hunter2"))
    assert "hunter2" not in json.dumps(logged(password=SecretStr("hunter2")))


def test_traceback_is_inside_the_json_line_and_below_the_text_line() -> None:
    for log_format in ("json", "text"):
        out = io.StringIO()
        set_up_logging("info", "json" if log_format == "json" else "text", out)
        try:
            raise ValueError("boom")
        except ValueError:
            log.exception("service failed", extra={"fields": {"service": "matcher"}})
        first, *rest = out.getvalue().splitlines()
        if log_format == "json":
            assert not rest
            assert "ValueError: boom" in json.loads(first)["exception"]
        else:
            assert first.endswith("service failed service=matcher")
            assert rest[-1] == "ValueError: boom"


@pytest.mark.parametrize(
    ("stream", "log_format", "json_expected"),
    [
        (Terminal(), None, False),
        (io.StringIO(), None, True),
        (Terminal(), "json", True),
        (io.StringIO(), "text", False),
    ],
)
def test_terminal_gets_text_and_anything_else_json_unless_told(
    stream: io.StringIO, log_format: Any, json_expected: bool
) -> None:
    set_up_logging("info", log_format, stream)
    log.info("m")
    assert stream.getvalue().startswith("{") is json_expected


def test_level_is_for_the_own_modules_and_libraries_are_heard_from_warning_on() -> None:
    out = io.StringIO()
    set_up_logging("debug", "text", out)
    log.debug("own debug")
    logging.getLogger("aiohttp.access").info("library info")
    logging.getLogger("aiohttp.client").warning("library warning")
    assert "own debug" in out.getvalue()
    assert "library info" not in out.getvalue()
    assert "aiohttp.client: library warning" in out.getvalue()
    set_up_logging("error", "text", out)
    log.warning("own warning")
    assert "own warning" not in out.getvalue()


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("https://hooks.example.com/services/T0/SECRET?key=SECRET#SECRET", "https://hooks.example.com"),
        ("https://user:SECRET@Example.com:8443/x", "https://example.com:8443"),
        ("https://example.com:443/x", "https://example.com"),
        ("http://example.com:443/x", "http://example.com:443"),
        ("http://[fd00::1]:80/SECRET", "http://[fd00::1]"),
        ("http://[SECRET", "?"),
        ("http://example.com:SECRET/", "?"),
        ("SECRET", "?"),
        ("mailto:SECRET@example.com", "?"),
        ("", "?"),
    ],
)
def test_origin_is_all_of_a_url_that_is_logged(url: str, shown: str) -> None:
    assert origin(url) == shown


def test_lines_go_out_together_in_their_order_and_by_their_levels() -> None:
    out = io.StringIO()
    set_up_logging("warning", "json", out)
    lines = Lines(log)
    assert not lines.wants(logging.INFO)
    for level, message in ((logging.WARNING, "failed"), (logging.ERROR, "dead")):
        assert lines.wants(level)
        lines.add(level, message, {"job_id": "msg_x", "message": "taken"})
    assert out.getvalue() == ""
    lines.flush()
    lines.flush()
    said = [json.loads(line) for line in out.getvalue().splitlines()]
    assert [(line["level"], line["message"], line["message_"]) for line in said] == [
        ("warning", "failed", "taken"),
        ("error", "dead", "taken"),
    ]
    assert {line["logger"] for line in said} == {"rules.live"}


def test_lines_read_as_others_do_in_text() -> None:
    out = io.StringIO()
    set_up_logging("info", "text", out)
    lines = Lines(log)
    lines.add(logging.INFO, "delivered", {"status": 200})
    lines.flush()
    log.info("delivered", extra={"fields": {"status": 200}})
    first, second = out.getvalue().splitlines()
    assert first[24:] == second[24:] == " INFO    rules.live: delivered status=200"


@pytest.mark.parametrize(
    "value", ["a\u2028b", "größe", "\ud800", "\x00\x1b", 10**40, {"a": {1, 2}}, float("nan")]
)
def test_json_line_is_one_line_of_ascii_whatever_it_holds(value: object) -> None:
    out = io.StringIO()
    set_up_logging("info", "json", out)
    log.info("m", extra={"fields": {"v": value}})
    assert out.getvalue().isascii()
    assert out.getvalue().count("\n") == 1
    assert "v" in json.loads(out.getvalue())
