"""compose.yaml: its settings and commands are ones that there are, and its parts fit together."""

import io
import json
import re
import signal
import subprocess
import sys
import urllib.request
from pathlib import Path
from typing import Any

import pytest
import yaml

from processor.cli.main import parse
from processor.rules.files import read_rules
from processor.settings import load_settings

ROOT = Path(__file__).parents[2]
SERVICES: dict[str, dict[str, Any]] = yaml.safe_load((ROOT / "compose.yaml").read_text())["services"]
OWN = [name for name, service in SERVICES.items() if service["image"].startswith("tocsin")]


@pytest.mark.parametrize("name", OWN)
def test_settings_are_ones_that_there_are(name: str) -> None:
    settings = load_settings(None, SERVICES[name]["environment"])

    if SERVICES[name]["environment"]:
        assert settings.kafka.bootstrap_servers == "kafka:9092"
        assert settings.admin.has_tokens


@pytest.mark.parametrize("name", [name for name in OWN if "command" in SERVICES[name]])
def test_commands_are_ones_that_there_are(name: str) -> None:
    command = SERVICES[name]["command"]

    assert parse(command).command == command[0]


def test_services_wait_for_services_that_there_are() -> None:
    waited_for = {one for service in SERVICES.values() for one in service.get("depends_on", {})}

    assert waited_for <= SERVICES.keys()
    assert set(SERVICES["tocsin"]["depends_on"]) == {"rules", "receiver"}


def test_kafka_is_advertised_where_tocsin_looks_for_it() -> None:
    advertised = SERVICES["kafka"]["environment"]["KAFKA_ADVERTISED_LISTENERS"]

    assert "PLAINTEXT://kafka:9092" in advertised.split(",")


def test_rules_are_valid_and_call_the_receiver_that_is_allowed() -> None:
    (mount,) = SERVICES["rules"]["volumes"]
    directory = ROOT / mount.split(":")[0]
    read = read_rules([str(directory)], io.StringIO())
    allowed = load_settings(None, SERVICES["tocsin"]["environment"]).sender.egress.allow_hosts
    listens = SERVICES["receiver"]["entrypoint"][-1].rpartition(":")[2]

    assert not read.problems
    targets = [str(one.draft.action_target) for one in read.wanted.drafts]
    assert targets
    for target in targets:
        assert re.fullmatch(rf"http://receiver:{listens}/[a-z-]+", target)
    assert allowed == ("receiver",)


def test_receiver_prints_what_arrives() -> None:
    body = {
        "type": "event_trigger",
        "trigger_id": 1,
        "trigger_name": "failed-deploys",
        "event": {"severity": "error", "source": "ci", "message": "deploy of shop failed"},
        "timestamp": "2026-11-23T10:00:00Z",
    }
    command = [sys.executable, "-u", "-m", "processor.demo.listen", "127.0.0.1:0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as running:
        assert running.stdout is not None
        try:
            origin = running.stdout.readline().split()[-1]
            headers = {"webhook-id": "msg_1", "webhook-attempt": "1"}
            request = urllib.request.Request(f"{origin}/x", json.dumps(body).encode(), headers)
            with urllib.request.urlopen(request, timeout=10) as answer:
                assert answer.status == 204
            assert "deploy of shop failed" in running.stdout.readline()
        finally:
            running.send_signal(signal.SIGTERM)
        assert running.wait(10) == 0
