"""The partition of a key, as Kafka's own clients compute it."""

import pytest

from processor.kafka.partitioner import murmur2, partition_of

# org.apache.kafka.common.utils.UtilsTest.testMurmur2, as signed numbers.
VECTORS = {
    b"21": -973932308,
    b"foobar": -790332482,
    b"a-little-bit-long-string": -985981536,
    b"a-little-bit-longer-string": -1486304829,
    b"lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8": -58897971,
    b"abc": 479470107,
}


@pytest.mark.parametrize(("key", "expected"), VECTORS.items())
def test_hash_is_kafkas(key: bytes, expected: int) -> None:
    assert murmur2(key) == expected % 2**32


def test_partition_is_never_negative() -> None:
    assert {partition_of(b"%d/%d" % (rule, shard), 6) for rule in range(9) for shard in range(16)} == set(
        range(6)
    )
