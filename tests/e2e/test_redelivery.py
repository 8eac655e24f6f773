"""Dead jobs back to a receiver that has come up again: a real sender, and the commands as processes."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.brokers import Broker
from tests.support.installation import Job, now_ms
from tests.support.processes import run_tocsin
from tests.support.receiver import Answer
from tests.support.sender_site import SenderSite, sender_site
from tests.support.waiting import wait_until

FAIL = Answer(500)


@pytest.fixture(scope="module")
def site(broker: Broker, tmp_path_factory: pytest.TempPathFactory) -> Iterator[SenderSite]:
    directory = tmp_path_factory.mktemp("redelivery")
    with sender_site(broker, directory, topics={"partitions": 2}, sender={"retry_schedule": ["1s"]}) as site:
        yield site


@pytest.fixture
def deliveries(site: SenderSite, tmp_path: Path) -> "Deliveries":
    return Deliveries(site, tmp_path)


class Deliveries:
    """`tocsin deliveries …` as processes."""

    def __init__(self, site: SenderSite, directory: Path) -> None:
        self._site = site
        self._directory = directory

    def __call__(self, *arguments: str) -> Any:
        code, out, err = run_tocsin(
            *("deliveries", *arguments, "-o", "json"),
            directory=self._directory,
            settings=self._site.here.settings(),
        )
        assert code == 0, err
        return json.loads(out)

    def redeliver(self, *arguments: str) -> list[tuple[str, int]]:
        """What it did: actions and numbers of jobs."""
        return [(row["action"], row["jobs"]) for row in self("redeliver", *arguments)]


def wait_attempts(site: SenderSite, job: Job, *outcomes: str) -> list[dict[str, Any]]:
    """Wait until the job's attempts came out like this, in order; deferrals in between don't count."""

    def made() -> list[dict[str, Any]]:
        return [record for record in site.here.audit(job) if record["outcome"] != "deferred"]

    wait_until(lambda: len(made()) >= len(outcomes), 60, lambda: f"{outcomes}: {site.here.audit(job)}")
    found = made()
    assert [record["outcome"] for record in found] == list(outcomes)
    return found


def test_a_dead_job_is_delivered_after_its_redelivery_under_the_same_id(
    site: SenderSite, deliveries: Deliveries
) -> None:
    hook = site.hook()
    site.receiver.answer(hook.path, FAIL, FAIL)
    site.here.put_rule(hook.rule_id, hook.url)
    job = site.here.add_job(hook.rule_id)
    wait_attempts(site, job, "failed", "dead")
    assert deliveries("get", job.id)["state"] == "dead"

    assert deliveries.redeliver(job.id) == [("redelivered", 1)]
    assert deliveries.redeliver(job.id) == [("skipped", 1)]
    wait_attempts(site, job, "failed", "dead", "delivered")
    found = deliveries("get", job.id)
    assert (found["state"], len(found["attempts"])) == ("delivered", 3)
    assert deliveries.redeliver(job.id) == [("skipped", 1)]

    assert deliveries.redeliver(job.id, "--again") == [("redelivered", 1)]
    records = wait_attempts(site, job, "failed", "dead", "delivered", "delivered")

    assert [record["attempt"] for record in records] == [1, 2, 3, 4]
    requests = site.receiver.requests(hook.path)
    assert {request.webhook_id for request in requests} == {job.id}
    assert [int(request.headers["webhook-attempt"]) for request in requests] == [1, 2, 3, 4]
    assert {request.body for request in requests} == {job.record.value}
    assert deliveries("list", "--job", job.id) == site.here.audit(job)


def test_a_redelivered_job_has_its_whole_schedule_again_and_may_die_again(
    site: SenderSite, deliveries: Deliveries
) -> None:
    hook = site.hook()
    site.receiver.answer(hook.path, then=FAIL)
    site.here.put_rule(hook.rule_id, hook.url)
    job = site.here.add_job(hook.rule_id)
    wait_attempts(site, job, "failed", "dead")

    assert deliveries.redeliver("--rule", str(hook.rule_id)) == [("redelivered", 1)]
    records = wait_attempts(site, job, "failed", "dead", "failed", "dead")
    assert deliveries.redeliver("--rule", f"rule-{hook.rule_id}", "--dry-run") == [("redelivered", 1)]

    assert [record["attempt"] for record in records] == [1, 2, 3, 4]
    assert [record["reason"] for record in records] == [None, "exhausted"] * 2


def test_an_expired_job_is_sent_after_its_redelivery_however_old_it_is(
    site: SenderSite, deliveries: Deliveries
) -> None:
    hook = site.hook()
    site.receiver.answer(hook.path, FAIL)
    site.here.put_rule(hook.rule_id, hook.url, delivery={"expires_after": "1ms"})
    job = site.here.add_job(hook.rule_id, matched_at_ms=now_ms() - 60_000)
    wait_attempts(site, job, "dead")

    assert deliveries.redeliver(job.id) == [("redelivered", 1)]

    records = wait_attempts(site, job, "dead", "failed", "delivered")
    assert [record["attempt"] for record in records] == [1, 1, 2]
    assert [record["reason"] for record in records] == ["expired", None, None]
