"""New jobs, fast: what is the same for a rule, a batch or an event is encoded once.

    rule = RuleJobs(rule_id=7, uid="01J…", name="deploy-failures", epoch=0)  # once per version of a rule
    event = EventJobs(topic="event-log", topic_id=…, …)                      # once per event that fires
    key, value, headers = event.job(rule, event_body)

A job costs about 2 us, of which its id (SHA-256 and base32) is more than half.
"""

from functools import lru_cache
from hashlib import sha256

from processor.jobs import record
from processor.jobs.body import BodyTemplate, format_second
from processor.jobs.ids import SHARDS, digest_shard, encode_digest, job_key

Headers = list[tuple[str, bytes]]


@lru_cache(maxsize=4)
def _second(at: int) -> str:
    """All events of a batch share their second."""
    return format_second(at * 1000)


class RuleJobs:
    """The constant parts of one rule's jobs; make a new one when id, uid, name or epoch change.

    epoch is matcher.replay_epoch. one_shard: all jobs have the key of shard 0, so one sender has them all (a
    rate limit is kept by one).
    """

    __slots__ = ("body", "hash_tail", "headers", "keys")

    def __init__(self, rule_id: int, uid: str, name: str, epoch: int, *, one_shard: bool = False) -> None:
        self.hash_tail = f"|{rule_id}|{uid}|{epoch}".encode()
        self.headers: Headers = [(record.RULE_ID, b"%d" % rule_id), (record.RULE_UID, uid.encode())]
        self.keys = [job_key(rule_id, 0 if one_shard else shard) for shard in range(SHARDS)]
        self.body = BodyTemplate(rule_id, name)


class EventJobs:
    """The constant parts of one event's jobs; make one when an event fires its first rule.

    topic_id: the event topic's id; rules_topic_id, rules_offset: the rule table it was judged by;
    matched_at_ms: the time of the match (also the job's due time and, in whole seconds, the body's
    timestamp); traceparent: from checked_traceparent.
    """

    __slots__ = ("_hash_head", "_headers", "_second")

    def __init__(
        self,
        *,
        topic: str,
        topic_id: str,
        partition: int,
        offset: int,
        rules_topic_id: str,
        rules_offset: int,
        matched_at_ms: int,
        traceparent: str | None = None,
    ) -> None:
        self._second = _second(matched_at_ms // 1000)
        self._hash_head = f"{topic_id}|{partition}|{offset}".encode()
        at = b"%d" % matched_at_ms
        self._headers: Headers = [
            (record.RULES_OFFSET, b"%d" % rules_offset),
            (record.RULES_TOPIC_ID, rules_topic_id.encode()),
            (record.EVENT_TOPIC, topic.encode()),
            (record.EVENT_PARTITION, b"%d" % partition),
            (record.EVENT_OFFSET, b"%d" % offset),
            (record.MATCHED_AT, at),
            (record.ATTEMPT, b"1"),
            (record.NOT_BEFORE, at),
        ]
        if traceparent is not None:
            self._headers.append((record.TRACEPARENT, traceparent.encode()))

    def job(self, rule: RuleJobs, event_body: bytes) -> tuple[bytes, bytes, Headers]:
        """(key, value, headers) of the job for this event and that rule."""
        digest = sha256(self._hash_head + rule.hash_tail).digest()
        return (
            rule.keys[digest_shard(digest)],
            rule.body.render(event_body, self._second),
            [(record.JOB_ID, encode_digest(digest)), *rule.headers, *self._headers],
        )
