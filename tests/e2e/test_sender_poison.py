"""Records on job topics that are no jobs, or not of this version."""

from collections.abc import Iterator

import pytest

from processor.kafka.cluster import Cluster
from tests.support.brokers import Broker
from tests.support.installation import Installation, headers_of
from tests.support.offsets import committed
from tests.support.processes import Spawn
from tests.support.receiver import Receiver
from tests.support.records import Record, Stored, produce
from tests.support.waiting import wait_until


@pytest.fixture
def here(broker: Broker, prefix: str) -> Iterator[Installation]:
    sender = {"retry_schedule": ["1s"]}
    with Installation(broker.bootstrap, prefix, topics={"partitions": 2}, sender=sender) as installation:
        yield installation


def changed(record: Record, **headers: bytes | None) -> Record:
    """The record with these `tocsin-` headers replaced, or left out where None."""
    names = {f"tocsin-{name.replace('_', '-')}": value for name, value in headers.items()}
    kept = [(name, value) for name, value in record.headers if name not in names]
    return record._replace(
        headers=[*kept, *((name, value) for name, value in names.items() if value is not None)], partition=0
    )


def test_records_that_are_no_jobs_go_to_the_dead_letters_and_the_partition_goes_on(
    here: Installation, spawn: Spawn, receiver: Receiver
) -> None:
    here.put_rule(1, receiver.url())
    job = here.job(1)
    limit = int(
        Cluster(here.model.kafka, "tests").configs([here.topics.jobs])[here.topics.jobs]["max.message.bytes"]
    )
    cases = {
        "job header tocsin-job-id is missing": [
            Record(b"not a job", key=b"k", partition=0),
            Record(None, key=b"k", partition=0),
            Record(b"", partition=0),
            changed(job.record, job_id=None),
            # As large as the topic takes: with the headers that say what is wrong it would not fit.
            Record(b"x" * (limit - 100), key=b"k", partition=0),
        ],
        "job header tocsin-job-id is not a job id: b'msg_x'": [changed(job.record, job_id=b"msg_x")],
        "job header tocsin-attempt is not a decimal number from 1: b'0'": [changed(job.record, attempt=b"0")],
        "job header tocsin-not-before is not a decimal number from 0: b'-1'": [
            changed(job.record, not_before=b"-1")
        ],
        "job header tocsin-format is not a decimal number from 1: b'new'": [
            changed(job.record, format=b"new")
        ],
        "the job has no body": [job.record._replace(value=None, partition=0)],
        "the job needs": [job.record._replace(value=b"x" * (limit - 1_000), partition=0)],
    }
    garbage = [record for records in cases.values() for record in records]
    produce(here.bootstrap, here.topics.jobs, garbage)
    # Retry topics are read with the same care.
    produce(
        here.bootstrap, here.topics.retry(here.model.sender.tiers[0]), [Record(b"not a job", partition=0)]
    )
    (last,) = here.add_to(0, [here.job(1)])
    sender = spawn("run", "sender", settings=here.settings()).wait_ready()
    here.wait_audit(last, "delivered")

    def all_dead() -> list[Stored]:
        return here.dead() if len(here.dead()) >= len(garbage) + 1 else []

    dead = wait_until(all_dead, 20, lambda: f"{len(garbage) + 1} dead letters: {len(here.dead())}")
    assert len(dead) == len(garbage) + 1
    errors = [headers_of(record)["tocsin-error"] for record in dead]
    for error, records in cases.items():
        more = error == "job header tocsin-job-id is missing"  # that of the retry topic
        assert sum(found.startswith(error) for found in errors) == len(records) + more
    for record in dead:
        headers = headers_of(record)
        assert (headers["tocsin-outcome"], headers["tocsin-reason"], headers["tocsin-stage"]) == (
            "dead",
            "",
            "render",
        )
    values = {record.value for record in dead}
    assert values == {b"not a job", b"", None, job.record.value, b"x" * (limit - 1_000)}
    without = [record for record in dead if record.value is None and record.key == b"k"]
    assert len(without) == 2  # the one that had no value, and the one that would not have fitted
    assert len(receiver.requests()) == 1
    assert sender.metric("tocsin_jobs_unreadable_total") == len(dead)
    assert sender.log().count("a record that is no job goes to the dead letters") == len(dead)
    assert sender.get("/readyz")[0] == 200


@pytest.mark.real_kafka
def test_job_of_a_newer_format_stops_its_partition_and_no_other(
    here: Installation, spawn: Spawn, receiver: Receiver
) -> None:
    here.put_rule(1, receiver.url())
    sender = spawn("run", "sender", settings=here.settings()).wait_ready()
    (before,) = here.add_to(0, [here.job(1)])
    newer = here.job(1)
    produce(here.bootstrap, here.topics.jobs, [changed(newer.record, format=b"2")])
    (behind,) = here.add_to(0, [here.job(1)])
    here.wait_audit(before, "delivered")
    why = "job record has format 2, this version reads up to 1: upgrade the sender"
    wait_until(lambda: why in sender.get("/readyz")[1], 10, "readiness says why")
    assert sender.get("/readyz")[0] == 503
    assert sender.get("/healthz")[0] == 200
    (elsewhere,) = here.add_to(1, [here.job(1)])
    here.wait_audit(elsewhere, "delivered")
    jobs, group = here.topics.jobs, here.topics.group("sender")
    wait_until(lambda: committed(here.bootstrap, group, jobs)[1].next_offset == 1)
    wait_until(lambda: list(sender.status()["sender"]["blocked"]) == [f"{jobs}[0]"], 5, "status names it")
    assert committed(here.bootstrap, group, jobs)[0].next_offset == 1

    # A rebalance changes nothing about it: the other sender gets one of the partitions and is as strict.
    other = spawn("run", "sender", settings=here.settings())
    other.wait_log('"message": "assigned"')
    wait_until(
        lambda: sorted(process.get("/readyz")[0] for process in (sender, other)) == [200, 503],
        20,
        "one of them is ready",
    )
    assert here.dead() == []
    assert here.audit(newer, behind) == []
    assert sender.stop() == 0
    assert other.stop() == 0
    assert committed(here.bootstrap, group, jobs)[0].next_offset == 1
