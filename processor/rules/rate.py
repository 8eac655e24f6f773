"""A rate limit as people write it: `20/s`, `90/m`, `5/h`, or a bare number per second.

The number is the burst as well: `60/m` and `1/s` let the same number through in the long run, but only the
former lets sixty go at once.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

MAX_COUNT: Final = 1_000_000

_PER_MS: Final = {"s": 1_000, "m": 60_000, "h": 3_600_000}
_WRITTEN = re.compile(r"([0-9]{1,9})(?:/([smh]))?")
_EXPECTED = f"expected a rate such as 20/s, 90/m or 5/h, with a whole number from 1 to {MAX_COUNT}"


@dataclass(frozen=True, slots=True)
class Rate:
    """`count` in every second, minute or hour (`unit`: s, m, h), and at most `count` at once."""

    count: int
    unit: str = "s"

    @property
    def per_ms(self) -> int:
        """The length of the unit in ms."""
        return _PER_MS[self.unit]

    def __str__(self) -> str:
        return f"{self.count}/{self.unit}"


def parse_rate(value: object) -> Rate:
    """The rate that a text or a whole number writes; raises ValueError with the expected form."""
    if isinstance(value, int) and not isinstance(value, bool):
        value = str(value)
    written = _WRITTEN.fullmatch(value) if isinstance(value, str) else None
    if written is None or not 1 <= int(written[1]) <= MAX_COUNT:
        raise ValueError(_EXPECTED)
    return Rate(int(written[1]), written[2] or "s")
