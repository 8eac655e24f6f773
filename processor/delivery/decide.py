"""Whether a job is sent now, by the rule as it is now.

The job carries no target: it fires at what its rule says when it goes out. Pure; the caller has made sure
that the table is at least as new as the one the event was judged by (is_behind).
"""

from dataclasses import dataclass
from typing import Final

from processor.delivery.outcome import Dead, Reason
from processor.jobs import JobHeaders
from processor.rules.schema import TriggerRule
from processor.rules.table import RuleSnapshot

LONGEST_HOLD_MS: Final = 30 * 24 * 3_600_000
"""A job is held for 30 days at most, as long as the job topic keeps it."""


@dataclass(frozen=True, slots=True)
class Send:
    """Attempt it, by this rule."""

    rule: TriggerRule


@dataclass(frozen=True, slots=True)
class Cancel:
    """Drop it, audited with this reason."""

    reason: Reason


@dataclass(frozen=True, slots=True)
class Hold:
    """Put it off without an attempt.

    why: `paused` or `invalid`; detail: what is wrong with an invalid rule.
    """

    why: str
    detail: str = ""


Decision = Send | Cancel | Hold | Dead


def decide(rules: RuleSnapshot, job: JobHeaders, now_ms: int) -> Decision:
    """What to do with a job that is due.

    An invalid rule holds its jobs as a paused one does: a typo, or a record of a newer version in the middle
    of an upgrade, must not cancel them. Muting looks at the first attempt only, so a paused and muted rule's
    jobs are cancelled only if they would go out before the mute ends.
    """
    rule = rules.rules.get(job.rule_id)
    if rule is None:
        invalid = rules.invalid.get(b"%d" % job.rule_id)
        if invalid is None:
            return Cancel(Reason.DELETED)
        if now_ms >= _held_until_ms(job):
            return Dead(Reason.EXPIRED)
        return Hold("invalid", invalid.reason)
    if rule.uid != job.rule_uid:
        return Cancel(Reason.REPLACED)
    if not rule.enabled:
        return Cancel(Reason.DISABLED)
    expires_at = expires_at_ms(rule, job)
    if expires_at is not None and now_ms >= expires_at:
        return Dead(Reason.EXPIRED)
    if rule.paused:
        if now_ms >= _held_until_ms(job):
            return Dead(Reason.EXPIRED)
        return Hold("paused")
    if (
        job.attempt == 1
        and rule.muted_until is not None
        and now_ms < int(rule.muted_until.timestamp() * 1000)
    ):
        return Cancel(Reason.MUTED)
    return Send(rule)


def expires_at_ms(rule: TriggerRule, job: JobHeaders) -> int | None:
    """When the rule gives this job up (ms since 1970), None for never.

    A redelivered job is wanted however old it is.
    """
    expires_after = rule.delivery.expires_after
    if expires_after is None or job.redelivered:
        return None
    return job.matched_at_ms + int(expires_after.total_seconds() * 1000)


def _held_until_ms(job: JobHeaders) -> int:
    return max(job.matched_at_ms, job.redelivered_at_ms) + LONGEST_HOLD_MS


def is_behind(job: JobHeaders, table_topic_id: str, table_next_offset: int) -> bool:
    """Whether this job must wait until the sender's rule table has caught up with the matcher's.

    A job of another rule topic (recreated, or restored from a backup) says nothing about this one's offsets.
    """
    return job.rules_topic_id == table_topic_id and job.rules_offset > table_next_offset
