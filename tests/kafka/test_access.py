"""Every component under exactly the rights that docs/operations.md lists for it, on a Kafka with ACLs; and
with one of them missing, which it then names.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from processor.kafka.access import Need
from processor.kafka.cluster import Cluster
from processor.kafka.errors import NotAllowed
from processor.kafka.rights import claim
from processor.kafka.rights import missing as missing_rights
from processor.settings import Settings
from tests.support.admin import Api, admin_settings
from tests.support.brokers import wanted_broker
from tests.support.documented_access import documented
from tests.support.guarded_broker import PASSWORD, GuardedBroker
from tests.support.java_broker import missing
from tests.support.processes import Process, Spawn, run_tocsin
from tests.support.reaper import REAPER
from tests.support.receiver import Answer, Receiver
from tests.support.records import Record, produce
from tests.support.rules import fields
from tests.support.scanner import CriLog
from tests.support.settings import settings_for, with_changes
from tests.support.topics import create_topic
from tests.support.waiting import wait_until

pytestmark = pytest.mark.real_kafka

ROLES = ("matcher", "sender", "admin", "scanner")
RIGHTS = documented()


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[GuardedBroker]:
    if wanted_broker() not in ("java", "auto") or missing() is not None:
        pytest.skip("needs Apache Kafka as a child process: it has to be set up with ACLs")
    directory = tmp_path_factory.mktemp("guarded-broker")
    REAPER.adopt("directory", directory)
    broker = GuardedBroker(directory)
    try:
        broker.start()
        create_topic(broker.bootstrap, "event-log", 1)
        yield broker
    finally:
        broker.close()
        REAPER.release("directory", directory)


def settings(guarded: GuardedBroker, user: str) -> dict[str, Any]:
    """Those of one component under its own user, with the prefix that the documentation has."""
    made = settings_for(
        guarded.bootstrap,
        "tocsin.",
        matcher={"event_topics": ["event-log"]},
        sender={"retry_schedule": ["1s"]},
        admin=admin_settings(),
        scanner={"sources": ["cri"]},
    )
    made["kafka"] = {**made.get("kafka", {}), **guarded.kafka(user)}
    return made


class Commands:
    """`tocsin …`, each under the user that its rows are for."""

    def __init__(self, guarded: GuardedBroker, directory: Path) -> None:
        self._guarded = guarded
        self._directory = directory

    def run(self, *arguments: str, expect: int = 0, **groups: Any) -> tuple[str, str]:
        made = {**settings(self._guarded, arguments[0]), **groups}
        code, out, err = run_tocsin(*arguments, settings=made, directory=self._directory)
        assert code == expect, f"{arguments}: {out}\n{err}"
        assert PASSWORD not in out + err
        return out, err


@pytest.fixture(scope="module")
def topics(guarded: GuardedBroker, tmp_path_factory: pytest.TempPathFactory) -> Commands:
    """With all topics, made by `topics apply` under its own rights."""
    commands = Commands(guarded, tmp_path_factory.mktemp("commands"))
    _, err = commands.run("topics", "check", "--timeout", "5s", expect=1)
    assert "not allowed: " in err, "it says so where it has no right at all"
    guarded.grant("topics", RIGHTS["topics"])
    wait_until(lambda: not lacking(guarded, "topics", RIGHTS["topics"][1:]), 20, "the rights are there")
    commands.run("topics", "apply")
    commands.run("topics", "check")
    return commands


def lacking(guarded: GuardedBroker, user: str, wanted: list[Need]) -> str:
    """What a component would say is missing of these rights."""
    model = Settings.model_validate(settings(guarded, user))
    return "; ".join(missing_rights(Cluster(model.kafka, "tests"), wanted, model.output_topics, 10.0))


def test_every_role_waits_for_its_rights_and_works_with_them(
    guarded: GuardedBroker, topics: Commands, spawn: Spawn, receiver: Receiver, tmp_path: Path
) -> None:
    log = CriLog(tmp_path / "pods", "ns_pod_1")
    scans = {"scanner": {"cri_path": str(tmp_path / "pods"), "state_directory": str(tmp_path / "state")}}
    processes: dict[str, Process] = {
        role: spawn("run", role, settings=with_changes(settings(guarded, role), scans), name=role)
        for role in ROLES
    }
    for role, process in processes.items():
        process.wait_log("rights on Kafka")
        said = next(line for line in process.log().splitlines() if "rights on Kafka" in line)
        for need in RIGHTS[role]:
            if need.kind != "transactional-id":
                flags = " ".join(f"--operation {one}" for one in need.operations)
                assert f"{flags} --{need.kind} {need.name}" in said
    status, body = processes["matcher"].get("/readyz")
    assert status == 503
    assert "not allowed: Read, DescribeConfigs on topic event-log; allow it" in body

    for who in (*ROLES, "rules", "scan-rules", "deliveries"):
        guarded.grant(who, RIGHTS[who])
    for process in processes.values():
        process.wait_ready()
    processes["admin"].wait_log("all rights on Kafka are there")

    # The whole way: a rule by a command and one over the API, an event, a webhook, a death put back.
    file = tmp_path / "rule.yaml"
    file.write_text(json.dumps(fields("by-command", action_target=receiver.url("/a"), filter_source=["a"])))
    topics.run("rules", "apply", "-f", str(file))
    api = Api(processes["admin"].settings["admin"]["listen"])
    made = api.post("/trigger-rules", fields("by-api", action_target=receiver.url("/b"), filter_source=["b"]))
    assert made.status == 201, made.body
    receiver.answer("/b", *[Answer(410)])
    events = [json.dumps({"source": one}).encode() for one in ("a", "b")]
    produce(guarded.bootstrap, "event-log", [Record(event) for event in [*events, b"unreadable"]])
    receiver.wait_for(2)

    def outcomes() -> list[str]:
        answer = api.get("/deliveries")
        return sorted(item["outcome"] for item in answer.json["items"]) if answer.status == 200 else []

    wait_until(lambda: outcomes() == ["dead", "delivered"], 20, lambda: f"both: {api.get('/deliveries')}")
    dead = api.get("/deliveries?outcome=dead").json["items"][0]["job_id"]
    assert api.get(f"/deliveries/{dead}").json["state"] == "dead"
    back = api.post(f"/deliveries/{dead}/redeliver", {})
    assert back.json.get("action") == "redelivered", back.body
    receiver.wait_for(3)
    status_ = api.get("/status")
    assert [group["members"] for group in status_.json["groups"]] == [1, 1], status_.body
    out, _ = topics.run("deliveries", "get", dead, "-o", "json")
    assert json.loads(out)["job_id"] == dead
    topics.run("deliveries", "list")
    topics.run("deliveries", "release", "--rule", "by-api")
    topics.run("deliveries", "redeliver", "--since", "1h")
    topics.run("rules", "list")
    # A line of a log becomes an event, and the scanner's report is there.
    file.write_text(json.dumps({"name": "boom", "pattern": "boom"}))
    topics.run("scan-rules", "apply", "-f", str(file))
    assert api.post("/log-scan-rules", {"name": "other", "pattern": "other"}).status == 201
    scanner = processes["scanner"]

    def is_hit() -> bool:
        log.write("boom")
        return scanner.metric("tocsin_scanner_hits_total") > 0

    wait_until(is_hit, 20, "a line is a hit")
    wait_until(lambda: scanner.status()["scanner"]["events_waiting"] == 0, 20, "it is written")
    assert [one["name"] for one in api.get("/log-scan-rules").json["items"]] == ["boom", "other"]
    assert api.get("/log-scan-rules/stats").status == 200
    topics.run("scan-rules", "list")
    topics.run("scan-rules", "stats")
    for process in processes.values():
        assert "uthorization failed" not in process.log(), process.log()


@pytest.mark.parametrize(
    ("who", "need"),
    [
        pytest.param(who, need, id=f"{who}-{need.kind}-{need.name}")
        for who, rights in RIGHTS.items()
        for need in rights
    ],
)
@pytest.mark.usefixtures("topics")
def test_a_right_that_is_missing_is_named(guarded: GuardedBroker, who: str, need: Need) -> None:
    guarded.grant(who, RIGHTS[who])
    wait_until(lambda: not lacking(guarded, who, RIGHTS[who]), 20, "all rights are there")
    for operation in need.operations:
        one = need._replace(operations=(operation,))
        guarded.revoke(who, one)

        def said(one: Need = one) -> str:
            if one.kind == "transactional-id":
                return refused_claim(guarded, who, one)
            return lacking(guarded, who, RIGHTS[who])

        text = wait_until(said, 20, f"{who} misses {one}")
        assert text.startswith("not allowed: ")
        assert f"--operation {operation}" in text
        assert f"--{need.kind} {need.name}" in text
        assert text.count("not allowed") == 1, "and nothing else"
        guarded.grant(who, [one])


def refused_claim(guarded: GuardedBroker, user: str, need: Need) -> str:
    """What a component would say when it may not claim its transactional id; empty when it may."""
    model = Settings.model_validate(settings(guarded, user))
    try:
        claim(model.kafka, f"{need.name}{'x' if need.prefixed else ''}", 10.0)
    except NotAllowed as failure:
        return str(failure)
    return ""


def test_a_command_and_a_role_that_miss_a_right_say_so(
    guarded: GuardedBroker, topics: Commands, spawn: Spawn, tmp_path: Path
) -> None:
    """Rights of which brokers don't tell beforehand, or that nobody asks for before they are used."""
    file = tmp_path / "rule.yaml"
    file.write_text(json.dumps(fields("r", action_target="http://127.0.0.1:9/x")))
    for who in ("rules", "matcher"):
        guarded.grant(who, RIGHTS[who])
    for need, operation in (
        (RIGHTS["rules"][1], "Write"),
        (RIGHTS["rules"][0], "Write"),
        (RIGHTS["rules"][0], "Read"),
    ):
        one = need._replace(operations=(operation,))
        guarded.revoke("rules", one)
        _, err = topics.run("rules", "apply", "-f", str(file), "--timeout", "4s", expect=1)
        assert f"not allowed: {operation} on " in err
        assert f"{need.kind.replace('-', ' ')} {need.name}" in err
        assert [line for line in err.splitlines() if line.startswith("tocsin:")], err
        guarded.grant("rules", [one])
    guarded.revoke("matcher", RIGHTS["matcher"][-1])
    process = spawn("run", "matcher", settings=settings(guarded, "matcher"), name="no-id")
    assert process.wait(40) == 1
    assert "not allowed: Write on transactional id tocsin.matcher." in process.log()
    guarded.grant("matcher", [RIGHTS["matcher"][-1]])
