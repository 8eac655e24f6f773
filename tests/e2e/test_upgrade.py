"""This version goes on where an earlier one was killed: on its records, and on its groups' offsets."""

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from processor.kafka.cluster import Cluster
from tests.support.brokers import Broker
from tests.support.earlier_records import FILES, Earlier
from tests.support.installation import Installation
from tests.support.processes import Spawn, run_tocsin
from tests.support.receiver import Receiver, Request
from tests.support.records import Record, produce
from tests.support.rules import KEY
from tests.support.topics import create_topic
from tests.support.waiting import wait_until
from tests.support.written_records import TARGETS


@pytest.mark.real_kafka
@pytest.mark.parametrize("file", FILES, ids=[file.stem for file in FILES])
def test_it_goes_on_where_an_earlier_version_was_killed(
    file: Path, broker: Broker, prefix: str, spawn: Spawn, receiver: Receiver, tmp_path: Path
) -> None:
    earlier = Earlier(file)
    environ = {name: receiver.url(path) for name, path in TARGETS.items()}
    create_topic(broker.bootstrap, f"{prefix}event-log", 1)
    with Installation(
        broker.bootstrap, prefix, secrets={"keys": [KEY]}, sender={"retry_schedule": ["5s"] * 50}
    ) as here:
        earlier.put(broker.bootstrap, prefix, Cluster(here.model.kafka, "tests"))
        processes = [
            spawn("run", role, settings=here.settings(), env=environ) for role in ("matcher", "sender")
        ]
        for process in processes:
            process.wait_ready()

        jobs = {
            record.header("tocsin-job-id"): record
            for record in (*earlier.records("webhook-jobs"), *earlier.records("webhook-jobs.retry.5s"))
        }
        waiting = {
            json.loads(record.value or b"")["trigger_name"]: record.header("tocsin-job-id")
            for record in jobs.values()
        }

        def came(name: str) -> list[Request]:
            return [one for one in receiver.requests() if one.json()["trigger_name"] == name]

        # In flight when the earlier one was killed; waiting for its second attempt; never seen by a sender,
        # and an event that no matcher had seen.
        wait_until(
            lambda: [len(came(name)) for name in ("hanging", "failing", "later")] == [1, 1, 2],
            40,
            lambda: f"{Counter(one.json()['trigger_name'] for one in receiver.requests())}",
        )
        assert came("hanging")[0].webhook_id == waiting["hanging"]
        assert came("failing")[0].webhook_id == waiting["failing"]
        assert came("hanging")[0].headers["webhook-attempt"] == "1"
        assert came("failing")[0].headers["webhook-attempt"] == "2"
        assert waiting["later"] in {one.webhook_id for one in came("later")}
        assert not came("good"), "finished, though the commit lies below it"
        assert not came("paused")

        def tocsin(*arguments: str) -> Any:
            code, out, err = run_tocsin(
                *arguments, "-o", "json", settings=here.settings(), directory=tmp_path, env=environ
            )
            assert code == 0, out + err
            return json.loads(out)

        # What was dead comes back, what was paused is sent, and the table goes on with the next id.
        tocsin("deliveries", "redeliver", "--rule", "dying")
        assert {one["status"] for one in tocsin("rules", "list")} == {"valid"}
        run_tocsin("rules", "resume", "paused", settings=here.settings(), directory=tmp_path, env=environ)
        wait_until(lambda: len(came("dying")) == 1 and len(came("paused")) == 1, 40, "both are sent")
        assert came("dying")[0].headers["webhook-attempt"] == "3"
        produce(broker.bootstrap, f"{prefix}event-log", [Record(_GOOD)])
        wait_until(lambda: came("good"), 30, "a new event")
        assert max(Counter(one.webhook_id for one in receiver.requests()).values()) == 1

        def delivered() -> list[str]:
            records = [one for one in here.audit() if one["outcome"] == "delivered"]
            return sorted(one["rule_name"] for one in records)

        wanted = sorted(["good"] * 3 + ["later"] * 2 + ["hanging", "failing", "dying", "paused"])
        wait_until(lambda: delivered() == wanted, 30, lambda: f"one trail, {wanted}: {delivered()}")


_GOOD = b'{"severity":"error","source":"good","message":"it failed","detail":{"n":1}}'
