"""Where a group starts: what follows from its commits."""

import pytest

from processor.kafka.cluster import TopicInfo
from processor.kafka.records import Commit
from processor.kafka.starting import Start, decide, metadata_for, split_metadata

TOPIC = TopicInfo("event-log", "new-id", 3)
LOW = {0: 5, 1: 6, 2: 7}
END = {0: 200, 1: 200, 2: 200}


def test_committed_partitions_go_on_with_their_metadata() -> None:
    commits = {0: Commit(100, metadata_for("new-id", "rest;of;it")), 1: Commit(6, metadata_for("new-id"))}
    assert decide(TOPIC, commits, LOW, END) == {
        0: Start("new-id", 100, "rest;of;it", "committed"),
        1: Start("new-id", 6, "", "committed"),
    }


def test_a_partition_without_a_commit_is_new_and_read_from_its_start() -> None:
    commits = {0: Commit(100, metadata_for("new-id")), 2: None}
    assert decide(TOPIC, commits, LOW, END)[2] == Start("new-id", 7, "", "new partition")


def test_a_topic_that_was_made_again_is_read_from_its_start() -> None:
    commits = {0: Commit(100, metadata_for("old-id", "rest")), 1: Commit(200, metadata_for("new-id"))}
    assert decide(TOPIC, commits, LOW, END) == {
        0: Start("new-id", 5, "", "topic made again"),
        1: Start("new-id", 200, "", "committed"),
    }


def test_commit_before_the_earliest_offset_counts_what_was_deleted() -> None:
    commits = {0: Commit(2, metadata_for("new-id", "rest"))}
    assert decide(TOPIC, commits, LOW, END) == {0: Start("new-id", 5, "", "records deleted", lost=3)}


def test_commit_beyond_the_end_is_no_place_to_go_on() -> None:
    commits = {0: Commit(201, metadata_for("new-id", "rest"))}
    assert decide(TOPIC, commits, LOW, END) == {0: Start("new-id", 5, "", "records missing")}


@pytest.mark.parametrize("metadata", ["", "by hand", "0;old-id;", "1;old-id"])
def test_offsets_that_a_tool_has_set_are_taken_as_they_are(metadata: str) -> None:
    assert decide(TOPIC, {0: Commit(42, metadata)}, LOW, END) == {0: Start("new-id", 42, "", "committed")}


def test_metadata_is_read_as_it_is_written() -> None:
    assert split_metadata(metadata_for("an-id", "1;2;3")) == ("an-id", "1;2;3")
    assert split_metadata(metadata_for("an-id")) == ("an-id", "")
    assert split_metadata("anything") == (None, "")
