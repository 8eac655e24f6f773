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
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Literal, TextIO
from urllib.parse import urlsplit

__all__ = ["origin", "set_up_logging"]

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


class TextFormatter(logging.Formatter):
    """A line for people: time, level, where, message, key=value."""

    def format(self, record: logging.LogRecord) -> str:
        fields = [f"{key}={_as_text(value)}" for key, value in _fields(record).items()]
        head = f"{_time(record)} {record.levelname:<7} {_short(record.name)}: {_escape(record.getMessage())}"
        line = " ".join((head, *fields))
        return f"{line}\n{self.formatException(record.exc_info)}" if record.exc_info else line


class JsonFormatter(logging.Formatter):
    """A line for programs: one JSON object, a traceback inside it as `exception`."""

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, object] = {
            "time": _time(record),
            "level": record.levelname.lower(),
            "logger": _short(record.name),
            "message": record.getMessage(),
        }
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        # The five names above are what log pipelines look for, so a field never takes their place.
        line |= {f"{key}_" if key in line else key: value for key, value in _fields(record).items()}
        return json.dumps(line, default=str)


def _fields(record: logging.LogRecord) -> Mapping[str, object]:
    fields = getattr(record, "fields", None)
    return fields if isinstance(fields, Mapping) else {}


def _time(record: logging.LogRecord) -> str:
    moment = datetime.fromtimestamp(record.created, UTC)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _short(name: str) -> str:
    return name.removeprefix(f"{_OWN}.")


def _as_text(value: object) -> str:
    plain = isinstance(value, str) and value.isprintable() and value and not _NEEDS_QUOTES.intersection(value)
    return str(value) if plain else json.dumps(value, default=str)


def _escape(message: str) -> str:
    return message if message.isprintable() else json.dumps(message)[1:-1]
