"""Logs: one line per thing that happened, on standard error; text on a terminal, JSON elsewhere.

Every module logs through the standard library, with what is particular in fields beside a constant message:

    log = logging.getLogger(__name__)
    log.info("rules table ready", extra={"fields": {"offset": 12, "rules": 3}})

becomes `2026-11-23T10:00:00.123Z INFO  rules: rules table ready offset=12 rules=3`, or one JSON object with
`time`, `level`, `logger`, `message` and the fields beside them. Times are RFC 3339 in UTC. A message that is
a template has nothing to group by, so what varies goes into fields, never into the message.

No secret is ever handed to a log, and of a URL only its `origin`. Control characters are escaped, so that no
logged text can begin a line of its own; only a traceback, in text, has lines below its own.
"""

import json
import logging
import sys
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import lru_cache
from typing import Literal, NamedTuple, TextIO
from urllib.parse import urlsplit

import msgspec

__all__ = ["Lines", "origin", "set_up_logging"]

_OWN = "processor"
_DEFAULT_PORTS = {"http": 80, "https": 443}
_NEEDS_QUOTES = frozenset(' "=\\')


def set_up_logging(
    level: Literal["debug", "info", "warning", "error"],
    log_format: Literal["text", "json"] | None,
    stream: TextIO | None = None,
) -> None:
    """Log to `stream` (standard error) from `level` on; a format of None is text on a terminal, else JSON.

    The level is for Tocsin's own modules; libraries are heard from `warning` on. May be called again.
    """
    out = sys.stderr if stream is None else stream
    as_text = log_format == "text" or (log_format is None and out.isatty())
    handler = logging.StreamHandler(out)
    handler.setFormatter(TextFormatter() if as_text else JsonFormatter())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.WARNING)
    logging.getLogger(_OWN).setLevel(level.upper())
    logging.captureWarnings(capture=True)


def origin(url: str) -> str:
    """Of a URL what may be logged: `scheme://host[:port]`, no default port, no credentials; `?` if it has no
    host.

    The rest of a webhook's URL is often its credential.
    """
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError:
        return "?"
    if not parts.scheme or not host:
        return "?"
    shown = f"[{host}]" if ":" in host else host
    usual = port in (None, _DEFAULT_PORTS.get(parts.scheme))
    return f"{parts.scheme}://{shown}" if usual else f"{parts.scheme}://{shown}:{port}"


class _Line(NamedTuple):
    """What one line says. at: seconds since 1970; level: its name."""

    at: float
    level: str
    message: str
    fields: Mapping[str, object]


class Lines:
    """Many lines at the price of one: they are kept until flush() and go out together, in their order.

    A line by itself costs a record, a lock, a write and a flush, more than the HTTP request it tells of. For
    one thread.
    """

    def __init__(self, log: logging.Logger) -> None:
        """They are of `log`, by its level."""
        self._log = log
        self._lines: list[_Line] = []

    def wants(self, level: int) -> bool:
        """Whether a line of this level would go out."""
        return self._log.isEnabledFor(level)

    def add(self, level: int, message: str, fields: Mapping[str, object]) -> None:
        """One more, as of now; asked for wants() already."""
        self._lines.append(_Line(time.time(), logging.getLevelName(level), message, fields))

    def flush(self) -> None:
        """Hand them over."""
        if self._lines:
            lines, self._lines = self._lines, []
            # Their levels were asked for one by one: the record's own is none of theirs.
            self._log.handle(
                self._log.makeRecord(
                    self._log.name, logging.INFO, "", 0, "lines", (), None, extra={"lines": lines}
                )
            )


class _Formatter(logging.Formatter):
    """One line per record, or those that a record of Lines holds."""

    def format(self, record: logging.LogRecord) -> str:
        where = _short(record.name)
        lines: list[_Line] | None = getattr(record, "lines", None)
        if lines is not None:
            return "\n".join([self._form(line, where, "") for line in lines])
        found = getattr(record, "fields", None)
        fields = found if isinstance(found, Mapping) else {}
        line = _Line(record.created, record.levelname, record.getMessage(), fields)
        return self._form(line, where, self.formatException(record.exc_info) if record.exc_info else "")

    def _form(self, line: _Line, where: str, traceback: str) -> str:
        raise NotImplementedError


class TextFormatter(_Formatter):
    """A line for people: time, level, where, message, key=value."""

    def _form(self, line: _Line, where: str, traceback: str) -> str:
        fields = [f"{key}={_as_text(value)}" for key, value in line.fields.items()]
        head = f"{_time(line.at)} {line.level:<7} {where}: {_escape(line.message)}"
        text = " ".join((head, *fields))
        return f"{text}\n{traceback}" if traceback else text


class JsonFormatter(_Formatter):
    """A line for programs: one JSON object, a traceback inside it as `exception`."""

    def _form(self, line: _Line, where: str, traceback: str) -> str:
        said: dict[str, object] = {
            "time": _time(line.at),
            "level": line.level.lower(),
            "logger": where,
            "message": line.message,
        }
        if traceback:
            said["exception"] = traceback
        # The five names above are what log pipelines look for, so a field never takes their place.
        if said.keys() & line.fields.keys():
            said |= {f"{key}_" if key in said else key: value for key, value in line.fields.items()}
        else:
            said.update(line.fields)
        return _as_json(said)


def _as_json(line: dict[str, object]) -> str:
    """In ASCII: a character that some viewer takes for the end of a line doesn't stand in it as it is."""
    try:
        encoded = _encode(line)
        if encoded.isascii():
            return msgspec.json.format(encoded, indent=0).decode("ascii")
    except (TypeError, ValueError, OverflowError, msgspec.MsgspecError):
        pass  # what msgspec doesn't write: a lone surrogate, a number of many digits
    return json.dumps(line, default=str)


_encode = msgspec.json.Encoder(enc_hook=str).encode


def _time(at: float) -> str:
    ms = int(at * 1000)
    return f"{_second(ms // 1000)}.{ms % 1000:03d}Z"


@lru_cache(maxsize=4)
def _second(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S")


def _short(name: str) -> str:
    return name.removeprefix(f"{_OWN}.")


def _as_text(value: object) -> str:
    plain = isinstance(value, str) and value.isprintable() and value and not _NEEDS_QUOTES.intersection(value)
    return str(value) if plain else json.dumps(value, default=str)


def _escape(message: str) -> str:
    return message if message.isprintable() else json.dumps(message)[1:-1]
