"""From a record's value to an event."""

import msgspec

from processor.events.depth import MAX_DEPTH, too_deep
from processor.events.event import Event, EventFields, Unreadable
from processor.events.lookup import FieldPath, Members, as_text, members
from processor.events.text import is_utf8, repair_utf8, replace_lone_surrogates

_EMPTY = Unreadable("empty", "the value has 0 bytes")
_NULL = Unreadable("null", "the record has no value")
_TOO_DEEP = Unreadable("too_deep", f"more than {MAX_DEPTH} objects and arrays inside each other")

# What the three fields nearly always are. Anything else fails here and is looked at again, with care.
_Scalar = str | int | float | bool | None

_whole = msgspec.json.Decoder(msgspec.Raw).decode


class _Fast(msgspec.Struct):
    """The type of what the fast decoder gives; the real one is made for the configured names."""

    severity: _Scalar = ""
    source: _Scalar = ""
    message: _Scalar = ""


class EventDecoder:
    """Reads records of the event log. Immutable and pure; usable from any thread.

    The usual event, with its fields at the top level, is read in one pass that skips over everything else.
    (msgspec checks the grammar of what it skips, not its UTF-8.) Paths with dots, and events with anything
    unusual, take a second way that gives the same answers.
    """

    __slots__ = ("_fast", "_paths")

    def __init__(self, fields: EventFields) -> None:
        paths = (fields.severity, fields.source, fields.message)
        self._paths = tuple(FieldPath.parse(path) for path in paths)
        self._fast = _fast_decoder(paths)

    def decode(self, value: bytes | None) -> Event | Unreadable:
        """The event in a record's value, or why it can't be read. Never raises."""
        if not value:
            return _NULL if value is None else _EMPTY
        if len(value) > MAX_DEPTH and too_deep(value):
            return _TOO_DEEP
        try:
            return self._quickly(value) or self._carefully(value)
        except RecursionError:
            return (
                _TOO_DEEP  # not within the limit's reach, unless the caller itself is hundreds of calls deep
            )

    def _quickly(self, value: bytes) -> Event | None:
        """None if the event has anything unusual, or is unreadable."""
        if self._fast is None:
            return None
        try:
            found = self._fast.decode(value)
        except (msgspec.DecodeError, UnicodeDecodeError):
            return None
        severity, source, message = found.severity, found.source, found.message
        if type(severity) is not str:
            severity = _plain(severity)
        if type(source) is not str:
            source = _plain(source)
        if type(message) is not str:
            message = _plain(message)
        if severity is None or source is None or message is None or not is_utf8(value):
            return None
        return Event(severity, source, message, value, False, 0)

    def _carefully(self, value: bytes) -> Event | Unreadable:
        repaired = not is_utf8(value)
        body = repair_utf8(value) if repaired else value
        found = _read(body)
        if isinstance(found, Unreadable):
            return found
        texts = [as_text(path.find(found)) for path in self._paths]
        severity, source, message = (text or "" for text in texts)
        return Event(severity, source, message, body, repaired, texts.count(None))


def _read(body: bytes) -> Members | Unreadable:
    """The members of the object in `body`, which is valid UTF-8."""
    try:
        return members(body)
    except msgspec.ValidationError:
        pass  # not an object; whether it is JSON is still open
    except msgspec.DecodeError as error:
        mended = replace_lone_surrogates(body)
        if mended == body:
            return Unreadable("not_json", str(error))
        return _read(mended)
    try:
        _whole(replace_lone_surrogates(body))
    except msgspec.DecodeError as error:
        return Unreadable("not_json", str(error))
    return Unreadable("not_object", "the value is JSON, but not an object")


def _plain(value: _Scalar) -> str | None:
    """The JSON text of a value that is no string, where the value alone tells it; else None."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    # 0 may have been written -0, and a float in many ways.
    return str(value) if isinstance(value, int) and value != 0 else None


def _fast_decoder(paths: tuple[str, str, str]) -> msgspec.json.Decoder[_Fast] | None:
    """A decoder that reads three members and skips the rest; None if the paths need more than that."""
    if len(set(paths)) < len(paths) or any("." in path for path in paths):
        return None
    names = dict(zip(("severity", "source", "message"), paths, strict=True))
    try:
        # The fields are defined once more because only a class's own are renamed.
        members = [(name, _Scalar, "") for name in names]
        fast = msgspec.defstruct("_Renamed", members, bases=(_Fast,), rename=names, gc=False)
    except ValueError:
        return None  # msgspec can't look for keys with quotes, backslashes and control characters
    return msgspec.json.Decoder(fast)
