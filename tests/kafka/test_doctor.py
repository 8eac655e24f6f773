"""`tocsin doctor` against brokers: what is wrong is one line with its remedy, and the exit code is 1."""

import json
from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from processor.cli.main import main
from tests.support.brokers import Broker, free_port, wanted_broker
from tests.support.guarded_broker import PASSWORD, GuardedBroker
from tests.support.java_broker import missing
from tests.support.logs import logging_as_before
from tests.support.reaper import REAPER
from tests.support.records import Record, produce, read_all
from tests.support.topics import create_topic, delete_topic

OWN_TOPICS = 12


class Doctor:
    """Runs commands with these settings."""

    def __init__(self, captured: pytest.CaptureFixture[str], environ: Mapping[str, str]) -> None:
        self.environ = {
            "TOCSIN_TOPICS__PARTITIONS": "2",
            "TOCSIN_TOPICS__REPLICATION_FACTOR": "1",
            **environ,
        }
        self._captured = captured
        self.out = ""
        self.err = ""

    def run(self, *command: str, expect: int = 0) -> str:
        with logging_as_before():
            code = main([*command, "--log-format", "json"], self.environ)
        self.out, self.err = self._captured.readouterr()
        assert code == expect, self.out + self.err
        return self.out

    def findings(self, *flags: str, expect: int = 0) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = json.loads(self.run("doctor", *flags, "-o", "json", expect=expect))
        assert all(set(one) == {"status", "check", "subject", "reason", "remedy"} for one in found)
        assert all(one["reason"] and one["remedy"] for one in found if one["status"] == "wrong")
        return found

    def wrong(self, *flags: str) -> list[dict[str, Any]]:
        return [one for one in self.findings(*flags, expect=1) if one["status"] == "wrong"]


@pytest.fixture
def doctor(broker: Broker, prefix: str, capsys: pytest.CaptureFixture[str]) -> Doctor:
    """With all topics as they must be, and an event topic of two partitions that is empty."""
    create_topic(broker.bootstrap, f"{prefix}event-log", 2)
    environ = {
        "TOCSIN_KAFKA__BOOTSTRAP_SERVERS": broker.bootstrap,
        "TOCSIN_TOPICS__PREFIX": prefix,
        "TOCSIN_MATCHER__EVENT_TOPICS": json.dumps([f"{prefix}event-log"]),
    }
    made = Doctor(capsys, environ)
    made.run("topics", "apply")
    return made


def log(broker: Broker, prefix: str, *values: bytes | Mapping[str, Any]) -> None:
    """Append events, one after the other to one partition each."""
    records = [
        Record(value if isinstance(value, bytes) else json.dumps(value).encode(), partition=number % 2)
        for number, value in enumerate(values)
    ]
    produce(broker.bootstrap, f"{prefix}event-log", records)


def test_where_all_is_right_it_says_so(doctor: Doctor, broker: Broker, prefix: str) -> None:
    event = {"severity": "error", "source": "ci", "message": "m", "detail": {"id": 7}, "tags": []}
    log(broker, prefix, *[event] * 5, {"severity": "info", "message": "m"})

    found = doctor.findings()

    right = {one["check"]: one for one in found if one["status"] == "ok"}
    assert set(right) == {"connection", "rights", "transactions", "topics", "events"}
    assert right["events"]["subject"] == f"{prefix}event-log"
    assert right["events"]["reason"] == (
        "newest 6: severity (severity) in 6, source (source) in 5, message (message) in 6;"
        " severities error 5, info 1; also detail.id, tags"
    )
    assert {one["status"] for one in found} <= {"ok", "warning"}
    table = doctor.run("doctor")
    assert table.splitlines()[0].split() == ["STATUS", "CHECK", "SUBJECT", "REASON", "REMEDY"]


def test_looking_changes_nothing(doctor: Doctor, broker: Broker, prefix: str) -> None:
    log(broker, prefix, {"severity": "error"})
    doctor.run("doctor")

    assert len(read_all(broker.bootstrap, f"{prefix}event-log")) == 1
    for topic in ("trigger-rules", "webhook-jobs", "webhook-deliveries"):
        assert read_all(broker.bootstrap, f"{prefix}{topic}") == []


def test_missing_topics_are_named_with_what_makes_them(doctor: Doctor, broker: Broker, prefix: str) -> None:
    delete_topic(broker.bootstrap, f"{prefix}webhook-jobs.dead")
    doctor.environ["TOCSIN_MATCHER__EVENT_TOPICS"] = json.dumps([f"{prefix}event-log", f"{prefix}nowhere"])

    assert [(one["check"], one["subject"], one["remedy"]) for one in doctor.wrong()] == [
        ("topics", f"{prefix}webhook-jobs.dead", "run `tocsin topics apply`"),
        (
            "topics",
            f"{prefix}nowhere",
            "create it, or name the topics your events are in (matcher.event_topics)",
        ),
    ]
    assert doctor.err.startswith("tocsin: wrong: 2 of ")
    assert doctor.err.count("\n") == 1


def test_fields_that_have_other_names_in_the_events_are_found(
    doctor: Doctor, broker: Broker, prefix: str
) -> None:
    log(broker, prefix, *[{"log": {"level": "warn"}, "service": {"name": "shop"}, "msg": "m"}] * 4)

    assert [(one["reason"], one["remedy"]) for one in doctor.wrong()] == [
        (
            f"none of the newest 4 readable events has a {name} at {name!r}",
            f"set matcher.event_fields.{name} to {path}, which 4 of them have",
        )
        for name, path in (("severity", "log.level"), ("source", "service.name"), ("message", "msg"))
    ]
    for name, path in (("SEVERITY", "log.level"), ("SOURCE", "service.name"), ("MESSAGE", "msg")):
        doctor.environ[f"TOCSIN_MATCHER__EVENT_FIELDS__{name}"] = path
    doctor.run("doctor")
    assert "severity (log.level) in 4" in doctor.out


def test_a_field_that_nobody_logs_is_a_warning_and_none_at_all_is_wrong(
    doctor: Doctor, broker: Broker, prefix: str
) -> None:
    log(broker, prefix, {"severity": "error", "message": "m", "colour": "red"})
    (warning,) = [one for one in doctor.findings() if one["check"] == "events" and one["status"] == "warning"]
    assert warning["reason"] == "none of the newest 1 readable events has a source at 'source'"
    assert "among severity, message, colour" in warning["remedy"]

    log(broker, prefix, *[{"colour": "red"}] * 8)
    assert len(doctor.wrong("--sample", "4")) == 3


def test_unreadable_events_are_counted_and_one_of_them_is_named(
    doctor: Doctor, broker: Broker, prefix: str
) -> None:
    good = {"severity": "error", "source": "s", "message": "m"}
    log(broker, prefix, good, b"not json", good, b"[1]", good, good)
    warnings = [one["reason"] for one in doctor.findings() if one["status"] == "warning"]
    said = [one for one in warnings if "unreadable" in one]
    assert [one.split(": ")[0] for one in said] == [
        f"1 of the newest 6 are unreadable (not_json), such as {prefix}event-log[1]@0",
        f"1 of the newest 6 are unreadable (not_object), such as {prefix}event-log[1]@1",
    ]

    log(broker, prefix, *[b"not json"] * 10)
    (wrong,) = [one for one in doctor.wrong() if "not_json" in one["reason"]]
    assert "11 of the newest 16 are unreadable" in wrong["reason"]
    assert f"goes to {prefix}events.dead" in wrong["remedy"]


def test_only_the_newest_events_are_looked_at(doctor: Doctor, broker: Broker, prefix: str) -> None:
    good = {"severity": "error", "source": "s", "message": "m"}
    log(broker, prefix, *[b"old"] * 20, *[good] * 10)

    found = doctor.findings("--sample", "10")

    assert [one["reason"].split(":")[0] for one in found if one["check"] == "events"] == ["newest 10"]


def test_no_broker_is_one_line_with_what_the_client_met(capsys: pytest.CaptureFixture[str]) -> None:
    port = free_port()
    doctor = Doctor(capsys, {"TOCSIN_KAFKA__BOOTSTRAP_SERVERS": f"127.0.0.1:{port}"})

    (found,) = doctor.wrong("--timeout", "1s")

    assert found["check"] == "connection"
    assert "Connection refused" in found["reason"]
    assert found["remedy"] == "set kafka.bootstrap_servers to brokers that run, or start them"
    doctor.environ["TOCSIN_KAFKA__BOOTSTRAP_SERVERS"] = "no-such-host.invalid:9092"
    assert doctor.wrong("--timeout", "2s")[0]["remedy"].startswith("correct the host's name")


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[GuardedBroker]:
    """A broker with ACLs, which only the Java one can be."""
    if wanted_broker() not in ("java", "auto") or missing() is not None:
        pytest.skip("needs Apache Kafka as a child process: it has to be set up with ACLs")
    directory = tmp_path_factory.mktemp("guarded-broker")
    REAPER.adopt("directory", directory)
    broker = GuardedBroker(directory)
    try:
        broker.start()
        yield broker
    finally:
        broker.close()
        REAPER.release("directory", directory)


@pytest.mark.real_kafka
def test_what_is_not_allowed_is_named_with_the_acl_that_allows_it(
    guarded: GuardedBroker, capsys: pytest.CaptureFixture[str]
) -> None:
    topics = {"TOCSIN_TOPICS__PREFIX": "shop.", "TOCSIN_MATCHER__EVENT_TOPICS": '["event-log"]'}
    create_topic(guarded.bootstrap, "event-log", 1)
    everything = {"TOCSIN_KAFKA__BOOTSTRAP_SERVERS": guarded.bootstrap, **topics}
    Doctor(capsys, everything).run("topics", "apply")
    doctor = Doctor(capsys, {**guarded.settings, **topics})

    wrong = doctor.wrong()
    rights = [one for one in wrong if one["check"] == "rights"]
    assert {one["check"] for one in wrong} == {"rights", "transactions"}
    assert len(rights) == OWN_TOPICS + 1 + 2
    assert {"topic event-log", "topic shop.trigger-rules", "group shop.matcher"} <= {
        one["subject"] for one in rights
    }

    guarded.allow("topic", "shop.", ["READ", "WRITE", "DESCRIBE_CONFIGS"])
    guarded.allow("topic", "event-log", ["READ", "DESCRIBE_CONFIGS"], prefixed=False)
    guarded.allow("group", "shop.", ["READ"])
    (wrong_id,) = doctor.wrong()
    assert (wrong_id["check"], wrong_id["subject"]) == ("transactions", "transactional id shop.doctor")
    assert wrong_id["reason"].startswith("not allowed: Write on transactional id shop.doctor")
    assert "allow WRITE and DESCRIBE on transactional ids with the prefix shop." in wrong_id["remedy"]

    guarded.allow("transactional_id", "shop.", ["WRITE", "DESCRIBE"])
    found = doctor.findings()
    assert {one["status"] for one in found} <= {"ok", "warning", "skipped"}
    assert PASSWORD not in doctor.out + doctor.err


@pytest.mark.real_kafka
def test_a_wrong_password_is_told_from_a_broker_that_is_away(
    guarded: GuardedBroker, capsys: pytest.CaptureFixture[str]
) -> None:
    doctor = Doctor(capsys, {**guarded.settings, "TOCSIN_KAFKA__SASL_PASSWORD": "not-" + PASSWORD})

    (found,) = doctor.wrong("--timeout", "3s")

    assert found["remedy"].startswith("correct kafka.sasl_username, kafka.sasl_password")
    assert PASSWORD not in doctor.out + doctor.err


@pytest.mark.real_kafka
def test_a_port_that_speaks_no_tls_is_told_from_a_broker_that_is_away(
    guarded: GuardedBroker, capsys: pytest.CaptureFixture[str]
) -> None:
    settings = {
        "TOCSIN_KAFKA__BOOTSTRAP_SERVERS": guarded.bootstrap,
        "TOCSIN_KAFKA__SECURITY_PROTOCOL": "ssl",
    }
    doctor = Doctor(capsys, settings)

    (found,) = doctor.wrong("--timeout", "3s")

    assert "kafka.security_protocol" in found["remedy"]


def test_a_silly_sample_is_wrong_usage(capsys: pytest.CaptureFixture[str]) -> None:
    Doctor(capsys, {}).run("doctor", "--sample", "0", expect=2)
