"""A rule's uid: immutable, random, never taken from anything but chance and the clock.

Ids come from a topic that may be restored or made again; the uid tells a new rule from an older one under the
same id, so that an old job can't fire at a new rule's target.
"""

from __future__ import annotations

import os
import re
import time

_ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_UID = re.compile(r"[0-9A-Za-z_-]{0,64}")


def ulid(now_ms: int, randomness: bytes) -> str:
    """A ULID (github.com/ulid/spec): 48 bits of `now_ms` since 1970 and 80 random bits, 26 characters."""
    if len(randomness) != 10:
        raise ValueError("a ULID takes 10 random bytes")
    number = (now_ms & (1 << 48) - 1) << 80 | int.from_bytes(randomness)
    return "".join(_ALPHABET[number >> shift & 31] for shift in range(125, -1, -5))


def check_uid(uid: str) -> str:
    """`uid` if it is one (empty: made by a plain producer); it is part of job ids and headers."""
    if _UID.fullmatch(uid) is None:
        raise ValueError("must be at most 64 letters, digits, - and _")
    return uid


def new_uid() -> str:
    """A fresh ULID."""
    return ulid(time.time_ns() // 1_000_000, os.urandom(10))


def random_hex(size: int) -> str:
    """`size` random bytes, written as hexadecimal."""
    return os.urandom(size).hex()
