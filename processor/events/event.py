"""The outcome of reading one record of the event log."""

from dataclasses import dataclass
from typing import Literal

import msgspec

# too_large is never the decoder's verdict: it belongs to records of which the outputs can't hold the value.
Reason = Literal["not_json", "not_object", "null", "empty", "too_deep", "too_large"]


@dataclass(frozen=True, slots=True)
class EventFields:
    """Where the deciding fields are: dotted paths into the event, `log.level` for instance.

    Raises ValueError for an empty path.
    """

    severity: str = "severity"
    source: str = "source"
    message: str = "message"

    def __post_init__(self) -> None:
        for name in ("severity", "source", "message"):
            if not getattr(self, name):
                raise ValueError(f"the path of {name} is empty")


# Both are msgspec structs for their constructors, which cost half of a class's with __slots__.
class Event(msgspec.Struct, frozen=True, gc=False):
    """A readable event.

    severity, source, message: valid Unicode, untrimmed; "" if missing, null or of a wrong type.
    body: the record's value, byte for byte, or repaired: a JSON object in UTF-8 either way.
    repaired: whether the body differs from the value (its strings held invalid UTF-8).
    wrong_types: how many of the three fields hold an object or an array, 0 to 3.
    """

    severity: str
    source: str
    message: str
    body: bytes
    repaired: bool
    wrong_types: int


class Unreadable(msgspec.Struct, frozen=True, gc=False):
    """A record that can't be read as an event. `detail` tells people why, without quoting the value."""

    reason: Reason
    detail: str
