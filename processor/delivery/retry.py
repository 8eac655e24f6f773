"""What follows a failed attempt: another one at a time, or the dead topic.

Pure: the time and the random number are arguments. All times are ms.
"""

import re
from dataclasses import dataclass
from datetime import UTC
from email.utils import parsedate_to_datetime
from typing import Final

from processor.delivery.outcome import Dead, Reason

MAX_JITTER_MS: Final = 5_000
_GONE: Final = 410
_MAY_WORK_LATER: Final = frozenset({408, 425, 429})
"""4xx that say "not now" (RFC 9110, 15.5.9; RFC 8470; RFC 6585), whatever the rule says of 4xx."""
_SECONDS = re.compile(r"[0-9]+")


@dataclass(frozen=True, slots=True)
class Retry:
    """A decision: the next attempt is due at not_before_ms (since 1970)."""

    not_before_ms: int


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """schedule_ms: the wait after the first, second, … failed attempt, not empty.

    retry_after_max_ms: the longest wait a receiver may ask for. max_attempts: the rule's own number, None
    for one more than the schedule is long; beyond the schedule its last wait repeats. expires_after_ms:
    counted from the match, None for never. retry_4xx: whether an answer 4xx is tried again at all.
    """

    schedule_ms: tuple[int, ...]
    retry_after_max_ms: int = 3_600_000
    max_attempts: int | None = None
    expires_after_ms: int | None = None
    retry_4xx: bool = True

    @property
    def attempts(self) -> int:
        """How often a job is tried in all."""
        return 1 + len(self.schedule_ms) if self.max_attempts is None else self.max_attempts


def after_failure(
    policy: RetryPolicy,
    *,
    attempt: int,
    matched_at_ms: int,
    now_ms: int,
    random: float,
    first_attempt: int = 1,
    status: int | None = None,
    retry_after: str | None = None,
) -> Retry | Dead:
    """The next step of a job whose attempt number `attempt` (from 1) has failed at now_ms.

    first_attempt: the number that the schedule began with; a redelivered job counts on, its schedule doesn't.
    random: from [0, 1). status, retry_after: of the answer, if there was one; 410 Gone is final (RFC 9110,
    15.5.11: the receiver has withdrawn the address), and so is any other 4xx if the policy says so, but for
    408, 425 and 429. The wait is the longer of the scheduled one and the Retry-After of an answer 3xx to
    5xx, plus 0 to 10 % but at most 5 s: so a scheduled wait is one hop through its tier, and the rest fits
    in memory. A job that expires before that is due when it expires, and is given up then.
    """
    if status == _GONE:
        return Dead(Reason.GONE)
    answered = status or 0
    if 400 <= answered < 500 and not policy.retry_4xx and answered not in _MAY_WORK_LATER:
        return Dead(Reason.REFUSED)
    made = max(1, attempt - first_attempt + 1)
    if made >= policy.attempts:
        return Dead(Reason.EXHAUSTED)
    wait = policy.schedule_ms[min(made, len(policy.schedule_ms)) - 1]
    if retry_after is not None and 300 <= answered < 600:
        asked = parse_retry_after(retry_after, now_ms)
        wait = max(wait, min(asked or 0, policy.retry_after_max_ms))
    due = now_ms + wait + int(min(wait * 0.1, MAX_JITTER_MS) * random)
    if policy.expires_after_ms is not None:
        due = min(due, max(now_ms, matched_at_ms + policy.expires_after_ms))
    return Retry(due)


def parse_retry_after(value: str, now_ms: int) -> int | None:
    """The wait a Retry-After header asks for (RFC 9110, 10.2.3), in ms from now; None where it says nothing.

    Seconds or an HTTP date in any of the three forms; a date that has passed is 0. Uncapped.
    """
    text = value.strip()
    if _SECONDS.fullmatch(text):
        # So many digits that no cap is below them; int() would refuse above 4,300.
        return int(text[:18]) * 1000
    try:
        at = parsedate_to_datetime(text)
    except (ValueError, OverflowError):
        return None
    at = at.replace(tzinfo=UTC) if at.tzinfo is None else at
    return max(0, int(at.timestamp() * 1000) - now_ms)
