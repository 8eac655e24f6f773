"""`tocsin deliveries redeliver` against a broker: each death is put back once, whoever asks."""

import threading
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka.admin import (
    AdminClient,
    AlterConfigOpType,
    ConfigEntry,
    ConfigResource,
    ResourceType,
)
from msgspec.structs import replace

from processor.delivery.dead import Selection
from processor.delivery.outcome import Reason
from processor.delivery.redelivery import Order, Redelivery
from processor.jobs import JobHeaders
from processor.kafka.cluster import Cluster
from processor.kafka.errors import TransactionAborted, TransactionUncertain
from processor.kafka.records import Commit, Position
from processor.kafka.starting import metadata_for
from processor.kafka.transaction import TransactionalProducer
from tests.support.brokers import Broker
from tests.support.commands import Commands
from tests.support.deliveries import audit_value, dead_record_headers
from tests.support.installation import Installation, Job, now_ms
from tests.support.offsets import set_commits
from tests.support.processes import Spawn
from tests.support.records import Record, Stored, produce, read_all
from tests.support.rules import record as rule_record
from tests.support.rules import snapshot_of

TARGET = "https://hooks.example.com/x"
PUT_BACK = "was put back before"


class Site(Installation):
    """An installation without a sender: its jobs die by hand."""

    def die(self, *jobs: Job, attempt: int = 6, **more: Any) -> list[Stored]:
        """Write dead records of these jobs as a sender does, and return all there are of them."""
        records = [
            Record(
                job.record.value,
                job.record.key,
                dead_record_headers(JobHeaders.decode(job.record.headers), attempt, **more),
            )
            for job in jobs
        ]
        produce(self.bootstrap, self.topics.dead, records)
        ids = {job.id for job in jobs}
        return [r for r in read_all(self.bootstrap, self.topics.dead) if r.header("tocsin-job-id") in ids]

    def dead_jobs(self, count: int, rule_id: int = 7, **more: Any) -> list[Job]:
        """New jobs of a rule that have died."""
        jobs = [self.job(rule_id) for _ in range(count)]
        self.die(*jobs, **more)
        return jobs

    def back(self) -> list[tuple[str, JobHeaders]]:
        """The jobs in webhook-jobs, by id, in the order of their partitions."""
        records = read_all(self.bootstrap, self.topics.jobs)
        return [(r.header("tocsin-job-id") or "", JobHeaders.decode(r.headers)) for r in records]

    def finish_all(self) -> None:
        """Commit as a sender does that has finished everything in webhook-jobs."""
        cluster = Cluster(self.model.kafka, "tests")
        info = cluster.topic(self.topics.jobs)
        assert info is not None
        positions = [Position(info.name, number) for number in range(info.partitions)]
        ends = cluster.end_offsets(positions)
        commits = {p: Commit(end, metadata_for(info.id)) for p, end in ends.items()}
        set_commits(self.bootstrap, self.topics.group("sender"), commits)

    def redelivery(self, **order: Any) -> Redelivery:
        """A run as another process would make it, on rules 7 and 8."""
        rules = snapshot_of({7: rule_record("a"), 8: rule_record("b")})
        cluster = Cluster(self.model.kafka, "tests")
        return Redelivery(self.model, cluster, rules, Order(**order), timeout=timedelta(seconds=60))


@pytest.fixture
def site(broker: Broker, prefix: str) -> Iterator[Site]:
    with Site(broker.bootstrap, prefix, topics={"partitions": 3}) as site:
        site.put_rule(7, TARGET)
        yield site


@pytest.fixture
def deliveries(site: Site, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Commands:
    return Commands("deliveries", site.settings(), capsys, tmp_path)


def row(action: str, reason: str, jobs: int = 1, rule_id: int | None = 7) -> dict[str, object]:
    return {"action": action, "rule_id": rule_id, "reason": reason, "jobs": jobs}


def test_a_dead_job_goes_back_whole_with_its_next_number_and_a_marker(
    site: Site, deliveries: Commands
) -> None:
    job = site.job(7)
    (dead,) = site.die(job, attempt=6)
    before = now_ms()

    assert deliveries.json("redeliver", job.id) == [row("redelivered", "exhausted")]

    (back,) = read_all(site.bootstrap, site.topics.jobs)
    assert (back.key, back.value) == (job.record.key, job.record.value)
    found = JobHeaders.decode(back.headers)
    assert before <= found.not_before_ms == found.redelivered_at_ms <= now_ms()
    assert found == replace(
        JobHeaders.decode(job.record.headers),
        attempt=7,
        first_attempt=7,
        redelivered=1,
        not_before_ms=found.not_before_ms,
        redelivered_at_ms=found.not_before_ms,
    )
    (_, marker) = read_all(site.bootstrap, site.topics.dead)
    assert (marker.partition, marker.key, marker.value) == (dead.partition, dead.key, None)
    assert marker.headers[:2] == (
        ("tocsin-job-id", job.id.encode()),
        ("tocsin-redelivered-from", f"{dead.partition}@{dead.offset}".encode()),
    )


def test_one_death_is_put_back_once_and_the_next_one_once_more(site: Site, deliveries: Commands) -> None:
    job = site.job(7)
    site.die(job, attempt=6)

    assert deliveries.json("redeliver", job.id) == [row("redelivered", "exhausted")]
    assert deliveries.json("redeliver", job.id) == [row("skipped", PUT_BACK)]
    assert deliveries.json("redeliver", "--rule", "rule-7") == [row("skipped", PUT_BACK)]
    site.die(Job(job.id, Record(job.record.value, job.record.key, site.back()[0][1].encode())), attempt=12)
    assert deliveries.json("redeliver", "--rule", "7") == [row("redelivered", "exhausted")]
    assert deliveries.json("redeliver", "--rule", "7") == [row("skipped", PUT_BACK)]

    assert [(j.attempt, j.first_attempt, j.redelivered) for _, j in site.back()] == [(7, 7, 1), (13, 13, 2)]


def test_a_job_that_expired_untried_keeps_its_number(site: Site, deliveries: Commands) -> None:
    (job,) = site.dead_jobs(1, attempt=3, reason=Reason.EXPIRED)

    assert deliveries.json("redeliver", job.id) == [row("redelivered", "expired")]

    ((_, back),) = site.back()
    assert (back.attempt, back.first_attempt, back.redelivered) == (3, 3, 1)


def test_again_puts_back_what_waits_nowhere_and_counts_on_from_its_last_attempt(
    site: Site, deliveries: Commands
) -> None:
    (job,) = site.dead_jobs(1)
    deliveries.run("redeliver", job.id)
    assert deliveries.json("redeliver", job.id, "--again") == [row("skipped", f"{PUT_BACK} and still waits")]

    headers = JobHeaders.decode(job.record.headers)
    produce(
        site.bootstrap,
        site.topics.deliveries,
        [
            Record(audit_value(headers, 7, "failed"), job.id.encode()),
            Record(audit_value(headers, 8, "delivered"), job.id.encode()),
        ],
    )
    site.finish_all()
    assert deliveries.json("redeliver", job.id, "--again") == [row("redelivered", "exhausted")]

    assert [(j.attempt, j.redelivered) for _, j in site.back()] == [(7, 1), (9, 2)]
    assert deliveries.json("redeliver", job.id) == [row("skipped", PUT_BACK)]


def test_all_dead_jobs_of_a_rule_go_back_in_several_transactions(site: Site, deliveries: Commands) -> None:
    jobs = site.dead_jobs(2_500)
    others = site.dead_jobs(3, 8)

    assert deliveries.json("redeliver", "--rule", "7") == [row("redelivered", "exhausted", 2_500)]

    back = [job_id for job_id, _ in site.back()]
    assert sorted(back) == sorted(job.id for job in jobs)
    assert not set(back) & {job.id for job in others}
    assert len(read_all(site.bootstrap, site.topics.dead)) == 2_503 + 2_500


def test_since_means_the_time_of_death(site: Site, deliveries: Commands) -> None:
    site.put_rule(8, TARGET)
    hour = 3_600_000
    site.dead_jobs(1, died_at_ms=now_ms() - 2 * hour, reason=Reason.GONE)
    site.dead_jobs(2, died_at_ms=now_ms() - hour // 2)
    site.dead_jobs(1, 8, died_at_ms=now_ms(), reason=Reason.REFUSED)

    assert deliveries.json("redeliver", "--rule", "7", "--since", "1h") == [
        row("redelivered", "exhausted", 2)
    ]
    assert deliveries.json("redeliver", "--since", "1h") == [
        row("redelivered", "refused", 1, 8),
        row("skipped", PUT_BACK, 2),
    ]


def test_a_dry_run_says_the_same_and_writes_nothing(site: Site, deliveries: Commands) -> None:
    jobs = site.dead_jobs(3)
    deliveries.run("redeliver", jobs[0].id)
    before = read_all(site.bootstrap, site.topics.dead)

    said = deliveries.json("redeliver", "--rule", "7", "--dry-run")

    assert read_all(site.bootstrap, site.topics.dead) == before
    assert len(site.back()) == 1
    assert said == [row("redelivered", "exhausted", 2), row("skipped", PUT_BACK)]
    assert deliveries.json("redeliver", "--rule", "7") == said


def test_an_unknown_job_or_rule_is_exit_code_1(site: Site, deliveries: Commands) -> None:
    job = site.job(7)
    deliveries.run("redeliver", job.id, expect=1)
    assert deliveries.err.startswith(f"tocsin: there is no dead job {job.id} in {site.topics.dead}")
    deliveries.run("redeliver", "--rule", "nobody", expect=1)
    assert deliveries.err == "tocsin: there is no rule 'nobody'\n"
    assert deliveries.json("redeliver", "--rule", "7") == []


def test_jobs_that_would_only_be_cancelled_stay_dead(site: Site, deliveries: Commands) -> None:
    site.put_rule(8, TARGET, enabled=False)
    site.dead_jobs(1, 8)
    (gone,) = site.dead_jobs(1, 9)
    paused = site.dead_jobs(2)
    site.put_rule(7, TARGET, paused=True)

    assert deliveries.json("redeliver", gone.id) == [
        row("skipped", "its rule is deleted: it would be cancelled", 1, 9)
    ]
    assert deliveries.json("redeliver", "--since", "2020-01-01T00:00:00Z") == [
        row("redelivered", "exhausted", 2),
        row("skipped", "its rule is disabled: it would be cancelled", 1, 8),
        row("skipped", "its rule is deleted: it would be cancelled", 1, 9),
    ]
    assert {job_id for job_id, _ in site.back()} == {job.id for job in paused}


def test_records_that_are_no_jobs_are_counted_and_left_alone(site: Site, deliveries: Commands) -> None:
    (job,) = site.dead_jobs(1)
    produce(
        site.bootstrap,
        site.topics.dead,
        [
            Record(b"x", None, [("tocsin-outcome", b"dead")]),
            Record(
                None, job.record.key, dead_record_headers(JobHeaders.decode(site.job(7).record.headers), 2)
            ),
        ],
    )

    rows = deliveries.json("redeliver", "--since", "2020-01-01T00:00:00Z")

    assert rows[0] == row("redelivered", "exhausted")
    assert rows[1:] == [
        row("skipped", "job header tocsin-job-id is missing", 1, None),
        row("skipped", "its body was too large to be kept"),
    ]


def test_a_job_larger_than_the_job_topic_takes_costs_only_itself(
    broker: Broker, site: Site, deliveries: Commands
) -> None:
    small = site.dead_jobs(2)
    large = site.job(7, event=b'{"x":"%b"}' % (b"x" * 50_000))
    site.die(large)
    entry = ConfigEntry("max.message.bytes", "20000", incremental_operation=AlterConfigOpType.SET)
    resource = ConfigResource(ResourceType.TOPIC, site.topics.jobs, incremental_configs=[entry])
    admin = AdminClient({"bootstrap.servers": broker.bootstrap, "log_level": 0})
    for future in admin.incremental_alter_configs([resource]).values():
        future.result(30)

    assert deliveries.json("redeliver", "--rule", "7") == [
        row("redelivered", "exhausted", 2),
        row("skipped", f"is larger than {site.topics.jobs} takes"),
    ]
    assert {job_id for job_id, _ in site.back()} == {job.id for job in small}


@pytest.mark.real_kafka
def test_three_at_once_put_each_job_back_once(site: Site) -> None:
    jobs = site.dead_jobs(2_500)
    counts: list[int] = []
    failures: list[Exception] = []

    def run() -> None:
        try:
            rows = site.redelivery(selection=Selection(rule_id=7)).run()
            counts.append(sum(row.jobs for row in rows if row.action == "redelivered"))
        except Exception as failure:  # noqa: BLE001  (asserted to be none)
            failures.append(failure)

    threads = [threading.Thread(target=run) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)

    assert not failures
    assert sorted(job_id for job_id, _ in site.back()) == sorted(job.id for job in jobs)
    assert sum(counts) == 2_500


@pytest.mark.real_kafka
@pytest.mark.parametrize(
    ("failure", "written"),
    [(TransactionAborted, False), (TransactionUncertain, False), (TransactionUncertain, True)],
)
def test_after_a_failed_transaction_the_markers_tell_what_was_put_back(
    site: Site, monkeypatch: pytest.MonkeyPatch, failure: type[Exception], written: bool
) -> None:
    jobs = site.dead_jobs(3)
    write = TransactionalProducer.write
    failures = [failure("the answer was lost")]

    def fail_once(self: TransactionalProducer, *arguments: Any) -> None:
        if written or not failures:
            write(self, *arguments)
        if failures:
            raise failures.pop()

    monkeypatch.setattr(TransactionalProducer, "write", fail_once)

    rows = site.redelivery(selection=Selection(rule_id=7)).run()

    assert [(row.action, row.jobs) for row in rows] == [("redelivered", 3)]
    assert sorted(job_id for job_id, _ in site.back()) == sorted(job.id for job in jobs)


@pytest.mark.real_kafka
def test_a_run_that_is_killed_is_finished_by_the_next(site: Site, spawn: Spawn, deliveries: Commands) -> None:
    jobs = site.dead_jobs(4_500)
    process = spawn("deliveries", "redeliver", "--rule", "7", settings=site.settings())
    process.wait_log("dead jobs put back", 60)
    process.kill()

    rows = deliveries.json("redeliver", "--rule", "7")

    assert sorted(job_id for job_id, _ in site.back()) == sorted(job.id for job in jobs)
    assert sum(row["jobs"] for row in rows) == 4_500
    assert rows[0]["jobs"] < 4_500
