"""What was put off for ten minutes is tried at once when somebody releases its rule or its destination."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.brokers import Broker
from tests.support.installation import Job
from tests.support.processes import run_tocsin
from tests.support.sender_site import Hook, SenderSite, sender_site
from tests.support.waiting import wait_until


@pytest.fixture(scope="module")
def site(broker: Broker, tmp_path_factory: pytest.TempPathFactory) -> Iterator[SenderSite]:
    # Tiers of 5 s and 10 min: what was put off twice waits for ten minutes.
    with sender_site(broker, tmp_path_factory.mktemp("release"), sender={"retry_schedule": ["10m"]}) as site:
        yield site


def deliveries(site: SenderSite, directory: Path, *arguments: str) -> Any:
    code, out, err = run_tocsin(
        "deliveries", *arguments, "-o", "json", directory=directory, settings=site.here.settings()
    )
    assert code == 0, err
    return json.loads(out)


def put_off(site: SenderSite, hook: Hook) -> Job:
    """A job that was put off twice because its rule was paused, which it no longer is."""
    site.here.put_rule(hook.rule_id, hook.url, paused=True)
    job = site.here.add_job(hook.rule_id)
    wait_until(lambda: site.here.moved("10m", job), 60, lambda: f"put off twice: {site.here.audit(job)}")
    site.here.put_rule(hook.rule_id, hook.url)
    return job


@pytest.mark.parametrize("what", ["rule", "destination"])
def test_released_jobs_are_delivered_at_once(site: SenderSite, tmp_path: Path, what: str) -> None:
    hook = site.hook()
    job = put_off(site, hook)
    waiting = deliveries(site, tmp_path, "get", job.id)
    assert (waiting["state"], waiting["why"], waiting["deferrals"]) == ("waiting", "deferred", 2)
    assert waiting["detail"] == "put off: paused"

    meant = str(hook.rule_id) if what == "rule" else site.receiver.url("")
    deliveries(site, tmp_path, "release", f"--{what}", meant)

    site.receiver.wait_for(1, 20, path=hook.path)
    records = site.here.wait_audit(job, "deferred", "delivered")
    assert [record["attempt"] for record in records] == [1, 1]
    assert deliveries(site, tmp_path, "get", job.id)["state"] == "delivered"
