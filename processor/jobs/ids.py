"""Job ids, shards and partition keys.

A job id is `msg_` + base32 (lower case, no padding) of the first 20 bytes of SHA-256 over
`topic-id|partition|offset|rule-id|uid|epoch` in UTF-8: the same event and rule give the same id for ever, a
recreated topic or a raised replay epoch gives another.
"""

import hashlib

SHARDS = 16
"""A rule's jobs spread over this many keys, so over up to as many partitions."""

PREFIX = b"msg_"
_ALPHABET = b"abcdefghijklmnopqrstuvwxyz234567"
_BASE32 = bytes(_ALPHABET[i & 31] for i in range(256))
_SHARD = {chr(char): index & (SHARDS - 1) for index, char in enumerate(_ALPHABET)}


def _spread_steps() -> list[tuple[int, int, int]]:
    """(low mask, high mask, shift) of each halving that moves 32 packed 5-bit groups into a byte each."""
    steps = []
    size = 32
    while size > 1:
        half = size // 2
        ones = (1 << (half * 5)) - 1
        low = sum(ones << (start * 8) for start in range(0, 32, size))
        steps.append((low, low << (half * 5), half * 3))
        size = half
    return steps


_STEPS = _spread_steps()
(_L0, _H0, _S0), (_L1, _H1, _S1), (_L2, _H2, _S2), (_L3, _H3, _S3), (_L4, _H4, _S4) = _STEPS


def encode_digest(digest: bytes) -> bytes:
    """The job id of a SHA-256 digest, as bytes.

    base64.b32encode is a Python loop and takes three times as long; this runs once per job.
    """
    bits = int.from_bytes(digest[:20], "big")
    bits = (bits & _L0) | ((bits & _H0) << _S0)
    bits = (bits & _L1) | ((bits & _H1) << _S1)
    bits = (bits & _L2) | ((bits & _H2) << _S2)
    bits = (bits & _L3) | ((bits & _H3) << _S3)
    bits = (bits & _L4) | ((bits & _H4) << _S4)
    return PREFIX + bits.to_bytes(32, "big").translate(_BASE32)


def digest_shard(digest: bytes) -> int:
    """The shard of the job id made from this digest, without making the id: the last character's low bits."""
    return digest[19] & (SHARDS - 1)


def job_id(  # noqa: PLR0917 - the six parts in the order in which they are hashed
    topic_id: str, partition: int, offset: int, rule_id: int, uid: str, epoch: int
) -> str:
    """The id of the job for one event (topic id, partition, offset) and one rule (id, uid).

    topic_id is Kafka's topic id as text (or what stands in for it where a broker has none); uid is empty for
    a rule of a plain producer; epoch is matcher.replay_epoch.
    """
    text = f"{topic_id}|{partition}|{offset}|{rule_id}|{uid}|{epoch}"
    return encode_digest(hashlib.sha256(text.encode()).digest()).decode()


def shard(job_id: str) -> int:
    """The shard (0..15) of a job id.

    Its last character carries the last five bits of a hash, so it is as good as another hash. Raises
    KeyError on text that is no job id.
    """
    return _SHARD[job_id[-1]]


def job_key(rule_id: int, shard: int) -> bytes:
    """The record key of a rule's shard, `<rule id>/<shard>`: the same partition number on every job topic."""
    return b"%d/%d" % (rule_id, shard)
