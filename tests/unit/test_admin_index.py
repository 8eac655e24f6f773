"""The index of deliveries: newest first, bounded, and honest about how far back it goes."""

import random

from hypothesis import given
from hypothesis import strategies as st

from processor.admin.index import DeliveryIndex, Wanted
from processor.delivery.trail import AuditRecord, Place


def record(number: int, **more: object) -> AuditRecord:
    said = {
        "job_id": f"j{number}", "rule_id": 1, "rule_uid": "", "rule_name": "a", "attempt": 1,
        "outcome": "failed", "reason": None, "stage": None, "status": None,
        "started_at_ms": 0, "duration_ms": 0, "origin": "",
        "next_attempt_at_ms": None, "error": "", "snippet": "", **more,
    }  # fmt: skip
    return AuditRecord(**said)  # type: ignore[arg-type]


ALL = Wanted()


@given(
    st.lists(st.lists(st.tuples(st.integers(0, 50), st.integers(0, 3)), max_size=8), max_size=12),
    st.integers(1, 12),
    st.integers(1, 5),
)
def test_pages_are_the_newest_in_order_whatever_order_they_came_in(
    batches: list[list[tuple[int, int]]], most: int, limit: int
) -> None:
    index = DeliveryIndex(most_records=most)
    places: list[Place] = []
    for batch in batches:
        more = [Place(at, partition, len(places) + n) for n, (at, partition) in enumerate(batch)]
        index.add((place, record(place.offset)) for place in more)
        places += more
    found: list[str] = []
    before = None
    while True:
        page, before = index.newest(ALL, limit, before)
        assert len(page) <= limit
        found += [one.job_id for one in page]
        if before is None:
            break
    assert len(found) == min(most, len(places)) == len(index)
    at = {f"j{place.offset}": place for place in places}
    assert [at[one] for one in found] == sorted((at[one] for one in found), reverse=True)
    # Complete means complete: nothing from that time on is missing.
    since = index.complete_since_ms
    assert {f"j{place.offset}" for place in places if place.at_ms >= since} <= set(found)


def test_what_was_never_read_limits_how_far_back_it_goes() -> None:
    index = DeliveryIndex()
    index.add([(Place(10, 0, 5), record(1)), (Place(20, 1, 9), record(2)), (Place(30, 0, 6), record(3))])
    assert index.complete_since_ms == 0
    index.left_out([1])
    assert index.complete_since_ms == 20
    index.left_out([2])
    assert index.complete_since_ms == 31, "a partition that was cut and shows nothing tells of no time"
    index.clear()
    assert (index.complete_since_ms, len(index)) == (0, 0)


def test_long_texts_count() -> None:
    index = DeliveryIndex(most_bytes=100_000)
    for number in range(100):
        index.add([(Place(number, 0, number), record(number, snippet="x" * 1_024))])
    assert 20 <= len(index) <= 30
    assert index.complete_since_ms == 100 - len(index)


def test_filters() -> None:
    index = DeliveryIndex()
    records = [
        record(1, rule_id=1, rule_name="7"),
        record(2, rule_id=7, rule_name="b", outcome="dead"),
        record(2, rule_id=7, rule_name="b", outcome="delivered"),
    ]
    random.Random(1).shuffle(records)
    index.add((Place(number, 0, number), one) for number, one in enumerate(records))

    def count(**wanted: object) -> int:
        return len(index.newest(Wanted(**wanted), 10)[0])  # type: ignore[arg-type]

    assert count(rule="7") == 3
    assert count(rule="b") == 2
    assert count(job_id="j2") == 2
    assert count(outcome="dead") == 1
    assert count(since_ms=2) == 1
    assert count(since_ms=3) == 0
