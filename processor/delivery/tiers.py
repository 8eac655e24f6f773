"""Where a job waits: in memory for the last seconds, in a retry topic before.

One rule for all waits: a record goes to the longest tier that is not longer than what remains, hops on from
there, and the last 5 s at most are waited in memory. All times are ms since 1970, tiers are delays in ms,
ascending, with a 5 s one among them.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

MEMORY_MS: Final = 5_000
"""The longest wait in memory before an attempt."""

LONGEST_DEFERRAL_MS: Final = 600_000
"""Deferrals climb no higher than the 10m tier: what was put off is looked at again within ten minutes."""


@dataclass(frozen=True, slots=True)
class Attempt:
    """Due: try it now."""


@dataclass(frozen=True, slots=True)
class Wait:
    """Keep the record in memory, its partition's later records may go on; ask again at until_ms."""

    until_ms: int


@dataclass(frozen=True, slots=True)
class Hop:
    """Write the record to the retry topic of this delay."""

    tier_ms: int


Step = Attempt | Wait | Hop


def next_step(
    not_before_ms: int, now_ms: int, tiers_ms: Sequence[int], *, tier_ms: int = 0, appended_at_ms: int = 0
) -> Step:
    """What to do now with a job that is due at not_before_ms.

    tier_ms, appended_at_ms: the delay of the retry topic the record was read from and the broker's time of
    its append; 0 for a record of the job topic itself. A record rests in its tier for the tier's delay, but
    never longer than until it is due: the append comes a moment after the decision to hop.
    """
    if now_ms >= not_before_ms:
        return Attempt()
    if tier_ms:
        rested_at = min(appended_at_ms + tier_ms, not_before_ms)
        if now_ms < rested_at:
            return Wait(rested_at)
    remaining = not_before_ms - now_ms
    if remaining <= MEMORY_MS:
        return Wait(not_before_ms)
    return Hop(tier_for(remaining, tiers_ms))


def deferral_ms(deferrals: int, tiers_ms: Sequence[int]) -> int:
    """How long a job is put off that is not attempted, having been put off `deferrals` times before.

    One tier longer each time, up to 10m: a job that can't go out costs ever fewer records an hour.
    """
    climb = [tier for tier in tiers_ms if tier <= LONGEST_DEFERRAL_MS] or [MEMORY_MS]
    return climb[min(deferrals, len(climb) - 1)]


def tier_for(remaining_ms: int, tiers_ms: Sequence[int]) -> int:
    """The longest tier that is not longer than what remains; the shortest where none is."""
    return max((tier for tier in tiers_ms if tier <= remaining_ms), default=min(tiers_ms))
