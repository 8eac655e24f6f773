"""`topics apply` and `topics check` on a broker, and roles that refuse to work on wrong topics."""

import json
import logging
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from confluent_kafka.admin import AlterConfigOpType, ConfigEntry, ConfigResource, ResourceType

from processor.kafka import topic_admin
from processor.kafka.cluster import Cluster
from processor.kafka.survey import survey
from processor.kafka.topic_admin import Role, Row, require_topics
from processor.lifecycle import Refused
from processor.settings import Settings
from tests.support.brokers import Broker, free_port
from tests.support.processes import run_tocsin
from tests.support.settings import settings_for
from tests.support.topics import create_topic, grow_topic, topic_names
from tests.support.waiting import wait_until


class Installation:
    """One prefix's settings, with the event topic made and the topic commands at hand."""

    def __init__(self, broker: Broker, prefix: str, **topics: object) -> None:
        self.prefix = prefix
        self.bootstrap = broker.bootstrap
        self.given = settings_for(
            broker.bootstrap,
            prefix,
            topics={"partitions": 2, **topics},
            sender={"retry_schedule": ["1m"]},
        )
        self.settings = Settings.model_validate(self.given)
        self.cluster = Cluster(self.settings.kafka, "tests-topics")

    def apply(self) -> dict[str, Row]:
        return self._by_name(topic_admin.apply(self.settings, self.cluster, 20))

    def check(self) -> dict[str, Row]:
        return self._by_name(topic_admin.check(self.settings, self.cluster))

    def config(self, name: str) -> dict[str, str]:
        return self.cluster.configs([self.prefix + name])[self.prefix + name]

    def partitions(self, name: str) -> int:
        info = self.cluster.topic(self.prefix + name)
        return info.partitions if info else 0

    def make(self, name: str, config: Mapping[str, str] | None = None, partitions: int = 1) -> None:
        create_topic(self.bootstrap, self.prefix + name, partitions, config)

    def alter(self, topic: str, name: str, value: str) -> None:
        """Set one of a topic's settings, by its full name, and see it in force."""
        entry = ConfigEntry(name, value, incremental_operation=AlterConfigOpType.SET)
        resource = ConfigResource(ResourceType.TOPIC, topic, incremental_configs=[entry])
        for future in self.cluster.admin.incremental_alter_configs([resource]).values():
            future.result(20)
        wait_until(lambda: self.cluster.configs([topic])[topic].get(name) == value, 20)

    def _by_name(self, rows: list[Row]) -> dict[str, Row]:
        assert len({row.name for row in rows}) == len(rows)
        return {row.name.removeprefix(self.prefix): row for row in rows}


LARGE = {"max.message.bytes": "1114124"}
OWN = {
    "trigger-rules",
    "webhook-jobs.retry.5s",
    "webhook-jobs.retry.1m",
    "webhook-jobs",
    "webhook-jobs.dead",
    "webhook-deliveries",
    "events.dead",
    "log-scan-rules",
    "scanner-status",
}


@pytest.fixture
def installation(broker: Broker, prefix: str) -> Installation:
    made = Installation(broker, prefix)
    made.make("event-log")
    return made


def test_apply_makes_every_topic_and_a_second_one_changes_nothing(installation: Installation) -> None:
    first = installation.apply()

    assert {name: row.action for name, row in first.items()} == dict.fromkeys(OWN, "created")
    assert {row.name for row in first.values()} == set(installation.settings.output_topics)
    assert all(row.id for row in first.values())
    assert installation.config("trigger-rules")["cleanup.policy"] == "compact"
    assert installation.config("webhook-jobs.retry.1m")["message.timestamp.type"] == "LogAppendTime"
    assert int(installation.config("webhook-jobs")["max.message.bytes"]) == 1_048_588 + 65_536
    assert [installation.partitions(name) for name in ("trigger-rules", "webhook-jobs", "events.dead")] == [
        1,
        2,
        1,
    ]

    second = installation.apply()

    assert {name: (row.action, row.reason) for name, row in second.items()} == dict.fromkeys(
        OWN, ("unchanged", "")
    )
    assert {row.id for row in second.values()} == {row.id for row in first.values()}
    assert installation.check() == second


def test_a_missing_event_topic_is_reported_and_never_made(broker: Broker, prefix: str) -> None:
    installation = Installation(broker, prefix)

    rows = installation.apply()

    assert rows["event-log"].action == "invalid"
    assert "yours to create" in rows["event-log"].reason
    assert {name for name, row in rows.items() if row.action == "created"} == OWN
    assert f"{prefix}event-log" not in topic_names(broker.bootstrap)


def test_apply_repairs_what_guarantees_rest_on_and_reports_the_rest(installation: Installation) -> None:
    installation.make("trigger-rules", {"cleanup.policy": "delete", "delete.retention.ms": "604800000"})
    installation.make("webhook-jobs", {"cleanup.policy": "delete", "max.message.bytes": "2000"}, 2)
    installation.make("webhook-jobs.retry.5s", {"message.timestamp.type": "CreateTime"}, 2)

    checked = installation.check()
    rows = installation.apply()

    assert {name for name, row in checked.items() if row.action == "invalid"} == OWN
    assert "cleanup.policy delete -> compact" in rows["trigger-rules"].reason
    assert installation.config("trigger-rules")["cleanup.policy"] == "compact"
    assert installation.config("webhook-jobs.retry.5s")["message.timestamp.type"] == "LogAppendTime"
    assert int(installation.config("webhook-jobs")["max.message.bytes"]) == 1_048_588 + 65_536
    # Kafka's default retention is a week: reported, because it may be somebody's decision, and left alone.
    assert rows["webhook-jobs"].action == "invalid"
    assert "retention.ms is 604800000 (7d), should be 2592000000 (30d) or more" in rows["webhook-jobs"].reason
    assert installation.config("webhook-jobs")["retention.ms"] == "604800000"
    assert installation.config("trigger-rules")["max.compaction.lag.ms"] != "604800000"


def test_more_partitions_are_added_where_the_settings_ask_for_them(
    broker: Broker, prefix: str, installation: Installation
) -> None:
    installation.apply()
    larger = Installation(broker, prefix, partitions=3)

    rows = larger.apply()

    assert {name for name, row in rows.items() if row.action == "updated"} == {
        n for n in OWN if "webhook" in n
    }
    assert rows["webhook-jobs"].reason == "partitions 2 -> 3"
    assert {larger.partitions(name) for name in OWN if "webhook" in name} == {3}
    assert larger.partitions("trigger-rules") == 1


def test_partitions_are_never_taken_away(installation: Installation) -> None:
    installation.apply()
    grow_topic(installation.bootstrap, f"{installation.prefix}webhook-jobs", 5)

    rows = installation.apply()

    assert rows["webhook-jobs"].action == "unchanged"
    assert rows["webhook-jobs.retry.1m"].reason == "partitions 2 -> 5"
    assert installation.partitions("webhook-jobs.retry.5s") == 5


def test_two_applies_at_the_same_time_agree(broker: Broker, prefix: str) -> None:
    installations = [Installation(broker, prefix) for _ in range(3)]
    installations[0].make("event-log")

    with ThreadPoolExecutor(3) as pool:
        results = list(pool.map(Installation.apply, installations))

    for name in OWN:
        assert sorted(rows[name].action for rows in results)[:1] == ["created"]
        assert {rows[name].action for rows in results} <= {"created", "unchanged"}
        assert len({rows[name].id for rows in results}) == 1


@pytest.mark.real_kafka
def test_what_the_broker_refuses_is_told_with_its_reason(broker: Broker, prefix: str) -> None:
    installation = Installation(broker, prefix, replication_factor=30)

    rows = installation.apply()

    assert {row.action for row in rows.values()} == {"invalid"}
    assert "replication factor" in rows["webhook-jobs"].reason.lower()


def test_roles_start_on_right_topics(installation: Installation, caplog: pytest.LogCaptureFixture) -> None:
    installation.apply()

    with caplog.at_level(logging.WARNING):
        require_topics(installation.settings, "matcher")
        require_topics(installation.settings, "sender", installation.cluster)

    assert caplog.text == ""


def test_a_missing_topic_is_refused_with_the_command_that_mends_it(installation: Installation) -> None:
    roles: tuple[Role, ...] = ("matcher", "sender")
    for role in roles:
        with pytest.raises(Refused, match=r"trigger-rules is missing: run `tocsin topics apply`"):
            require_topics(installation.settings, role)


def test_a_missing_event_topic_stops_only_the_matcher(broker: Broker, prefix: str) -> None:
    installation = Installation(broker, prefix)
    installation.apply()

    with pytest.raises(Refused, match="event-log does not exist"):
        require_topics(installation.settings, "matcher")
    require_topics(installation.settings, "sender")


@pytest.mark.parametrize(
    ("name", "config", "said"),
    [
        ("trigger-rules", {"cleanup.policy": "delete"}, "cleanup.policy is delete, should be compact: run"),
        ("webhook-jobs", {"max.message.bytes": "2000"}, "max.message.bytes is 2000, should be 1114124: run"),
    ],
)
def test_a_wrong_topic_is_refused_with_what_is_wrong(
    installation: Installation, name: str, config: dict[str, str], said: str
) -> None:
    installation.make(name, config)
    for other in OWN - {name}:
        installation.make(other, {"cleanup.policy": "compact"} if other == "trigger-rules" else LARGE)

    with pytest.raises(Refused) as refused:
        require_topics(installation.settings, "matcher")

    assert f"topic {installation.prefix}{name}: {said} `tocsin topics apply`" in str(refused.value)


def test_a_rule_table_with_several_partitions_is_refused(installation: Installation) -> None:
    installation.make("trigger-rules", {"cleanup.policy": "compact"}, 2)
    installation.apply()

    with pytest.raises(Refused, match=r"partitions is 2, should be 1: delete it"):
        require_topics(installation.settings, "sender")


def test_fewer_partitions_than_asked_for_are_only_said(
    broker: Broker, prefix: str, installation: Installation, caplog: pytest.LogCaptureFixture
) -> None:
    installation.apply()
    more = Installation(broker, prefix, partitions=9)

    with caplog.at_level(logging.WARNING):
        require_topics(more.settings, "sender")

    assert "partitions is 2, should be 9" in caplog.text


def test_a_job_partition_without_its_retries_stops_the_sender(installation: Installation) -> None:
    installation.apply()
    grow_topic(installation.bootstrap, f"{installation.prefix}webhook-jobs", 3)

    require_topics(installation.settings, "matcher")
    with pytest.raises(Refused, match=r"webhook-jobs.retry.5s: partitions is 2, should be 3"):
        require_topics(installation.settings, "sender")


@pytest.mark.real_kafka
def test_brokers_that_forget_offsets_soon_are_warned_of(broker: Broker, prefix: str) -> None:
    class Forgetful(Cluster):
        def broker_config(self, *, timeout: float = 10.0) -> dict[str, str]:
            told = super().broker_config(timeout=timeout)
            assert told["offsets.retention.minutes"] == "10080"
            return {**told, "offsets.retention.minutes": "1440"}

    installation = Installation(broker, prefix)

    def said(cluster: Cluster) -> list[str]:
        return [one.reason for one in survey(installation.settings, cluster) if "offsets" in one.reason]

    assert said(installation.cluster) == []
    (warning,) = said(Forgetful(installation.settings.kafka, "tests-forgetful"))
    assert "offsets.retention.minutes is 1440" in warning
    assert "1d" in warning


@pytest.mark.real_kafka
def test_check_says_what_would_not_outlive_a_broker_and_fails_for_what_is_wrong(
    installation: Installation, tmp_path: Path
) -> None:
    def checked(expect: int) -> dict[str, dict[str, str]]:
        given = installation.given
        code, out, err = run_tocsin("topics", "check", "-o", "json", directory=tmp_path, settings=given)
        assert code == expect, out + err
        rows = json.loads(out)
        keys = {"action", "name", "id", "reason", "severity", "remedy"}
        assert all(set(row) == keys for row in rows)
        return {row["name"]: row for row in rows if row["severity"] != "ok"}

    installation.apply()
    found = checked(0)
    assert {(row["severity"], row["action"]) for row in found.values()} == {("warning", "unchanged")}
    assert found["brokers"]["reason"].startswith("there is 1 broker: good for trying things out")

    rules, jobs = installation.settings.topics.rules, installation.settings.topics.jobs
    installation.alter(rules, "min.insync.replicas", "2")
    installation.alter(jobs, "retention.ms", "3600000")
    found = checked(1)
    assert found[rules]["severity"] == "wrong"
    assert found[rules]["reason"] == "min.insync.replicas is 2 with 1 replicas: no write is ever acknowledged"
    assert found[rules]["remedy"].endswith("--add-config min.insync.replicas=1")
    assert found[jobs]["severity"] == "wrong"
    assert "retention.ms is 3600000 (1h), should be 2592000000 (30d) or more" in found[jobs]["reason"]
    assert found[jobs]["remedy"].startswith("change it, which `topics apply` never does")


def test_the_commands_print_rows_and_tell_by_their_exit_code(
    installation: Installation, tmp_path: Path
) -> None:
    def tocsin(*arguments: str) -> tuple[int, str, str]:
        return run_tocsin(*arguments, directory=tmp_path, settings=installation.given)

    code, out, _ = tocsin("topics", "check", "-o", "json")
    assert code == 1
    assert {row["reason"] for row in json.loads(out) if row["severity"] == "wrong"} == {"missing"}

    code, out, _ = tocsin("topics", "apply", "-o", "json")
    assert code == 0
    rows = json.loads(out)
    assert [set(row) for row in rows] == [{"action", "name", "id", "reason"}] * len(OWN)
    assert {row["action"] for row in rows} == {"created"}

    code, out, err = tocsin("topics", "check")
    assert (code, err) == (0, "")
    assert out.splitlines()[0].split() == ["SEVERITY", "NAME", "ID", "REASON", "REMEDY"]
    assert [line.split()[0] for line in out.splitlines()[1:]].count("ok") == len(OWN)


def test_an_absent_broker_is_exit_code_1_and_one_line(tmp_path: Path) -> None:
    bootstrap = f"127.0.0.1:{free_port()}"
    given = settings_for(bootstrap, "nowhere.")

    code, out, err = run_tocsin("topics", "check", "--timeout", "300ms", directory=tmp_path, settings=given)

    assert (code, out) == (1, "")
    assert err.strip().splitlines()[-1] == f"tocsin: no broker answers at {bootstrap}"
