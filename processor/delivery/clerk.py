"""What becomes of a job, as records: this package's decisions put together with rules, topics and the time.

Never waits and never writes: it answers with an entry for the ledger, with an attempt to make, or with a time
to ask again.
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

from msgspec.structs import replace

from processor.delivery import tiers
from processor.delivery.audit import audit_record, dead_headers
from processor.delivery.decide import Cancel, Send, decide, is_behind
from processor.delivery.deferral import PutOff, climbing
from processor.delivery.http import WebhookRequest
from processor.delivery.intake import DEAD_HEADERS, dead_as_it_is, read_job
from processor.delivery.lanes import JobInHand, Lane
from processor.delivery.ledger import Entry
from processor.delivery.outcome import Dead, Kind, Outcome, Stage
from processor.delivery.reports import Reports
from processor.delivery.retry import Retry, RetryPolicy, after_failure
from processor.delivery.sending import Attempt
from processor.jobs import JobHeaders
from processor.kafka.records import InRecord, OutRecord
from processor.observability.logging import origin
from processor.observability.metrics import Metrics
from processor.rules.errors import SecretError
from processor.rules.releases import Releases
from processor.rules.resolve import Resolver
from processor.rules.schema import TriggerRule
from processor.rules.table import RuleSnapshot

FRESH_MS: Final = 1_000
"""How long a decision to send holds while the rules stay as they are."""


class Rules(Protocol):
    """What this module needs of the live rule table."""

    def snapshot(self) -> RuleSnapshot: ...
    def state(self) -> tuple[str | None, int, str | None]: ...


@dataclass(frozen=True, slots=True)
class Policy:
    """The sender's settings that decide about jobs. Milliseconds."""

    retry_topics: Mapping[int, str]
    """By delay; those that jobs are written to."""
    dead_topic: str
    audit_topic: str
    schedule_ms: tuple[int, ...]
    retry_after_max_ms: int
    largest: int
    """Bytes of the largest record that can be written."""

    @property
    def tiers_ms(self) -> Sequence[int]:
        """Ascending."""
        return sorted(self.retry_topics)


class Clerk:
    """Decides by the rules as they are now. One thread asks it."""

    def __init__(
        self,
        policy: Policy,
        rules: Rules,
        resolver: Resolver,
        metrics: Metrics,
        chance: random.Random | None = None,
    ) -> None:
        self._policy = policy
        self._tiers = policy.tiers_ms
        self._rules = rules
        self._resolver = resolver
        self.reports = Reports(metrics)
        self._chance = chance or random.Random()

    def table_reason(self) -> str | None:
        """Why the rule table isn't whole, None if it is."""
        return self._rules.state()[2]

    def next_step(self, job: JobInHand, now_ms: int) -> tiers.Wait | Entry | None:
        """None: it is due. Otherwise when to ask again, or the entry that moves it to another tier."""
        lane = job.lane
        step = tiers.next_step(
            job.headers.not_before_ms,
            now_ms,
            self._tiers,
            tier_ms=lane.tier_ms,
            appended_at_ms=job.appended_ms,
        )
        if isinstance(step, tiers.Hop):
            return Entry(lane, [self._moved(job, job.headers, step.tier_ms)])
        return step if isinstance(step, tiers.Wait) else None

    def decide(self, job: JobInHand, now_ms: int) -> Attempt | Entry | None:
        """An attempt, or what becomes of the job without one; None while the rules are older than the job."""
        snapshot = self._rules.snapshot()
        topic_id, next_offset, reason = self._rules.state()
        if reason is not None or topic_id is None or self._rules.snapshot() is not snapshot:
            return None
        if is_behind(job.headers, topic_id, max(next_offset, snapshot.next_offset)):
            return None
        decision = decide(snapshot, job.headers, now_ms)
        job.judged_by, job.judged_at_ms = snapshot, now_ms
        rule = snapshot.rules.get(job.headers.rule_id)
        job.rule_name = rule.name if rule is not None else ""
        if isinstance(decision, Send):
            return self._prepare(job, decision.rule, now_ms)
        if isinstance(decision, Cancel):
            return self._ended(job, Outcome(Kind.CANCELLED, now_ms, reason=decision.reason))
        if isinstance(decision, Dead):
            return self._ended(job, Outcome(Kind.DEAD, now_ms, reason=decision.reason), now_ms)
        why = f"{decision.why}: {decision.detail}" if decision.detail else decision.why
        return self.put_off(job, climbing(now_ms, job.headers.deferrals, self._tiers), why, now_ms)

    def is_current(self, job: JobInHand, now_ms: int) -> bool:
        """Whether what `decide` said still holds.

        The rules are the same, and it was said just now: a job expires, and a secret's time begins, while it
        waits for its turn.
        """
        return job.judged_by is self._rules.snapshot() and now_ms - job.judged_at_ms < FRESH_MS

    def releases(self) -> Releases:
        """What somebody wants tried at once."""
        return self._rules.snapshot().releases

    def origin_of(self, rule_id: int) -> str:
        """Of the rule's target as it is now; empty where it isn't known."""
        rule = self._rules.snapshot().rules.get(rule_id)
        try:
            return origin(self._resolver.target(rule)) if rule is not None else ""
        except SecretError:
            return ""

    def settle(self, job: JobInHand, outcome: Outcome, now_ms: int) -> Entry:
        """What becomes of a job after an attempt."""
        if outcome.kind is not Kind.FAILED:
            return self._ended(job, outcome, now_ms)
        rule, headers = job.rule, job.headers
        expires_after = rule.delivery.expires_after if rule is not None and not headers.redelivered else None
        next_step = after_failure(
            RetryPolicy(
                self._policy.schedule_ms,
                self._policy.retry_after_max_ms,
                rule.delivery.max_attempts if rule is not None else None,
                int(expires_after.total_seconds() * 1000) if expires_after is not None else None,
                retry_4xx=rule.delivery.retry_4xx if rule is not None else True,
            ),
            attempt=headers.attempt,
            first_attempt=headers.first_attempt,
            matched_at_ms=headers.matched_at_ms,
            now_ms=now_ms,
            random=self._chance.random(),
            status=outcome.status,
            retry_after=outcome.retry_after,
        )
        if isinstance(next_step, Dead):
            return self._ended(job, replace(outcome, kind=Kind.DEAD, reason=next_step.reason), now_ms)
        return self._retried(job, outcome, next_step, now_ms)

    def read(self, lane: Lane, record: InRecord) -> JobInHand:
        """The job in a record; raises JobError, NewerFormat."""
        return read_job(lane, record, self._policy.largest)

    def unreadable(self, lane: Lane, record: InRecord, error: str, now_ms: int) -> Entry:
        """What becomes of a record that is no job."""
        policy = self._policy
        return dead_as_it_is(
            lane, record, error, now_ms, dead_topic=policy.dead_topic, largest=policy.largest
        )

    def _prepare(self, job: JobInHand, rule: TriggerRule, now_ms: int) -> Attempt | Entry:
        job.rule = rule
        headers = job.headers
        try:
            url = self._resolver.target(rule)
            job.origin = origin(url)
            request = WebhookRequest(
                url=url,
                webhook_id=headers.job_id,
                attempt=headers.attempt,
                body=job.body,
                keys=self._resolver.signing_keys(rule, now_ms),
                headers=self._resolver.headers(rule),
                traceparent=headers.traceparent,
                timeout=(
                    rule.delivery.timeout.total_seconds() if rule.delivery.timeout is not None else None
                ),
                rule_id=rule.id,
            )
        except SecretError as failure:
            outcome = Outcome(Kind.FAILED, now_ms, stage=Stage.RENDER, error=str(failure))
            return self.settle(job, outcome, now_ms)
        return Attempt(job, request)

    def _ended(self, job: JobInHand, outcome: Outcome, now_ms: int = 0) -> Entry:
        """Delivered, cancelled or dead: this was the job's last record but the audit's."""
        records = [self._audit(job, outcome)]
        if outcome.kind is Kind.DEAD:
            kept = [(n, v) for n, v in job.headers.encode() if n not in DEAD_HEADERS]
            records.append(
                OutRecord(self._policy.dead_topic, job.key, job.body, [*kept, *dead_headers(outcome, now_ms)])
            )
        self.reports.say(job, outcome)
        return Entry(job.lane, records, outcome, job.headers.matched_at_ms)

    def _retried(self, job: JobInHand, outcome: Outcome, retry: Retry, now_ms: int) -> Entry:
        headers = replace(
            job.headers, attempt=job.headers.attempt + 1, not_before_ms=retry.not_before_ms, deferrals=0
        )
        tier = tiers.tier_for(retry.not_before_ms - now_ms, self._tiers)
        self.reports.say(job, outcome, retry.not_before_ms)
        return Entry(
            job.lane,
            [self._audit(job, outcome, retry.not_before_ms), self._moved(job, headers, tier)],
            outcome,
            job.headers.matched_at_ms,
        )

    def put_off(self, job: JobInHand, to: PutOff, why: str, now_ms: int) -> Entry:
        """The job goes into a retry topic without an attempt; only the first time is audited."""
        headers = replace(job.headers, not_before_ms=to.not_before_ms, deferrals=job.headers.deferrals + 1)
        moved = self._moved(job, headers, to.tier_ms)
        if job.headers.deferrals:
            return Entry(job.lane, [moved])
        outcome = Outcome(Kind.DEFERRED, now_ms, error=why)
        self.reports.say(job, outcome, headers.not_before_ms)
        return Entry(job.lane, [self._audit(job, outcome, headers.not_before_ms), moved], outcome)

    def _moved(self, job: JobInHand, headers: JobHeaders, tier_ms: int) -> OutRecord:
        """The job in a retry topic, on the partition number it came from: its owner stays the same."""
        return OutRecord(
            self._policy.retry_topics[tier_ms],
            job.key,
            job.body,
            headers.encode(),
            job.lane.position.partition,
        )

    def _audit(self, job: JobInHand, outcome: Outcome, next_attempt_at_ms: int | None = None) -> OutRecord:
        value = audit_record(
            job.headers,
            outcome,
            rule_name=job.rule_name,
            origin=job.origin,
            next_attempt_at_ms=next_attempt_at_ms,
        )
        return OutRecord(self._policy.audit_topic, job.headers.job_id.encode(), value, [])
