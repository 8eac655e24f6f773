"""From a record's value to an event."""

from collections.abc import Sequence
from typing import cast

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


class Texts(msgspec.Struct):
    """What the fast decoder gives; the real type is made for the configured names."""

    severity: str = ""
    source: str = ""
    message: str = ""


_Decoder = msgspec.json.Decoder[Texts]


class EventDecoder:
    """Reads records of the event log. Immutable and pure; usable from any thread.

    The usual event, with its fields at the top level, is read in one pass that skips over everything else.
    (msgspec checks the grammar of what it skips, not its UTF-8.) Paths with dots, and events with anything
    unusual, take a second way that gives the same answers.
    """

    __slots__ = ("_fast", "_paths", "_strict")

    def __init__(self, fields: EventFields) -> None:
        paths = (fields.severity, fields.source, fields.message)
        self._paths = tuple(FieldPath.parse(path) for path in paths)
        self._fast = _fast_decoder(paths, _Scalar)
        self._strict = _fast_decoder(paths, str)

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

    def texts_of(self, values: Sequence[bytes | None]) -> Sequence[Texts] | None:
        """The three texts of each of many events, if none of them has anything unusual: then their bodies are
        the values as they are. Else None, and decode() has to look at each.

        A batch at a time costs half of what single events do.
        """
        if self._fast is None or None in values:
            return None
        given = cast("Sequence[bytes]", values)
        if [value for value in given if b"\n" in value]:
            return None
        # So each line is one value: decode_lines leaves out none but empty ones.
        joined = b"\n".join(given)
        if not is_utf8(joined):
            return None
        if max(map(len, given)) > MAX_DEPTH and any(map(too_deep, given)):
            return None
        try:
            try:
                found = cast("_Decoder", self._strict).decode_lines(joined)
            except msgspec.ValidationError:  # a number, perhaps, or null
                found = self._fast.decode_lines(joined)
                if not all(map(_as_texts, found)):
                    return None
        except msgspec.DecodeError:
            return None
        return found if len(found) == len(given) else None

    def _quickly(self, value: bytes) -> Event | None:
        """None if the event has anything unusual, or is unreadable."""
        if self._fast is None:
            return None
        try:
            found = self._fast.decode(value)
        except (msgspec.DecodeError, UnicodeDecodeError):
            return None
        if not _as_texts(found) or not is_utf8(value):
            return None
        return Event(found.severity, found.source, found.message, value, False, 0)

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


def _as_texts(found: Texts) -> bool:
    """Make the three values texts; False where that takes more than the values."""
    for name in ("severity", "source", "message"):
        text = _plain(getattr(found, name))
        if text is None:
            return False
        setattr(found, name, text)
    return True


def _plain(value: _Scalar) -> str | None:
    """The JSON text of a value that is no string, where the value alone tells it; else None."""
    if value is None or isinstance(value, str):
        return value or ""
    if isinstance(value, bool):
        return "true" if value else "false"
    # 0 may have been written -0, and a float in many ways.
    return str(value) if isinstance(value, int) and value != 0 else None


def _fast_decoder(paths: tuple[str, str, str], kind: object) -> _Decoder | None:
    """A decoder that reads three members and skips the rest; None if the paths need more than that."""
    if len(set(paths)) < len(paths) or any("." in path for path in paths):
        return None
    names = dict(zip(("severity", "source", "message"), paths, strict=True))
    try:
        # The fields are defined once more because only a class's own are renamed.
        members = [(name, kind, "") for name in names]
        fast = msgspec.defstruct("_Renamed", members, bases=(Texts,), rename=names, gc=False)
    except ValueError:
        return None  # msgspec can't look for keys with quotes, backslashes and control characters
    return msgspec.json.Decoder(fast)
