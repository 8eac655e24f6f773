"""The sender as a process: how it starts, what it shows, how it ends, and what another one finds."""

import time
from collections.abc import Iterator

import pytest

from processor.kafka.records import Position
from tests.support.brokers import Broker, free_port
from tests.support.installation import Installation
from tests.support.offsets import committed, delete_before, lag, set_commits
from tests.support.processes import Spawn
from tests.support.receiver import Answer, Receiver
from tests.support.settings import settings_for
from tests.support.topics import delete_topic
from tests.support.waiting import wait_until

FAIL = Answer(500)


@pytest.fixture
def here(broker: Broker, prefix: str) -> Iterator[Installation]:
    sender = {"retry_schedule": ["1s"]}
    with Installation(broker.bootstrap, prefix, topics={"partitions": 2}, sender=sender) as installation:
        yield installation


def drained(here: Installation) -> bool:
    """Whether the group has committed all job topics to their very ends."""
    topics = [here.topics.jobs, *(here.topics.retry(delay) for delay in here.model.sender.tiers)]
    return sum(lag(here.bootstrap, here.topics.group("sender"), topic) for topic in topics) == 0


def test_drained_sender_has_committed_to_the_end_over_transaction_markers(
    here: Installation, spawn: Spawn, receiver: Receiver
) -> None:
    receiver.answer_by("/hook", lambda nth, _: FAIL if nth % 3 == 1 and nth < 30 else Answer())
    here.put_rule(1, receiver.url())
    # One at a time: partitions are paused and resumed all the way.
    sender = spawn("run", "sender", settings=here.settings(sender={"max_in_flight": 1})).wait_ready()
    jobs = here.add_jobs(30, 1)
    wait_until(lambda: sum(r["outcome"] == "delivered" for r in here.audit(*jobs)) == 30, 30)
    # Retry topics hold records and the markers of the transactions that wrote them.
    wait_until(lambda: drained(here), 10, "no lag is left")
    wait_until(lambda: set(sender.status()["sender"]["lag"].values()) == {0}, 5, "nor shown")
    assert sender.stop() == 0
    assert drained(here)
    count = len(receiver.requests())
    again = spawn("run", "sender", settings=here.settings()).wait_ready()
    assert again.stop() == 0
    assert len(receiver.requests()) == count


def test_stop_lets_attempts_in_flight_end_and_commits_them(
    here: Installation, spawn: Spawn, receiver: Receiver
) -> None:
    receiver.answer("/hook", then=Answer(delay=2.0))
    here.put_rule(1, receiver.url())
    sender = spawn("run", "sender", settings=here.settings()).wait_ready()
    jobs = here.add_jobs(20, 1)
    receiver.wait_for(20)
    assert sender.stop(20) == 0
    for job in jobs:
        here.wait_audit(job, "delivered", timeout=5)
    assert drained(here)


def test_stop_ends_in_time_though_a_receiver_hangs_and_its_job_is_sent_again(
    here: Installation, spawn: Spawn, receiver: Receiver
) -> None:
    receiver.answer("/hangs", Answer(delay=3600.0))
    receiver.answer("/slow", then=Answer(delay=1.0))
    here.put_rule(1, receiver.url("/hangs"), delivery={"timeout": "5m"})
    here.put_rule(2, receiver.url("/slow"))
    settings = here.settings(process={"shutdown_timeout": "6s"})
    sender = spawn("run", "sender", settings=settings).wait_ready()
    hanging, slow = here.add_job(1), here.add_job(2)
    receiver.wait_for(2)
    began = time.monotonic()
    assert sender.stop(20) == 0
    assert time.monotonic() - began < 7.0
    here.wait_audit(slow, "delivered", timeout=5)
    assert here.audit(hanging) == []
    spawn("run", "sender", settings=here.settings()).wait_ready()
    (record,) = here.wait_audit(hanging, "delivered")
    assert record["attempt"] == 1
    assert [request.webhook_id for request in receiver.requests("/hangs")] == [hanging.id] * 2
    assert len(receiver.requests("/slow")) == 1


def test_missing_topic_ends_the_sender_with_the_command_that_makes_it(
    here: Installation, spawn: Spawn
) -> None:
    delete_topic(here.bootstrap, here.topics.dead)
    sender = spawn("run", "sender", settings=here.settings())
    assert sender.wait() == 1
    assert f"topic {here.topics.dead} is missing: run `tocsin topics apply`" in sender.log()
    assert "Traceback" not in sender.log()


def test_absent_broker_is_waited_for(prefix: str, spawn: Spawn) -> None:
    settings = settings_for(f"127.0.0.1:{free_port()}", prefix)
    sender = spawn("run", "sender", settings=settings)
    wait_until(lambda: "no broker answers" in sender.get("/readyz")[1], 20, "it says what it waits for")
    assert sender.get("/healthz")[0] == 200
    assert sender.get("/readyz")[0] == 503
    assert sender.stop() == 0


def test_telemetry_shows_the_sender_at_work(here: Installation, spawn: Spawn, receiver: Receiver) -> None:
    receiver.answer("/hook", then=Answer(delay=600.0))
    here.put_rule(1, receiver.url(), delivery={"timeout": "10m"})
    # Of four places two are for destinations that answer.
    sender = spawn("run", "sender", settings=here.settings(sender={"max_in_flight": 4})).wait_ready()
    here.add_jobs(3, 1)
    receiver.wait_for(2)
    wait_until(lambda: sender.status()["sender"]["jobs"]["slot"] == 1, message="the third has no place")
    status = sender.status()
    assert status["sender"]["partitions"] == [0, 1]
    assert status["sender"]["jobs"]["sending"] == 2
    assert status["sender"]["lag"][here.topics.jobs] == 3
    assert status["rules"]["valid"] == 1
    assert sender.metric("tocsin_jobs_in_flight") == 2
    assert sender.metric("tocsin_jobs_waiting", why="slot") == 1
    assert sender.metric("tocsin_consumer_lag", topic=here.topics.jobs) == 3
    assert sender.metric("tocsin_oldest_unsent_job_seconds") > 0
    assert sender.metric("tocsin_rules", status="valid") == 1
    assert sender.metric("tocsin_build_info") == 1
    assert sender.get("/healthz")[0] == 200
    assert receiver.url() not in str(status)
    assert receiver.url() not in sender.get("/metrics")[1]


def test_retry_topic_of_an_earlier_schedule_is_still_drained(
    here: Installation, spawn: Spawn, receiver: Receiver
) -> None:
    earlier = {"sender": {"retry_schedule": ["3s"]}}
    here.apply_topics(**earlier)
    receiver.answer("/hook", FAIL)
    here.put_rule(1, receiver.url())
    before = spawn("run", "sender", settings=here.settings(**earlier)).wait_ready()
    job = here.add_job(1)
    here.wait_audit(job, "failed")
    assert before.stop() == 0
    spawn("run", "sender", settings=here.settings()).wait_ready()
    failed, delivered = here.wait_audit(job, "failed", "delivered")
    assert delivered["started_at_ms"] >= failed["next_attempt_at_ms"]
    retry = f"{here.topics.retry_prefix}3s"
    wait_until(lambda: lag(here.bootstrap, here.topics.group("sender"), retry) == 0, 10, "drained")


def test_commit_carries_what_is_finished_above_a_job_that_hangs(
    here: Installation, spawn: Spawn, receiver: Receiver
) -> None:
    receiver.answer("/hangs", Answer(delay=3600.0))
    here.put_rule(1, receiver.url("/hangs"), delivery={"timeout": "5m"})
    here.put_rule(2, receiver.url())
    settings = here.settings(sender={"instance_id": "sender-0"})  # so that a restart takes over at once
    sender = spawn("run", "sender", settings=settings).wait_ready()
    hanging = here.add_job(1)
    receiver.wait_for(1, path="/hangs")
    jobs = here.add_jobs(40, 2)
    wait_until(lambda: len(here.audit(*jobs)) == 40, 30)
    commits = committed(here.bootstrap, here.topics.group("sender"), here.topics.jobs)
    held = [commit for commit in commits.values() if commit.metadata.split(";")[2]]
    assert len(held) == 1
    sender.kill()
    spawn("run", "sender", settings=settings).wait_ready()
    here.wait_audit(hanging, "delivered")
    assert len(receiver.requests("/hook")) == 40


def test_job_that_was_deleted_before_it_was_read_is_said_and_passed(
    here: Installation, spawn: Spawn, receiver: Receiver
) -> None:
    here.put_rule(1, receiver.url())
    sender = spawn("run", "sender", settings=here.settings()).wait_ready()
    first = here.add_job(1)
    here.wait_audit(first, "delivered")
    wait_until(lambda: drained(here), 10)
    assert sender.stop() == 0
    gone = [here.job(1) for _ in range(3)]
    place = here.place_of(first)
    here.add_to(place.partition, gone)
    delete_before(here.bootstrap, place, 4)
    kept = here.add_to(place.partition, [here.job(1)])[0]
    again = spawn("run", "sender", settings=here.settings()).wait_ready()
    here.wait_audit(kept, "delivered")
    assert '"lost": 3' in again.wait_log("records were deleted before they were read")
    assert here.audit(*gone) == []


def test_partition_that_ends_before_its_commit_is_read_again_from_its_start(
    here: Installation, spawn: Spawn, receiver: Receiver
) -> None:
    """As after an election of a broker that lacked the end of the log."""
    here.put_rule(1, receiver.url())
    job = here.add_job(1)
    sender = spawn("run", "sender", settings=here.settings()).wait_ready()
    here.wait_audit(job, "delivered")
    assert sender.stop() == 0
    place, group = here.place_of(job), here.topics.group("sender")
    commit = committed(here.bootstrap, group, here.topics.jobs)[place.partition]
    set_commits(here.bootstrap, group, {place: commit._replace(next_offset=1_000)})
    spawn("run", "sender", settings=here.settings()).wait_ready()
    here.wait_audit(job, "delivered", "delivered")
    here.wait_audit(here.add_job(1), "delivered")
    wait_until(lambda: drained(here), 10, "no lag is left")


def test_jobs_deleted_under_a_running_sender_are_said_and_passed(
    here: Installation, spawn: Spawn, receiver: Receiver
) -> None:
    receiver.answer("/hook", then=Answer(delay=0.5))
    here.put_rule(1, receiver.url())
    sender = spawn("run", "sender", settings=here.settings(sender={"max_in_flight": 200})).wait_ready()
    count = 2_000  # more than one fetch brings
    here.add_to(0, [here.job(1) for _ in range(count)])
    receiver.wait_for(1)
    delete_before(here.bootstrap, Position(here.topics.jobs, 0), count)
    sender.wait_log("records were deleted before they were read", 60)
    (kept,) = here.add_to(0, [here.job(1)])
    here.wait_audit(kept, "delivered")
    assert sender.stop() == 0
