"""Whether somebody has asked for a job that was put off to be tried at once. Pure."""

from __future__ import annotations

from processor.jobs import JobHeaders
from processor.rules.releases import Releases


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
