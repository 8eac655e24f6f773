"""`tocsin rules backtest` on an event log and `tocsin rules test` with the live table, on a broker."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient

from tests.support.brokers import Broker
from tests.support.commands import Commands
from tests.support.records import Record, produce
from tests.support.rules import fields, record
from tests.support.topics import create_topic

HOUR = 3_600_000
BEGIN = 1_795_428_000_000  # 2026-11-23T10:00:00Z


@pytest.fixture
def topic(broker: Broker, prefix: str) -> str:
    create_topic(broker.bootstrap, f"{prefix}events", 2, {"retention.ms": "-1"})
    return f"{prefix}events"


@pytest.fixture
def tocsin(
    broker: Broker, prefix: str, topic: str, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> Commands:
    settings = {
        "kafka": {"bootstrap_servers": broker.bootstrap},
        "topics": {"prefix": prefix},
        "matcher": {"event_topics": [topic]},
    }
    return Commands("rules", settings, capsys, tmp_path)


@pytest.fixture
def rules(tmp_path: Path) -> str:
    """A file with two rules: errors, and everything."""
    file = tmp_path / "rules.json"
    file.write_text(json.dumps(fields("errors", filter_severity="error")))
    both = tmp_path / "rules"
    both.mkdir()
    file.rename(both / "errors.json")
    (both / "all.json").write_text(json.dumps(fields("all")))
    return str(both)


@pytest.fixture
def open_transaction(broker: Broker, topic: str) -> Iterator[Producer]:
    """A producer that has written an error into partition 0, neither committed nor aborted."""
    producer = Producer(
        {"bootstrap.servers": broker.bootstrap, "transactional.id": f"{topic}-open", "log_level": 0}
    )
    producer.init_transactions(30)
    producer.begin_transaction()
    producer.produce(topic, value=event("error"), partition=0)
    producer.flush(30)
    yield producer
    producer.purge()


def event(severity: str, message: str = "m") -> bytes:
    return json.dumps({"severity": severity, "message": message}).encode()


def fill(broker: Broker, topic: str) -> None:
    """Ten events an hour apart in partition 0, every fifth an error; in partition 1 two errors and two that
    are none.
    """
    produce(
        broker.bootstrap,
        topic,
        [
            *(
                Record(
                    event("error" if n % 5 == 0 else "info", f"m{n}"),
                    partition=0,
                    timestamp_ms=BEGIN + n * HOUR,
                )
                for n in range(10)
            ),
            Record(event("error", "last"), partition=1, timestamp_ms=BEGIN + 9 * HOUR),
            Record(b"nope", partition=1, timestamp_ms=BEGIN + 9 * HOUR),
            Record(None, partition=1, timestamp_ms=BEGIN + 9 * HOUR),
            Record(event("error", "late"), partition=1, timestamp_ms=BEGIN),
        ],
    )


def fired(found: Any) -> dict[str, int]:
    return {rule["name"]: rule["fired"] for rule in found["rules"]}


def test_the_whole_log_is_tried(broker: Broker, topic: str, tocsin: Commands, rules: str) -> None:
    fill(broker, topic)

    found = tocsin.json("backtest", "--rule", rules, "--offsets", "0..")

    assert (found["events"], found["unreadable"]) == (14, {"not_json": 1, "null": 1})
    assert fired(found) == {"all": 12, "errors": 4}
    assert found["read"] == [f"{topic}[0] 0..10", f"{topic}[1] 0..4"]
    errors = next(rule for rule in found["rules"] if rule["name"] == "errors")
    assert errors["buckets"][0] == {"start": "2026-11-23T10:00:00Z", "width": 1800, "events": 2, "fired": 2}
    assert sum(bucket["fired"] for bucket in errors["buckets"]) == 4
    assert {sample["message"] for sample in errors["samples"]} == {"m0", "m5", "last", "late"}
    assert f"{topic}[1]@3" in {sample["place"] for sample in errors["samples"]}


def test_a_part_of_the_log_is_named_by_offsets_and_partition(
    broker: Broker, topic: str, tocsin: Commands, rules: str
) -> None:
    fill(broker, topic)

    def tried(*arguments: str) -> tuple[int, dict[str, int]]:
        found = tocsin.json("backtest", "--rule", rules, *arguments)
        return found["events"], fired(found)

    assert tried("--offsets", "1..6") == (8, {"all": 6, "errors": 2})
    assert tried("--offsets", "5..", "--partition", "0") == (5, {"all": 5, "errors": 1})
    assert tried("--offsets", "..1") == (2, {"all": 2, "errors": 2})
    assert tried("--offsets", "100..200") == (0, {"all": 0, "errors": 0})


def test_since_leaves_out_what_was_logged_before_also_behind_later_events(
    broker: Broker, topic: str, tocsin: Commands, rules: str
) -> None:
    fill(broker, topic)

    found = tocsin.json("backtest", "--rule", rules, "--since", "2026-11-23T15:00:00Z")

    assert (found["events"], fired(found)) == (8, {"all": 6, "errors": 2})


def test_for_people_it_says_how_often_when_and_on_what(
    broker: Broker, topic: str, tocsin: Commands, rules: str
) -> None:
    fill(broker, topic)

    out = tocsin.run("backtest", "--rule", rules, "--offsets", "0..", "--samples", "1").splitlines()

    assert out[0].startswith("14 events read in ")
    assert "errors: fires on 4 of 12 events (33 %)" in out
    assert any(line.split()[:3] == ["2026-11-23T10:00:00Z", "2", "2"] for line in out)
    assert "  1 of them" in out


def test_it_joins_no_group_and_commits_nothing(
    broker: Broker, topic: str, tocsin: Commands, rules: str
) -> None:
    fill(broker, topic)
    tocsin.run("backtest", "--rule", rules, "--offsets", "0..")

    groups = AdminClient({"bootstrap.servers": broker.bootstrap}).list_consumer_groups().result(30).valid

    assert not [group.group_id for group in groups if topic.removesuffix("events") in group.group_id]


def test_the_table_topic_and_other_topics_may_be_named(
    broker: Broker, prefix: str, tocsin: Commands, rules: str
) -> None:
    create_topic(broker.bootstrap, f"{prefix}other", 1)
    produce(broker.bootstrap, f"{prefix}other", [event("error")])

    found = tocsin.json("backtest", "--rule", rules, "--since", "1h", "--topic", f"{prefix}other")

    assert fired(found) == {"all": 1, "errors": 1}


def test_what_is_not_there_is_named(topic: str, tocsin: Commands, rules: str) -> None:
    tocsin.run("backtest", "--rule", rules, "--offsets", "0..", "--topic", "none", expect=1)
    assert "topic none is missing: name your event topic with --topic" in tocsin.err

    tocsin.run("backtest", "--rule", rules, "--offsets", "0..", "--partition", "7", expect=1)
    assert f"topic {topic} has no partition 7, it has 2" in tocsin.err


@pytest.mark.real_kafka
def test_open_transactions_are_neither_read_nor_waited_for(
    broker: Broker, topic: str, tocsin: Commands, rules: str, open_transaction: Producer
) -> None:
    produce(broker.bootstrap, topic, [Record(event("error", "behind it"), partition=0)])
    produce(broker.bootstrap, topic, [Record(event("error", "beside it"), partition=1)])

    found = tocsin.json("backtest", "--rule", rules, "--offsets", "0..")
    assert fired(found) == {"all": 1, "errors": 1}

    open_transaction.abort_transaction(30)
    found = tocsin.json("backtest", "--rule", rules, "--offsets", "0..")
    assert fired(found) == {"all": 2, "errors": 2}


def test_without_rules_an_event_is_tried_on_the_live_table(
    broker: Broker, prefix: str, tocsin: Commands, tmp_path: Path
) -> None:
    create_topic(broker.bootstrap, f"{prefix}trigger-rules", 1, {"cleanup.policy": "compact"})
    records = {
        b"7": record("errors", filter_severity="error"),
        b"3": record("off", enabled=False),
        b"9": record("bad", filter_pattern={"a": [{"prefx": "x"}]}),
    }
    produce(broker.bootstrap, f"{prefix}trigger-rules", [Record(v, k) for k, v in records.items()])
    file = tmp_path / "event.json"
    file.write_bytes(event("error"))
    cases = tmp_path / "cases.yaml"
    cases.write_text("cases: [{event: {severity: error}, fires: [errors]}, {event: {}, fires: ['off']}]")

    [tried] = tocsin.json("test", "--event", str(file))
    assert [(row["rule"], row["fires"], row["filter"]) for row in tried["rules"]] == [
        ("errors", True, None),
        ("off", False, "enabled"),
    ]
    assert [line["records"] for line in tocsin.warnings()] == [1]

    results = tocsin.json("test", "--cases", str(cases), expect=1)
    assert [result["passed"] for result in results] == [True, False]
