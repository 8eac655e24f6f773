"""Random records for an event log: mostly JSON objects, some broken in ways a lax decoder may miss."""

import random

_STRINGS = [b"a", b"x y", "é".encode(), "日".encode(), b"{", b"[", b"\x7f", "\ufffd\u2028".encode()]
_STRINGS += [b"\\n", b"\\u00e9", b"\\ud83d\\ude00", b"\\\\", b'\\"', b"\\/", b"\\b\\f\\r\\t", b"\\u0000"]
_STRINGS += [b"\\ud800", b"\\udc00", b"\\uD83D\\uD83D\\uDE00", b"\\\\ud800"]
_STRINGS += [b"\xff", b"\xe2\x82", b"\xed\xa0\x80", b"\xf0\x9f\x98", b"\xc0\x80", b"\xf4\x90\x80\x80"]
_BROKEN_STRINGS = [b"\\q", b"\x01", b"\n", b"\\u12", b"\\u12G4", b"\\x41", b"\x00", b"\\", b"\\'", b"\t"]
_VALID = (
    b"0 -0 1 -1 50 1.0 1e5 1E+5 -1.5e-3 1e999 -1e999 0.0 0e1 5e-324 18446744073709551616 -9223372036854775809"
)
_NUMBERS = [*_VALID.split(), b"12345678901234567890123456789", b"1" * 400]
_INVALID = b"01 1. .5 1e - +1 NaN Infinity -Infinity 0x1 1_0 00 -01 1e+ 1.e5 --1 1.5.5 nan True nul NULL 'x'"
_BROKEN = [*_INVALID.split(), b""]
_QUOTED = b'"severity" "source" "message" "Severity" "other" "\\u0073ource" "m\\u0065ssage"'
_KEYS = _QUOTED.split()


class RecordGenerator:
    """Values of records, from a seed."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)

    def record(self) -> bytes:
        pick = self._random
        value = self._object(3) if pick.random() < 0.93 else self._value(2)
        chance = pick.random()
        if chance < 0.35:
            value = self._damaged(value)
        elif chance > 0.98:
            value = pick.choice(
                [b"\xef\xbb\xbf" + value, value + b"x", value * 2, b" " + value + b"\n", value + b"\x00"]
            )
        return value or b" "

    def _damaged(self, value: bytes) -> bytes:
        pick = self._random
        at = pick.randrange(len(value) + 1)
        other = bytes([pick.choice(b'{}[]",:\\ e.-0tn\x00\xff')])
        cuts = [value[:at], value[:at] + value[at + 1 :], value[:at] + other + value[at:]]
        return pick.choice([*cuts, value[:at] + other + value[at + 1 :]])

    def _space(self) -> bytes:
        if self._random.random() < 0.001:
            return self._random.choice([b"\x0b", b"\x0c", b"\xc2\xa0", b"\x00", b"/**/"])
        return self._random.choice([b""] * 12 + [b" ", b"\n", b"\t\r"])

    def _string(self) -> bytes:
        parts = [self._random.choice(_STRINGS) for _ in range(self._random.choice([0, 1, 2, 3, 6]))]
        if self._random.random() < 0.02:
            parts.append(self._random.choice(_BROKEN_STRINGS))
        return b'"' + b"".join(parts) + b'"'

    def _value(self, depth: int) -> bytes:
        pick = self._random
        kinds = [
            (35, self._string),
            (20, lambda: pick.choice(_NUMBERS)),
            (10, lambda: pick.choice([b"true", b"false", b"null"])),
            (2, lambda: pick.choice(_BROKEN)),
            (15 if depth else 0, lambda: self._array(depth - 1)),
            (15 if depth else 0, lambda: self._object(depth - 1)),
        ]
        return pick.choices([make for _, make in kinds], [weight for weight, _ in kinds])[0]()

    def _array(self, depth: int) -> bytes:
        items = [
            self._space() + self._value(depth) + self._space() for _ in range(self._random.randint(0, 3))
        ]
        return b"[" + b",".join(items) + self._random.choice([b""] * 40 + [b","]) + b"]"

    def _object(self, depth: int) -> bytes:
        return b"{" + b",".join(self._member(depth) for _ in range(self._random.randint(0, 5))) + b"}"

    def _member(self, depth: int) -> bytes:
        key = self._string() if self._random.random() < 0.1 else self._random.choice(_KEYS)
        colon = self._random.choice([b":"] * 60 + [b"", b"=", b"::"])
        return (
            self._space() + key + self._space() + colon + self._space() + self._value(depth) + self._space()
        )
