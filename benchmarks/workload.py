"""Events and rules, the same in every run: a seed decides them.

Each event's message holds a number from 0 to 9,999 and its rules look at that number's last digits, so of any
count of rules (a power of ten) an event that hits fires exactly one, and hits spread over all of them. An
event that misses has the same words but one: no literal but `code=` tells them apart. Of the rules each has
its own digits, most have words of their own, and they say "and then" in several ways.
"""

import random
from collections.abc import Iterator
from typing import Any, Literal

import msgspec

SEED = 20_261_123
CODES = 10_000
SOURCES = 50
SEVERITIES = ("debug", "info", "warning", "error", "critical")

Lists = Literal["open", "listed"]
"""Rules that accept every severity and source, or rules that name three of the fifty sources."""

_VERBS = (
    *("rejected", "failed", "refused", "aborted", "crashed"),
    *("denied", "expired", "dropped", "stalled", "broken"),
)
_NOUNS = (
    *("payment", "shipment", "login", "upload", "backup"),
    *("checkout", "invoice", "webhook", "replica", "session"),
)
_PATTERNS = (
    r"{verb}: {code}\b",
    r"(?i){VERB}: {code} ",
    r"(?:order|cart|refund)-[0-9a-f]+ {noun} {verb}: {code}(?: |$)",
    r"{noun}.*{code} \(attempt \d+\) after \d+ ms",
    r"^\w+-\S+ {noun} .*{code} ",
    r"{noun} {verb}.{{0,20}}{code}\D",
    r"\b(?:{noun}|disk) {verb}\b.*\b{code}\b",
    r"{code} .*[1-9]\d{{0,2}} ms$",
)


def source(number: int) -> str:
    return f"service-{number % SOURCES:02d}"


def event(number: int, hit: bool, chance: random.Random) -> bytes:
    """One event of about 300 bytes."""
    code = chance.randrange(CODES)
    what = f"{_NOUNS[code // 10 % 10]} {_VERBS[code % 10]}: {'code' if hit else 'state'}={code:04d}"
    kind, order = chance.choice(("order", "cart", "refund")), chance.getrandbits(32)
    attempt, spent = number % 4 + 1, chance.randrange(1, 900)
    text = f"{kind}-{order:08x} {what} (attempt {attempt}) after {spent} ms"
    return msgspec.json.encode(
        {
            "severity": chance.choice(SEVERITIES),
            "source": source(code),
            "message": text,
            "ts": f"2026-11-23T10:{number // 60_000 % 60:02d}:{number // 1000 % 60:02d}.{number % 1000:03d}Z",
            "host": f"node-{chance.randrange(40):02d}.eu-west-1",
            "trace_id": f"{chance.getrandbits(128):032x}",
            "attributes": {"user": chance.randrange(10**6), "path": f"/api/v1/{kind}s", "ms": spent},
        }
    )


def events(count: int, hit_percent: int) -> Iterator[bytes]:
    """`count` events of which `hit_percent` in a hundred hit, at places that chance picks."""
    chance = random.Random(SEED)
    for number in range(count):
        yield event(number, chance.randrange(100) < hit_percent, chance)


def stamped(event: bytes, sent_ns: int) -> bytes:
    """The event with the time at which it is sent (ns since 1970), which sent_at() finds in a body."""
    return b'{"sent_ns":%d,' % sent_ns + event[1:]


def sent_at(body: bytes) -> int | None:
    """What stamped() wrote; None if it wrote nothing."""
    start = body.find(b'"sent_ns":')
    return None if start < 0 else int(body[start + 10 : body.index(b",", start)])


def pattern(number: int, of: int) -> str:
    """The regex of rule `number` (from 0) of `of` rules, a power of ten up to CODES."""
    digits = len(str(of)) - 1
    any_digits = rf"\d{{{4 - digits}}}" if digits < 4 else ""
    verb = _VERBS[number % 10]
    return _PATTERNS[number % len(_PATTERNS)].format(
        code=f"code={any_digits}{number:0{digits}d}",
        verb=verb,
        VERB=verb.upper(),
        noun=_NOUNS[number // 10 % 10] if of > 10 else r"\w+",
    )


def rule(number: int, of: int, lists: Lists, target: str) -> dict[str, Any]:
    """The fields of a rule's draft."""
    fields: dict[str, Any] = {
        "name": f"rule-{number:05d}",
        "filter_message_regex": pattern(number, of),
        "action_type": "webhook",
        "action_target": target,
    }
    if lists == "listed":
        assert of >= SOURCES, "an event's source has to follow from the digits that its rule looks at"
        fields["filter_source"] = [source(number), source(number + 17), source(number + 31)]
    return fields
