"""A lane: what it holds, what it would commit, and when it wants no more."""

from processor.delivery.lanes import BATCH, HELD_BYTES, HELD_RECORDS, Lane, Lanes
from processor.delivery.watermark import MAX_METADATA
from processor.kafka.records import Commit, Position
from processor.kafka.starting import split_metadata
from tests.support.lanes import lane, take


def test_commit_stays_below_an_unfinished_job_and_remembers_what_is_finished_above_it() -> None:
    jobs = lane()
    first, second = take(jobs, 0), take(jobs, 1)
    jobs.finish(second)
    commit = jobs.commit()
    assert commit.next_offset == 0
    topic_id, runs = split_metadata(commit.metadata)
    assert topic_id == "T"
    assert runs
    jobs.finish(first)
    assert jobs.commit() == Commit(2, "1;T;")
    assert jobs.changed


def test_end_of_the_partition_is_committed_past_transaction_markers() -> None:
    jobs = lane()
    jobs.finish(take(jobs, 0))
    jobs.end(3)
    assert jobs.commit().next_offset == 3


def test_finished_job_frees_its_bytes() -> None:
    jobs = lane()
    job = take(jobs, 0, body=b"x" * 100)
    assert jobs.held_bytes == 100
    jobs.finish(job)
    assert (jobs.held_bytes, jobs.jobs) == (0, {})


def test_lane_is_never_paused_before_something_was_fetched() -> None:
    jobs = lane()
    assert not jobs.wants_pause(busy=True)
    take(jobs, 0)
    assert jobs.wants_pause(busy=True)


def test_job_partition_pauses_while_the_sender_has_enough_to_send() -> None:
    jobs = lane()
    take(jobs, 0)
    assert jobs.wants_pause(busy=True)
    assert not jobs.wants_pause(busy=False)


def test_retry_partition_goes_on_whatever_the_sender_has_to_send() -> None:
    retries = lane("retry.1m", tier_ms=60_000)
    take(retries, 0)
    assert not retries.wants_pause(busy=True)


def test_retry_partition_pauses_when_full_and_resumes_at_half() -> None:
    retries = lane("retry.1m", tier_ms=60_000)
    held = [take(retries, offset) for offset in range(HELD_RECORDS)]
    assert retries.wants_pause(busy=False)
    retries.paused = True
    for job in held[: HELD_RECORDS // 2]:
        retries.finish(job)
        assert retries.wants_pause(busy=False) == (len(retries.jobs) >= HELD_RECORDS // 2)
    retries.finish(held[-1])
    assert not retries.wants_pause(busy=False)


def test_retry_partition_pauses_on_few_large_jobs() -> None:
    retries = lane("retry.1m", tier_ms=60_000)
    take(retries, 0, body=b"x" * (HELD_BYTES // 2))
    assert not retries.wants_pause(busy=False)
    take(retries, 1, body=b"x" * (HELD_BYTES // 2))
    assert retries.wants_pause(busy=False)


def test_lane_with_a_job_of_a_newer_format_stays_paused() -> None:
    jobs = lane()
    take(jobs, 0)
    jobs.blocked = "newer"
    jobs.paused = True
    assert jobs.wants_pause(busy=False)


def test_metadata_fits_though_a_whole_batch_comes_after_the_last_look() -> None:
    jobs = lane()
    offset = 0
    while not jobs.wants_pause(busy=False):
        for _ in range(BATCH):
            take(jobs, offset)
            offset += 1
    for finished in range(1, offset, 2):  # every other one: the most runs there can be
        jobs.finish(jobs.jobs[finished])
    assert len(jobs.commit().metadata) <= MAX_METADATA


def test_one_slow_job_does_not_stop_a_busy_partition() -> None:
    """Its receiver hangs for a minute, and 30,000 jobs go past it meanwhile."""
    jobs = lane()
    take(jobs, 0)
    offset = 1
    while offset < 30_000:
        assert not jobs.wants_pause(busy=False), offset
        batch = [take(jobs, offset + number) for number in range(BATCH)]
        offset += BATCH
        for job in reversed(batch):
            jobs.finish(job)
    assert jobs.commit().next_offset == 0
    assert len(jobs.commit().metadata) < 100


def test_lanes_of_a_number_come_and_go_together() -> None:
    lanes = Lanes()
    for topic in ("webhook-jobs", "retry.5s"):
        for partition in (0, 1):
            lanes.open(lane(topic, partition))
    leaving = lanes.numbered([1])
    assert {one.position for one in leaving} == {Position("webhook-jobs", 1), Position("retry.5s", 1)}
    job = take(leaving[0], 0)
    before = job.gone
    lanes.close([one.position for one in leaving])
    assert (before, job.gone) == (False, True)
    assert len(lanes) == 2
    assert lanes.get(Position("webhook-jobs", 1)) is None


def test_lanes_say_which_one_stands_still() -> None:
    running, stopped = lane(), lane("retry.5s", 3)
    stopped.blocked = "a newer format"
    assert holding(running).blocked is None
    assert holding(running, stopped).blocked == "retry.5s[3]: a newer format"


def holding(*open_lanes: Lane) -> Lanes:
    lanes = Lanes()
    for one in open_lanes:
        lanes.open(one)
    return lanes
