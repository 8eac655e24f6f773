"""Partitions: who owns them, what happens when some are added, and that installations don't meet."""

import json
import time
from collections.abc import Iterator
from datetime import datetime, timedelta

import pytest

from tests.support.brokers import Broker
from tests.support.installation import Installation
from tests.support.processes import Process, Spawn
from tests.support.receiver import Answer, Receiver
from tests.support.topics import grow_topic, topic_names
from tests.support.waiting import wait_until

FAIL_TWICE = {"1": Answer(500), "2": Answer(500), "3": Answer(200)}
SCHEDULE = {"sender": {"retry_schedule": ["1s", "2s"]}}


@pytest.fixture
def here(broker: Broker, prefix: str) -> Iterator[Installation]:
    with Installation(broker.bootstrap, prefix, topics={"partitions": 2}, **SCHEDULE) as installation:
        yield installation


def owned(sender: Process) -> list[int]:
    """The partition numbers that a sender says it has."""
    if sender.get("/readyz")[0] != 200:
        return []
    numbers: list[int] = sender.status()["sender"].get("partitions", [])
    return numbers


def test_added_partitions_are_read_soon_and_their_retries_stay_on_their_numbers(
    here: Installation, spawn: Spawn, receiver: Receiver
) -> None:
    receiver.answer_by("/hook", lambda _, request: FAIL_TWICE[request.headers["webhook-attempt"]])
    for rule_id in range(1, 6):
        here.put_rule(rule_id, receiver.url())
    sender = spawn("run", "sender", settings=here.settings()).wait_ready()
    for job in here.add_to(0, [here.job(5)]):
        here.wait_audit(job, "failed", "failed", "delivered")
    here.apply_topics(topics={"partitions": 4})
    began = time.monotonic()
    jobs = [here.add_to(number, [here.job(number + 1)])[0] for number in range(4)]
    receiver.wait_for(3 + 4, 20)
    assert time.monotonic() - began < 12.0  # 10 s, and some for a busy machine
    for number, job in enumerate(jobs):
        here.wait_audit(job, "failed", "failed", "delivered")
        (first,), (second,) = here.moved("1s", job), here.moved("2s", job)
        assert (first.partition, second.partition) == (number, number)
    assert sender.log().count('"message": "transaction aborted') == 0


def test_partition_is_not_worked_on_before_it_has_its_retry_partitions(
    here: Installation, spawn: Spawn, receiver: Receiver
) -> None:
    here.put_rule(1, receiver.url())
    sender = spawn("run", "sender", settings=here.settings()).wait_ready()
    grow_topic(here.bootstrap, here.topics.jobs, 3)
    (job,) = here.add_to(2, [here.job(1)])
    why = f"there is no {here.topics.retry_prefix}1s[2] beside {here.topics.jobs}: run `tocsin topics apply`"
    wait_until(lambda: why in sender.get("/readyz")[1], 20, "readiness says what is missing")
    refused = spawn("run", "sender", settings=here.settings())
    assert refused.wait() == 1
    assert "run `tocsin topics apply`" in refused.log()
    assert receiver.requests() == []
    here.apply_topics(topics={"partitions": 3})
    here.wait_audit(job, "delivered")
    sender.wait_ready()


@pytest.mark.real_kafka
def test_two_senders_share_the_partitions_and_hand_them_over_when_one_stops(
    here: Installation, spawn: Spawn, receiver: Receiver
) -> None:
    here.put_rule(1, receiver.url(), delivery={"headers": {"x-sender": {"ref": "env:TOCSIN_SECRET_NAME"}}})
    senders = [
        spawn("run", "sender", settings=here.settings(), env={"TOCSIN_SECRET_NAME": name}) for name in "ab"
    ]
    wait_until(
        lambda: (
            sorted(number for sender in senders for number in owned(sender)) == [0, 1]
            and all(owned(sender) for sender in senders)
        ),
        30,
        "each has one",
    )
    jobs = [job for number in (0, 1) for job in here.add_to(number, [here.job(1) for _ in range(10)])]
    for job in jobs:
        here.wait_audit(job, "delivered")
    assert {request.headers["x-sender"] for request in receiver.requests()} == {"a", "b"}
    assert senders[0].stop() == 0
    wait_until(lambda: owned(senders[1]) == [0, 1], 10, "the other has both at once")
    receiver.clear()
    more = [job for number in (0, 1) for job in here.add_to(number, [here.job(1) for _ in range(10)])]
    for job in more:
        here.wait_audit(job, "delivered")
    assert {request.headers["x-sender"] for request in receiver.requests()} == {"b"}
    assert len(receiver.requests()) == 20


def test_two_installations_on_one_cluster_do_not_meet(
    broker: Broker, here: Installation, prefix: str, spawn: Spawn, receiver: Receiver
) -> None:
    # A prefix that begins like the other one, which a sloppy comparison would take for it.
    with Installation(broker.bootstrap, f"{prefix}b.", topics={"partitions": 2}, **SCHEDULE) as there:
        for place, path in ((here, "/here"), (there, "/there")):
            receiver.answer(path, *[Answer(500)] * 4)
            place.put_rule(1, receiver.url(path))
        first = spawn("run", "sender", settings=here.settings()).wait_ready()
        mine = here.add_jobs(4, 1)
        for job in mine:
            here.wait_audit(job, "failed", "delivered")
        jobs = there.add_jobs(4, 1)
        second = spawn("run", "sender", settings=there.settings()).wait_ready()
        for job in jobs:
            there.wait_audit(job, "failed", "delivered")
        assert first.status()["sender"]["partitions"] == second.status()["sender"]["partitions"] == [0, 1]
        for place, path in ((here, "/here"), (there, "/there")):
            assert len(receiver.requests(path)) == 8
            assert len(place.audit()) == 8
            assert place.dead() == []
        assert first.stop() == 0
        # Nobody waits for anybody: the other goes on, and reads none of what is left alone here.
        here.add_jobs(5, 1)
        for job in there.add_jobs(5, 1):
            there.wait_audit(job, "delivered")
        assert len(receiver.requests("/here")) == 8
        assert all(name.startswith(prefix) for name in topic_names(broker.bootstrap) if prefix[:-1] in name)


def test_process_with_a_name_of_its_own_takes_over_from_its_killed_predecessor(
    here: Installation, spawn: Spawn, receiver: Receiver
) -> None:
    here.put_rule(1, receiver.url())
    named = {"sender": {"instance_id": "sender-0"}}
    first = spawn("run", "sender", settings=here.settings(**named)).wait_ready()
    here.wait_audit(here.add_job(1), "delivered")
    first.kill()
    second = spawn("run", "sender", settings=here.settings(**named))
    started = logged_at(second.wait_log('"message": "listening"'))
    # A nameless one would wait for the end of its predecessor's session, 6 s.
    assert logged_at(second.wait_log('"message": "assigned"')) - started < timedelta(seconds=5)
    here.wait_audit(here.add_job(1), "delivered")
    # The name means one process: an older one of that name ends.
    third = spawn("run", "sender", settings=here.settings(**named))
    assert second.wait() == 1
    assert "fenced" in second.log().lower()
    here.wait_audit(here.add_job(1), "delivered")
    assert third.stop() == 0


def logged_at(line: str) -> datetime:
    """The time of a line of the log."""
    return datetime.fromisoformat(json.loads(line)["time"])


@pytest.mark.real_kafka
@pytest.mark.soak
def test_job_that_hangs_is_handed_over_when_its_partition_goes(
    here: Installation, spawn: Spawn, receiver: Receiver
) -> None:
    receiver.answer_by("/hangs", lambda nth, _: Answer(delay=3600.0 if nth < 2 else 0.0))
    here.put_rule(1, receiver.url("/hangs"), delivery={"timeout": "5m"})
    here.put_rule(2, receiver.url())
    first = spawn("run", "sender", settings=here.settings()).wait_ready()
    hanging = [job for number in (0, 1) for job in here.add_to(number, [here.job(1)])]
    receiver.wait_for(2, path="/hangs")
    done = [job for number in (0, 1) for job in here.add_to(number, [here.job(2) for _ in range(5)])]
    for job in done:
        here.wait_audit(job, "delivered")
    second = spawn("run", "sender", settings=here.settings()).wait_ready()
    wait_until(lambda: len(owned(first)) == len(owned(second)) == 1, 30, "each has one")
    # What the partition's new owner finds is the job that hung, and nothing of what was finished above it.
    (moved,) = [job for job in hanging if here.place_of(job).partition in owned(second)]
    here.wait_audit(moved, "delivered")
    assert len(receiver.requests("/hangs")) == 3
    assert len(receiver.requests("/hook")) == 10
    assert [record for job in hanging if job is not moved for record in here.audit(job)] == []
