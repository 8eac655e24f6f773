import pytest
from hypothesis import given
from hypothesis import strategies as st

from processor.delivery.unfinished import Unfinished, unfinished
from processor.delivery.watermark import Watermark
from processor.kafka.records import Commit, Position
from processor.kafka.scan import Stretch
from processor.kafka.starting import metadata_for

HERE = Position("t", 0)


def offsets(found: Unfinished) -> list[int]:
    return [offset for offset in range(-2, 60) if found.holds(offset)]


def test_a_partition_nobody_has_begun_is_unfinished_as_a_whole() -> None:
    assert offsets(unfinished(HERE, "id", None, 3, 6)) == [3, 4, 5]


def test_what_lies_behind_the_commit_is_unfinished() -> None:
    assert offsets(unfinished(HERE, "id", Commit(4, metadata_for("id")), 0, 7)) == [4, 5, 6]
    assert offsets(unfinished(HERE, "id", Commit(4, ""), 0, 7)) == [4, 5, 6]
    assert offsets(unfinished(HERE, "id", Commit(7, metadata_for("id")), 0, 7)) == []


def test_what_retention_took_is_no_longer_there() -> None:
    assert offsets(unfinished(HERE, "id", Commit(4, metadata_for("id")), 6, 8)) == [6, 7]


def test_commits_of_another_topic_of_that_name_say_nothing() -> None:
    assert offsets(unfinished(HERE, "id", Commit(4, metadata_for("other", "AB")), 0, 3)) == [0, 1, 2]


@pytest.mark.parametrize("runs", ["!", "A"])
def test_runs_that_cannot_be_read_are_none(runs: str) -> None:
    assert unfinished(HERE, "id", Commit(4, metadata_for("id", runs)), 0, 6).stretch == Stretch(HERE, 4, 6)
    assert offsets(unfinished(HERE, "id", Commit(4, metadata_for("id", runs)), 0, 6)) == [4, 5]


@given(st.integers(0, 5), st.lists(st.booleans(), max_size=40))
def test_exactly_what_the_sender_has_not_finished_is_unfinished(start: int, finished: list[bool]) -> None:
    watermark = Watermark(start)
    for offset in range(start, start + len(finished)):
        watermark.take(offset)
    for offset, is_finished in enumerate(finished, start):
        if is_finished:
            watermark.finish(offset)
    commit = Commit(watermark.next_offset, metadata_for("id", watermark.runs()))

    found = unfinished(HERE, "id", commit, 0, start + len(finished))

    assert offsets(found) == [o for o, is_finished in enumerate(finished, start) if not is_finished]
