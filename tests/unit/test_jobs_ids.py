import base64
import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from processor.jobs import SHARDS, job_id, job_key, shard
from processor.jobs.ids import digest_shard, encode_digest


def test_id_is_the_documented_hash() -> None:
    digest = hashlib.sha256(b"AAAAAAAAAAAAAAAAAAAAAA|3|42|7|01JUID|0").digest()
    expected = "msg_" + base64.b32encode(digest[:20]).decode().lower()
    assert job_id("AAAAAAAAAAAAAAAAAAAAAA", 3, 42, 7, "01JUID", 0) == expected
    assert "=" not in expected


def test_id_never_changes_between_versions() -> None:
    # Receivers drop repeats by this id; a changed hash would deliver everything again.
    assert job_id("t", 0, 0, 1, "", 0) == "msg_xv4bnjd6a7zp75qkhcea5vt4gscp55ir"


@pytest.mark.parametrize(
    "other",
    [
        ("u", 0, 0, 1, "", 0),
        ("t", 1, 0, 1, "", 0),
        ("t", 0, 1, 1, "", 0),
        ("t", 0, 0, 2, "", 0),
        ("t", 0, 0, 1, "x", 0),
        ("t", 0, 0, 1, "", 1),
    ],
)
def test_each_part_changes_the_id(other: tuple[str, int, int, int, str, int]) -> None:
    assert job_id(*other) != job_id("t", 0, 0, 1, "", 0)


@given(st.binary(min_size=32, max_size=32))
def test_encoding_equals_base32(digest: bytes) -> None:
    text = encode_digest(digest)
    assert text == b"msg_" + base64.b32encode(digest[:20]).lower()
    assert shard(text.decode()) == digest_shard(digest)


def test_shards_are_used_evenly() -> None:
    counts = [0] * SHARDS
    for offset in range(16_000):
        counts[shard(job_id("t", 0, offset, 7, "", 0))] += 1
    assert min(counts) > 850
    assert max(counts) < 1150


def test_key_is_rule_and_shard() -> None:
    assert job_key(7, 15) == b"7/15"
    assert job_key(2**53 - 1, 0) == b"9007199254740991/0"
