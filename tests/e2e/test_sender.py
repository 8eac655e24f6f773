"""What becomes of a job: one sender process, one rule and one receiver's path for each test."""

import itertools
import json
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
from standardwebhooks import Webhook

from processor import __version__
from tests.support.brokers import Broker
from tests.support.installation import Installation, headers_of
from tests.support.processes import Process
from tests.support.receiver import Answer, Receiver
from tests.support.topics import delete_topics

FAIL = Answer(500, body=b"out of order")
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"

AUDIT_FIELDS = [
    *("job_id", "rule_id", "rule_uid", "rule_name", "attempt", "outcome", "reason", "stage", "status"),
    *("started_at_ms", "duration_ms", "origin", "next_attempt_at_ms", "error", "snippet"),
]


@pytest.fixture(scope="module")
def site(broker: Broker) -> Iterator[Installation]:
    prefix = f"sender-{uuid.uuid4().hex[:6]}."
    with Installation(
        broker.bootstrap, prefix, topics={"partitions": 2}, sender={"retry_schedule": ["1s", "2s"]}
    ) as site:
        yield site
    delete_topics(broker.bootstrap, prefix)


@pytest.fixture(scope="module", autouse=True)
def sender(site: Installation, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Process]:
    process = Process("run", "sender", directory=tmp_path_factory.mktemp("sender"), settings=site.settings())
    try:
        yield process.wait_ready()
    finally:
        process.kill()


@pytest.fixture(scope="module")
def receivers() -> Iterator[Receiver]:
    with Receiver() as server:
        yield server


RULE_IDS = itertools.count(1)


@pytest.fixture
def rule_id() -> int:
    return next(RULE_IDS)


@pytest.fixture
def path(rule_id: int) -> str:
    return f"/hook/{rule_id}"


def test_job_is_delivered_with_body_headers_and_signature(
    site: Installation, receivers: Receiver, rule_id: int, path: str
) -> None:
    site.put_rule(rule_id, receivers.url(path), action_secret=SECRET)
    job = site.add_job(rule_id)
    (request,) = receivers.wait_for(1, path=path)
    (record,) = site.wait_audit(job, "delivered")
    assert request.method == "POST"
    assert request.body == job.record.value
    assert Webhook(SECRET).verify(request.body.decode(), dict(request.headers)) == json.loads(request.body)
    assert request.webhook_id == job.id
    assert {name: request.headers[name] for name in ("content-type", "user-agent", "webhook-attempt")} == {
        "content-type": "application/json",
        "user-agent": f"Tocsin/{__version__}",
        "webhook-attempt": "1",
    }
    assert list(record) == AUDIT_FIELDS
    assert record["started_at_ms"] // 1000 == int(request.headers["webhook-timestamp"])
