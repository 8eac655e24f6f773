"""`tocsin demo` as people run it: on its embedded broker, with real roles, to the end."""

import gzip
import json
import os
import re
import signal
import socket
import subprocess
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.support import embedded_broker
from tests.support.processes import Process, Spawn
from tests.support.waiting import wait_until

pytestmark = pytest.mark.skipif(embedded_broker.missing() is not None, reason=str(embedded_broker.missing()))

CONFIG = Path(__file__).resolve().parents[2] / "config"
LONGEST = 60.0


def processes_that_name(path: Path) -> list[str]:
    """The command lines that mention a path: every process of a demo does, of its temporary directory."""
    found = []
    for entry in Path("/proc").glob("[0-9]*/cmdline"):
        with suppress(OSError):
            line = entry.read_bytes().replace(b"\0", b" ").decode(errors="replace")
            if str(path) in line:
                found.append(line)
    return found


@pytest.fixture
def temporary(tmp_path: Path) -> Iterator[Path]:
    """Where the demo's temporary directory is made; empty and nobody's when the test ends."""
    directory = tmp_path / "temporary"
    directory.mkdir()
    yield directory
    assert processes_that_name(directory) == []
    assert list(directory.iterdir()) == []


def numbers(output: str) -> dict[str, int]:
    """The summary's counts."""
    found = re.findall(r"^(events|matches|delivered|repeats|dead|cancelled) +([\d,]+)$", output, re.MULTILINE)
    return {name: int(number.replace(",", "")) for name, number in found}


def as_list(accepted: Any) -> list[str]:
    return [part.strip() for part in accepted.split(",")] if isinstance(accepted, str) else accepted


def fires(rule: dict[str, Any], event: dict[str, Any]) -> bool:
    """What the rule says, by other means than Tocsin's."""
    severities, sources = (as_list(rule.get(f"filter_{name}", [])) for name in ("severity", "source"))
    return (
        (not severities or event["severity"] in severities)
        and (not sources or event["source"] in sources)
        and re.search(rule.get("filter_message_regex", ""), event["message"]) is not None
    )


def wait_output(demo: Process, text: str) -> None:
    def said() -> bool:
        assert demo.returncode is None, demo.output() + demo.log()
        return text in demo.output()

    wait_until(said, LONGEST, lambda: f"the demo says {text!r}\n{demo.output()}{demo.log()}")


def test_the_sample_is_matched_delivered_and_summed_up(spawn: Spawn, temporary: Path) -> None:
    events = [json.loads(line) for line in (CONFIG / "demo/events.ndjson").read_text().splitlines()]
    rules = [
        rule for path in (CONFIG / "rules").glob("*.yaml") for rule in yaml.safe_load_all(path.read_text())
    ]
    expected = [(rule["name"], event) for event in events for rule in rules if fires(rule, event)]

    demo = spawn("demo", env={"TMPDIR": str(temporary)})
    code = demo.wait(LONGEST)

    output = demo.output()
    assert code == 0, output + demo.log()
    assert demo.log() == ""
    assert numbers(output) == {"events": len(events), "matches": len(expected), "delivered": len(expected)}
    assert re.search(r"^from event to webhook: p50 [\d.]+ m?s, p99 [\d.]+ m?s$", output, re.MULTILINE)
    lines = re.findall(
        r"^\d\d:\d\d:\d\d\.\d{3} +[\d.]+ m?s  (signed|unsigned) +([\w-]+)", output, re.MULTILINE
    )
    assert sorted(name for _, name in lines) == sorted(name for name, _ in expected)
    secret = {rule["name"]: "signed" if "action_secret" in rule else "unsigned" for rule in rules}
    assert {name: how for how, name in lines} == {name: secret[name] for _, name in lines}
    assert {name for _, name in lines} == {rule["name"] for rule in rules}, "each rule has something to show"
    assert "\x1b" not in output


def test_own_events_and_rules_with_the_receivers_usual_port_taken(
    spawn: Spawn, temporary: Path, tmp_path: Path
) -> None:
    file = tmp_path / "events.ndjson.gz"
    with gzip.open(file, "wt") as lines:
        lines.writelines(f'{{"n":{n},"message":"{"odd" if n % 2 else "even"} one"}}\n\n' for n in range(300))
    rules = tmp_path / "rules.yaml"
    rules.write_text(
        "{name: odd, filter_message_regex: ^odd, action_type: webhook, action_target: 'https://hooks.example.com/x'}\n"
        "---\n"
        "{name: all, action_type: webhook, action_target: {secret: 'https://hooks.example.com/y'},"
        " action_secret: whsec_c2VjcmV0}\n"
    )
    arguments = ["--input", str(file), "--rules", str(rules), "--rate", "0", "--limit", "200", "--show", "7"]

    with closing(socket.socket()) as taken:
        with suppress(OSError):  # if somebody has it already, it is taken
            taken.bind(("127.0.0.1", 8099))
            taken.listen()
        # Settings of the user's must not reach the demo's processes.
        demo = spawn(
            "demo",
            *arguments,
            env={"TMPDIR": str(temporary), "TOCSIN_KAFKA__BOOTSTRAP_SERVERS": "broker.invalid:9092"},
        )
        code = demo.wait(LONGEST)

    output = demo.output()
    assert code == 0, output + demo.log()
    assert numbers(output) == {"events": 200, "matches": 300, "delivered": 300}
    assert len(re.findall(r"^\d\d:\d\d:\d\d\.", output, re.MULTILINE)) == 7
    assert "… and 293 more\n" in output
    assert "2 of them pointed to the receiver" in output


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_the_demo_and_all_that_it_started(
    spawn: Spawn, temporary: Path, number: signal.Signals
) -> None:
    demo = spawn("demo", "--rate", "5", env={"TMPDIR": str(temporary)})
    wait_output(demo, "web-probing")
    assert len(processes_that_name(temporary)) == 3

    os.kill(demo.pid, number)

    assert demo.wait(LONGEST) == 1
    assert demo.log() == "tocsin: interrupted\n"


def test_kept_running_it_takes_rules_and_events_by_hand(spawn: Spawn, temporary: Path) -> None:
    demo = spawn("demo", "--keep", "--rate", "0", "--limit", "20", env={"TMPDIR": str(temporary)})
    wait_output(demo, "sender.log")
    commands = [line for line in demo.output().splitlines() if line.startswith("  echo")]
    assert len(commands) in (2, 3), "a rule, and an event with or without kcat"

    for command in (commands[0], commands[-1]):
        done = subprocess.run(command, shell=True, capture_output=True, text=True, timeout=60, check=False)
        assert done.returncode == 0, done.stderr

    wait_until(lambda: re.search(r"unsigned +mine +info +me +hello$", demo.output(), re.MULTILINE), LONGEST)
    os.kill(demo.pid, signal.SIGINT)
    assert demo.wait(LONGEST) == 0
    assert demo.log() == ""


def test_an_input_that_is_no_events_is_refused_before_anything_starts(
    spawn: Spawn, temporary: Path, tmp_path: Path
) -> None:
    file = tmp_path / "events.ndjson"
    file.write_text('{"message":"fine"}\n\n["not an event"]\n')

    demo = spawn("demo", "--input", str(file), env={"TMPDIR": str(temporary)})

    assert demo.wait(LONGEST) == 1
    assert demo.log().startswith(f"tocsin: {file}, line 3: no event: ")
    assert demo.output() == ""
