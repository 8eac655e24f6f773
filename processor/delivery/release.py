"""Whether somebody has asked for a job that was put off to be tried at once. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeVar

from processor.jobs import JobHeaders
from processor.rules.releases import Releases

_What = TypeVar("_What", int, str)


class Heard:
    """Releases as they count for one sender.

    They carry the time of a command's clock. One that is ahead counts as the time at which the sender heard
    of it: otherwise what it puts off until then would be free again and again.
    """

    def __init__(self) -> None:
        self.told = Releases()
        """As the rule topic has them."""
        self.now = Releases()
        """As they count."""

    def hear(self, releases: Releases, now_ms: int) -> None:
        """These are in force. `now_ms`: since 1970, by the sender's clock."""
        self.now = Releases(
            _heard(releases.rules, self.told.rules, self.now.rules, now_ms),
            _heard(releases.destinations, self.told.destinations, self.now.destinations, now_ms),
        )
        self.told = releases


def _heard(
    told: Mapping[_What, int], before: Mapping[_What, int], counted: Mapping[_What, int], now_ms: int
) -> dict[_What, int]:
    return {
        what: counted[what] if before.get(what) == at_ms else min(at_ms, now_ms)
        for what, at_ms in told.items()
    }


def released(releases: Releases, job: JobHeaders, origin: str, appended_ms: int) -> bool:
    """Whether the record of a job counts as due because its rule or its destination was released.

    origin: of its target as the rule says now, empty where it isn't known. appended_ms: when the record was
    appended to its retry topic, by the broker's clock (LogAppendTime): one that was put off after the release
    waits as it was told. A scheduled retry isn't put off, so it waits whatever is released.
    """
    if not job.deferrals:
        return False
    at = max(releases.rules.get(job.rule_id, -1), releases.destinations.get(origin, -1))
    return appended_ms <= at
