"""What event patterns cost, in this process and without Kafka: `python -m benchmarks.filters`.

One event of 277 bytes, decoded once for all patterns; the times are the best of five rounds.
"""

from __future__ import annotations

import timeit
from collections.abc import Callable
from typing import Any

import msgspec

from processor.events import document
from processor.filters import compile_filter

ROUNDS = 5
CALLS = 20_000

EVENT: dict[str, Any] = {
    "severity": "error",
    "source": "shop",
    "message": "x" * 80,
    "detail": {
        "state": "running",
        "n": 5,
        "ip": "10.2.3.4",
        "items": [{"a": 1, "b": "x"}, {"a": 2, "b": "y"}],
    },
    "tags": ["a", "b", "c"],
    "user": {"id": "u-1", "plan": "gold"},
}

PATTERNS: dict[str, Any] = {
    "one value": {"source": ["shop"]},
    "one nested value": {"detail": {"state": ["running"]}},
    "one nested value, none that passes": {"detail": {"state": ["stopped"]}},
    "three fields": {
        "source": ["shop"],
        "detail": {"state": ["running"], "n": [{"numeric": [">", 0, "<=", 5]}]},
    },
    "prefix": {"user": {"id": [{"prefix": "u-"}]}},
    "equals-ignore-case": {"user": {"plan": [{"equals-ignore-case": "GOLD"}]}},
    "wildcard": {"message": [{"wildcard": "*x*y*"}]},
    "cidr": {"detail": {"ip": [{"cidr": "10.0.0.0/8"}]}},
    "anything-but": {"detail": {"state": [{"anything-but": ["a", "b"]}]}},
    "exists: false": {"detail": {"gone": [{"exists": False}]}},
    "a value in an array": {"tags": ["c"]},
    "two fields of objects in an array": {"detail": {"items": {"a": [2], "b": ["y"]}}},
    "$or of two": {"source": ["shop"], "$or": [{"user": {"plan": ["gold"]}}, {"user": {"id": ["x"]}}]},
    "$or of a hundred, none that passes": {"$or": [{"user": {"plan": [str(n)]}} for n in range(100)]},
}


def main() -> None:
    """Print the table, in Markdown."""
    body = msgspec.json.encode(EVENT)
    decoded = document(body)
    print(f"decoding an event of {len(body)} bytes: {_us(lambda: document(body)):.2f} us\n")
    print("| pattern | match, us | compile, us |\n|---|---|---|")
    for name, spec in PATTERNS.items():
        compiled = compile_filter(spec)
        match = _us(lambda: compiled.matches(decoded))  # noqa: B023  (called before the next one)
        build = _us(lambda: compile_filter(spec), CALLS // 100)  # noqa: B023
        print(f"| {name} | {match:.2f} | {build:.0f} |")


def _us(call: Callable[[], object], calls: int = CALLS) -> float:
    return min(timeit.repeat(call, number=calls, repeat=ROUNDS)) / calls * 1e6


if __name__ == "__main__":
    main()
