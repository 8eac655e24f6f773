"""Finding a field by its dotted path, in objects whose values are not decoded before they are needed."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Self, TypeAlias

import msgspec

Members: TypeAlias = Mapping[str, msgspec.Raw]

_OBJECTS: Final = msgspec.json.Decoder(dict[str, msgspec.Raw])
_STRINGS: Final = msgspec.json.Decoder(str)


def members(text: bytes | msgspec.Raw) -> Members:
    """The members of a JSON object; of several with one key the last.

    Raises msgspec.ValidationError if the text begins another kind of value (whatever follows), and
    msgspec.DecodeError if it is not JSON or holds lone surrogates.
    """
    return _OBJECTS.decode(text)


@dataclass(frozen=True, slots=True)
class FieldPath:
    """One dotted path.

    At each level the longest literal key wins: `a.b.c` is the member "a.b.c", else "c" of "a.b", else "b.c"
    or "c" of "b" in "a". A key that leads no further (to no object, or to none with the rest) is passed over.
    """

    ways: tuple[
        tuple[str, Self | None], ...
    ]  # key and what is left of the path behind it, the longest key first

    @classmethod
    def parse(cls, path: str) -> Self:
        parts = path.split(".")
        # From the last part backwards: each rest of the path is built once and shared.
        rests: list[Self | None] = [None] * (len(parts) + 1)
        for start in range(len(parts) - 1, -1, -1):
            ends = range(len(parts), start, -1)
            rests[start] = cls(tuple((".".join(parts[start:end]), rests[end]) for end in ends))
        return rests[0] or cls(())

    def find(self, within: Members) -> msgspec.Raw | None:
        """The JSON text of the field's value, None if it is missing. `within` comes from valid JSON."""
        for key, rest in self.ways:
            raw = within.get(key)
            if raw is None:
                continue
            if rest is None:
                return raw
            if _first(raw) == b"{" and (found := rest.find(members(raw))) is not None:
                return found
        return None


def as_text(raw: msgspec.Raw | None) -> str | None:
    """What a value counts as: a string decoded, a number or boolean as written, missing and null as "".

    None for an object or an array.
    """
    if raw is None:
        return ""
    match _first(raw):
        case b'"':
            return _STRINGS.decode(raw)
        case b"n":
            return ""
        case b"{" | b"[":
            return None
        case _:
            return bytes(raw).decode()


def _first(raw: msgspec.Raw) -> bytes:
    return bytes(memoryview(raw)[:1])
