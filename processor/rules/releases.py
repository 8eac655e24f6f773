"""The record `_release` on the rule topic: what somebody has asked to be tried at once, and when.

    {"rules": {"7": 1795428000000}, "destinations": {"https://hooks.example.com": 1795428000000}}

A job of that rule or destination that was put off at or before that time (ms since 1970) is due. The record
is no rule and changes none; a damaged one releases nothing. Pure.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final

import msgspec

from processor.rules.codec import newer_format, read_id

RELEASE_KEY: Final = b"_release"

KEPT_MS: Final = 24 * 3_600_000
"""Entries older than this are dropped at the next write: whatever was put off then has been tried since."""


@dataclass(frozen=True, slots=True)
class Releases:
    """When what was last released, in ms since 1970: rules by id, destinations by origin.

    newer: why the record can't be replaced here, if a newer version wrote it.
    """

    rules: Mapping[int, int] = field(default_factory=lambda: MappingProxyType({}))
    destinations: Mapping[str, int] = field(default_factory=lambda: MappingProxyType({}))
    newer: str = ""


NOTHING_RELEASED: Final = Releases()


class _Record(msgspec.Struct):
    rules: dict[str, int] = {}
    destinations: dict[str, int] = {}


def read_releases(value: bytes | None, headers: Sequence[tuple[str, bytes | None]] | None) -> Releases:
    """What a record under RELEASE_KEY says; never raises."""
    if value is None:
        return NOTHING_RELEASED
    if newer := newer_format(headers):
        return Releases(newer=newer)
    try:
        record = msgspec.json.decode(value, type=_Record)
    except (msgspec.MsgspecError, RecursionError, ValueError):
        return NOTHING_RELEASED
    rules = {
        rule_id: at for key, at in record.rules.items() if (rule_id := read_id(key.encode())) is not None
    }
    return Releases(MappingProxyType(rules), MappingProxyType(record.destinations))


def with_released(
    before: Releases, rules: Iterable[int], destinations: Iterable[str], at_ms: int
) -> Releases:
    """`before` with these released at that time too, and without what is too old to matter."""
    horizon = at_ms - KEPT_MS
    by_rule = {rule_id: at for rule_id, at in before.rules.items() if at > horizon}
    by_origin = {origin: at for origin, at in before.destinations.items() if at > horizon}
    # Two clocks may disagree; what was promised before stays.
    by_rule |= {rule_id: max(at_ms, by_rule.get(rule_id, 0)) for rule_id in rules}
    by_origin |= {origin: max(at_ms, by_origin.get(origin, 0)) for origin in destinations}
    return Releases(MappingProxyType(by_rule), MappingProxyType(by_origin))


def write_releases(releases: Releases) -> bytes:
    """The record's value."""
    return msgspec.json.encode(
        {
            "rules": {str(rule_id): at for rule_id, at in releases.rules.items()},
            "destinations": dict(releases.destinations),
        }
    )
