"""`tocsin probe`: an event goes the whole way and comes back, or it is said where it stayed."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.brokers import Broker, free_port
from tests.support.commands import Commands
from tests.support.installation import Installation
from tests.support.processes import Spawn
from tests.support.topics import create_topic
from tests.support.waiting import wait_until


@pytest.fixture
def here(broker: Broker, prefix: str) -> Iterator[Installation]:
    topic = f"{prefix}events"
    create_topic(broker.bootstrap, topic, 2)
    matcher = {"event_topics": [topic], "start_from": "earliest"}
    sender = {"egress": {"allow_cidrs": ["127.0.0.0/8"]}}
    with Installation(broker.bootstrap, prefix, matcher=matcher, sender=sender) as installation:
        yield installation


@pytest.fixture
def probe(here: Installation, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Commands:
    return Commands("probe", here.settings(), capsys, tmp_path)


@pytest.fixture
def rules(here: Installation, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Commands:
    return Commands("rules", here.settings(), capsys, tmp_path)


def test_event_comes_back_as_a_webhook(
    here: Installation, probe: Commands, rules: Commands, spawn: Spawn
) -> None:
    spawn("run", "all", settings=here.settings()).wait_ready()

    found = probe.json()

    assert found["event"]["topic"] == here.model.matcher.event_topics[0]
    assert found["webhook"]["attempt"] == 1
    assert found["webhook"]["arrived_ms"] > 0
    assert rules.json("list") == []
    shown = probe.run()
    assert "ms from the event's sending to its webhook" in shown
    # An address that the sender may not call: it is said at once, with what allows it.
    probe.run("--listen", f"127.0.0.1:{free_port()}", "--url", "http://10.9.8.7:8099", expect=1)
    assert "the sender may not call http://10.9.8.7:8099" in probe.err
    assert "sender.egress.allow_cidrs" in probe.err
    assert rules.json("list") == []


def test_without_a_matcher_it_says_so_and_leaves_nothing(probe: Commands, rules: Commands) -> None:
    probe.run("--within", "1s", expect=1)

    assert "no matcher is running" in probe.err
    assert rules.json("list") == []


def test_ended_probe_cleans_up(here: Installation, rules: Commands, spawn: Spawn) -> None:
    running = spawn("probe", "--within", "5m", settings=here.settings())
    wait_until(lambda: rules.json("list"), 30, "its rule is there")

    assert running.stop() == 1

    assert rules.json("list") == []


def test_rule_that_a_killed_probe_left_is_deleted_by_a_later_one(
    here: Installation, probe: Commands, rules: Commands
) -> None:
    left: dict[str, Any] = {"set": "tocsin-probe", "uid": "u", "updated_at": "2026-01-02T03:04:05Z"}
    here.put_rule(1, "http://127.0.0.1:1/x", **left)

    probe.run("--within", "1s", expect=1)

    assert json.loads(rules.run("list", "-o", "json")) == []


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--listen", "0.0.0.0:8099"], "give --url the one that senders call"),
        (["--listen", "nowhere"], "--listen: must be host:port"),
        (["--url", "https://probe.example.com"], "--url takes http"),
        (["--topic", "other"], "is not in matcher.event_topics"),
    ],
)
def test_what_can_not_work_is_refused(probe: Commands, arguments: list[str], said: str) -> None:
    probe.run(*arguments, expect=2)

    assert said in probe.err
