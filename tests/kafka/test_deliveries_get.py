"""`tocsin deliveries get` against a broker: where a job is and why, told from topics and commits alone."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from processor.delivery.lookup import Lookup
from processor.delivery.watermark import Watermark
from processor.jobs import JobHeaders
from processor.kafka.cluster import Cluster
from processor.kafka.config import client_config
from processor.kafka.consumer import GroupConsumer
from processor.kafka.partitioner import partition_of
from processor.kafka.records import Commit, Position
from processor.kafka.starting import metadata_for
from tests.support.brokers import Broker
from tests.support.commands import Commands
from tests.support.deliveries import audit_value, dead_record_headers
from tests.support.installation import Installation, Job, now_ms
from tests.support.offsets import set_commits
from tests.support.records import Record, produce
from tests.support.topics import create_topic

TARGET = "https://hooks.example.com/x"
HOUR = 3_600_000


class Site(Installation):
    """An installation without a sender: what one would have written is written by hand."""

    def audited(self, job: Job, attempt: int, outcome: str, **more: Any) -> None:
        value = audit_value(self.headers(job), attempt, outcome, **more)
        produce(self.bootstrap, self.topics.deliveries, [Record(value, job.id.encode())])

    def headers(self, job: Job) -> JobHeaders:
        return JobHeaders.decode(job.record.headers)

    def moved_to(self, topic: str, job: Job, **changes: Any) -> Position:
        """Write the job's next record as a sender does: to the partition number of its job topic."""
        key = job.record.key or b""
        partition = partition_of(key, self.model.topics.partitions)
        record = Record(job.record.value, key, replace(self.headers(job), **changes).encode(), partition)
        produce(self.bootstrap, topic, [record])
        return Position(topic, partition)

    def commit(self, position: Position, next_offset: int, *finished: int) -> None:
        """Commit as a sender that has finished everything below, and these offsets above."""
        info = Cluster(self.model.kafka, "tests").topic(position.topic)
        assert info is not None
        watermark = Watermark(next_offset)
        for offset in range(next_offset, max(finished, default=next_offset) + 1):
            watermark.take(offset)
        for offset in finished:
            watermark.finish(offset)
        commit = Commit(next_offset, metadata_for(info.id, watermark.runs() if finished else ""))
        set_commits(self.bootstrap, self.topics.group("sender"), {position: commit})

    def jobs_of_one_partition(self, count: int) -> list[Job]:
        """Jobs of rule 7 whose keys lie together, in webhook-jobs."""
        jobs: list[Job] = []
        while len(jobs) < count:
            job = self.job(7)
            if partition_of(job.record.key or b"", self.model.topics.partitions) == 0:
                jobs.append(job)
        return self.add(jobs)


@pytest.fixture
def site(broker: Broker, prefix: str) -> Iterator[Site]:
    with Site(broker.bootstrap, prefix, topics={"partitions": 3}) as site:
        site.put_rule(7, TARGET)
        yield site


@pytest.fixture
def deliveries(site: Site, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Commands:
    return Commands("deliveries", site.settings(), capsys, tmp_path)


def test_a_new_job_waits_in_the_job_topic_for_a_sender(site: Site, deliveries: Commands) -> None:
    job = site.add_job(7)

    found = deliveries.json("get", job.id)

    due = site.headers(job).not_before_ms
    assert found == {
        "job_id": job.id,
        "rule_id": 7,
        "rule_name": "rule-7",
        "state": "waiting",
        "why": "new",
        "detail": "no sender is running",
        "next_attempt": 1,
        "due_ms": due,
        "topic": site.topics.jobs,
        "partition": partition_of(job.record.key or b"", 3),
        "offset": 0,
        "deferrals": 0,
        "redelivered": 0,
        "attempts": [],
    }
    lines = deliveries.run("get", job.id).splitlines()
    assert [line.split()[0] for line in lines] == ["job", "rule", "state", "because", "next", "in"]
    assert "attempt 1, due since 20" in lines[4]


def test_a_retry_waits_in_its_tier_with_what_had_failed(site: Site, deliveries: Commands) -> None:
    (job,) = site.jobs_of_one_partition(1)
    site.commit(Position(site.topics.jobs, 0), 1)
    due = now_ms() + HOUR
    site.audited(job, 1, "failed", status=500, error="HTTP 500", next_attempt_at_ms=due)
    site.moved_to(site.topics.retry(timedelta(minutes=10)), job, attempt=2, not_before_ms=due)

    found = deliveries.json("get", job.id)

    assert (found["state"], found["why"], found["topic"]) == (
        "waiting",
        "retry",
        site.topics.retry(timedelta(minutes=10)),
    )
    assert (found["next_attempt"], found["due_ms"]) == (2, due)
    assert found["detail"] == "HTTP 500; no sender is running"
    assert [(a["attempt"], a["outcome"], a["status"]) for a in found["attempts"]] == [(1, "failed", 500)]
    assert "due at 20" in deliveries.run("get", job.id)


def test_a_job_in_a_retry_topic_of_an_earlier_schedule_is_found_too(site: Site, deliveries: Commands) -> None:
    old = f"{site.topics.retry_prefix}90s"
    create_topic(site.bootstrap, old, 3, {"message.timestamp.type": "LogAppendTime"})
    create_topic(site.bootstrap, f"{site.topics.retry_prefix}soon", 1)
    job = site.job(7)
    site.moved_to(old, job, attempt=2, not_before_ms=now_ms() + HOUR)

    assert deliveries.json("get", job.id)["topic"] == old


def test_what_a_commit_lists_as_finished_waits_no_longer(site: Site, deliveries: Commands) -> None:
    jobs = site.jobs_of_one_partition(4)
    site.commit(Position(site.topics.jobs, 0), 1, 2)
    for job in (jobs[0], jobs[2]):
        site.audited(job, 1, "delivered", status=204)

    states = [deliveries.json("get", job.id)["state"] for job in jobs]

    assert states == ["delivered", "waiting", "delivered", "waiting"]


def test_a_paused_or_invalid_rule_is_named_as_the_reason(site: Site, deliveries: Commands) -> None:
    (job,) = site.jobs_of_one_partition(1)
    site.commit(Position(site.topics.jobs, 0), 1)
    site.audited(job, 1, "deferred", error="paused")
    due = now_ms() + 600_000
    site.moved_to(site.topics.retry(timedelta(minutes=10)), job, deferrals=3, not_before_ms=due)

    found = deliveries.json("get", job.id)
    assert (found["why"], found["deferrals"], found["due_ms"]) == ("deferred", 3, due)
    assert found["detail"].startswith("put off: paused")

    site.put_rule(7, TARGET, paused=True)
    assert deliveries.json("get", job.id)["why"] == "paused"
    site.put_rule_record(7, b'{"name":""}')
    found = deliveries.json("get", job.id)
    assert found["why"] == "invalid"
    assert found["detail"].startswith("its rule is invalid (")
    site.put_rule_record(7, None)
    assert "its rule is deleted, so it will be cancelled" in deliveries.json("get", job.id)["detail"]


def test_a_dead_job_is_found_and_once_put_back_where_it_waits(site: Site, deliveries: Commands) -> None:
    job = site.job(7)
    headers = dead_record_headers(site.headers(job), 6, died_at_ms=now_ms(), error="HTTP 503")
    produce(site.bootstrap, site.topics.dead, [Record(job.record.value, job.record.key, headers)])

    found = deliveries.json("get", job.id)
    assert (found["state"], found["why"], found["detail"]) == ("dead", "exhausted", "HTTP 503")
    assert found["rule_id"] == 7

    site.audited(job, 6, "dead", reason="exhausted", error="HTTP 503")
    found = deliveries.json("get", job.id)
    assert (found["state"], found["why"], len(found["attempts"])) == ("dead", "exhausted", 1)

    deliveries.run("redeliver", job.id)
    found = deliveries.json("get", job.id)
    assert (found["state"], found["why"], found["next_attempt"], found["redelivered"]) == (
        *("waiting", "redelivered", 7),
        1,
    )
    assert "ATTEMPT" in deliveries.run("get", job.id)


def test_what_ended_is_told_from_the_trail(site: Site, deliveries: Commands) -> None:
    delivered, cancelled, buried = (site.job(7) for _ in range(3))
    site.audited(delivered, 1, "failed")
    site.audited(delivered, 2, "delivered", status=200)
    site.audited(cancelled, 1, "cancelled", reason="disabled")
    site.audited(buried, 6, "dead", reason="gone", error="HTTP 410")

    assert deliveries.json("get", delivered.id)["state"] == "delivered"
    found = deliveries.json("get", cancelled.id)
    assert (found["state"], found["why"]) == ("cancelled", "disabled")
    found = deliveries.json("get", buried.id)
    assert (found["state"], found["why"]) == ("dead", "gone")
    assert "its dead record is gone" in found["detail"]


def test_what_can_not_be_found_any_more_is_said(site: Site, deliveries: Commands) -> None:
    lost = site.job(7)
    site.audited(lost, 1, "failed", next_attempt_at_ms=now_ms())
    assert deliveries.json("get", lost.id)["state"] == "unknown"

    deliveries.run("get", site.job(7).id, expect=1)
    assert deliveries.err.startswith("tocsin: nothing is known of a job msg_")


def test_a_record_of_a_newer_format_waits_and_says_so(site: Site, deliveries: Commands) -> None:
    job = site.job(7)
    newer = Record(job.record.value, job.record.key, [*job.record.headers, ("tocsin-format", b"2")])
    produce(site.bootstrap, site.topics.jobs, [newer])

    found = deliveries.json("get", job.id)

    assert (found["state"], found["why"]) == ("waiting", "unreadable")
    assert "format 2" in found["detail"]


def test_a_damaged_audit_record_costs_a_warning(site: Site, deliveries: Commands) -> None:
    job = site.job(7)
    produce(site.bootstrap, site.topics.deliveries, [Record(b"garbage", job.id.encode())])
    site.audited(job, 1, "delivered")

    assert deliveries.json("get", job.id)["state"] == "delivered"
    (warning,) = deliveries.warnings()
    assert warning["at"].startswith(site.topics.deliveries)


def test_a_job_that_moves_on_while_it_is_looked_for_is_found_where_it_went(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    (job,) = site.jobs_of_one_partition(1)
    tier = site.topics.retry(timedelta(seconds=5))
    cluster = Cluster(site.model.kafka, "tests")
    lookup = Lookup(site.model, cluster, timedelta(seconds=30))
    stands = Lookup._stands
    looked: list[str] = []

    def moves_before_it_is_asked(self: Lookup, waiting: Any) -> bool:
        looked.append(waiting.position.topic)
        if len(looked) == 1:
            site.moved_to(tier, job, attempt=2)
            site.commit(Position(site.topics.jobs, 0), 1)
        return stands(self, waiting)

    monkeypatch.setattr(Lookup, "_stands", moves_before_it_is_asked)

    waiting = lookup.place_of(job.id, 7)

    assert waiting is not None
    assert (waiting.position, waiting.tier_ms) == (Position(tier, 0), 5_000)
    assert looked == [site.topics.jobs, tier]


def test_a_running_sender_is_seen(site: Site, deliveries: Commands) -> None:
    class Idle:
        def assigned(self, positions: list[Position]) -> dict[Position, int]:
            return {}

        def revoked(self, positions: list[Position]) -> list[Position]:
            return []

        lost = revoked

        def out_of_range(self, position: Position) -> None:
            return None

    job = site.add_job(7)
    config = client_config(site.model.kafka, "tests")
    member = GroupConsumer(config, site.topics.group("sender"), None, Idle())
    try:
        member.subscribe([site.topics.jobs])
        while not member.joined:
            member.fetch(1, 0.1)
        assert deliveries.json("get", job.id)["detail"] == ""
    finally:
        member.close()
