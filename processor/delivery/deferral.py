"""Where a job goes that is put off without an attempt, and until when.

Three kinds of waits. `climbing`: nobody knows how long (rule paused or invalid, circuit open): one tier
longer each time, up to 10m, so a job that can't go out costs ever fewer records. `within`: its time is
known roughly (a scout of a circuit, a place behind a full queue): one record in the shortest tier that
holds all of the wait; should others stand before it in that topic it comes later, but never later than the
tier's delay. `exact`: its time is known and kept (a rate limit): by hops, as a scheduled attempt waits.
Pure; ms.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from processor.delivery.tiers import LONGEST_DEFERRAL_MS, deferral_ms, tier_for


class PutOff(NamedTuple):
    """The tier to write the record to, and its due time (since 1970)."""

    tier_ms: int
    not_before_ms: int


def climbing(now_ms: int, deferrals: int, tiers_ms: Sequence[int]) -> PutOff:
    """For nobody knows how long; `deferrals`: how often it was put off before."""
    tier = deferral_ms(deferrals, tiers_ms)
    return PutOff(tier, now_ms + tier)


def within(now_ms: int, wait_ms: int, tiers_ms: Sequence[int], *, at_least_ms: int = 0) -> PutOff:
    """For `wait_ms`, or what the longest tier up to 10m holds of it.

    `at_least_ms`: not for less (what `climbing` would say, where a wait is only estimated).
    """
    tiers = [tier for tier in tiers_ms if tier <= LONGEST_DEFERRAL_MS] or [min(tiers_ms)]
    wait = min(max(wait_ms, at_least_ms, 1), max(tiers))
    return PutOff(min(tier for tier in tiers if tier >= wait), now_ms + wait)


def exact(now_ms: int, wait_ms: int, tiers_ms: Sequence[int]) -> PutOff:
    """For exactly `wait_ms`, however long."""
    return PutOff(tier_for(wait_ms, tiers_ms), now_ms + wait_ms)
