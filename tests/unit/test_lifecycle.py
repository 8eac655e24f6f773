"""How a process ends: real signals to a real process, which prints what happens to its services."""

import signal
import sys
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from processor.lifecycle import Deadline
from tests.support.child import Child
from tests.support.waiting import wait_until

ROOT = Path(__file__).parents[2]

# Services that do what the command line says: `name:behaviour`, with a + before those of the background. What
# happens is told on standard output.
PROGRAM = """
import sys, threading
from processor.lifecycle import Refused, run_services
from processor.observability.logging import set_up_logging
from processor.settings import load_settings
import os

def say(*words):
    sys.stdout.write(" ".join(map(str, words)) + "\\n")
    sys.stdout.flush()

class Role:
    def __init__(self, name, behaviour):
        self.name, self.behaviour, self.failed = name, behaviour, None

    def start(self):
        if self.behaviour == "start_refused":
            raise Refused("topic x is missing: run `tocsin topics apply`")
        if self.behaviour == "start_waits":
            say(self.name, "starting")
            while not os.path.exists(os.environ["GO_ON"]):
                threading.Event().wait(0.01)
        say(self.name, "started")
        if self.behaviour == "breaks":
            threading.Thread(target=self.work, daemon=True).start()
        if self.behaviour == "refuses":
            self.failed = Refused("the topic x is gone")

    def work(self):
        try:
            raise ValueError("it broke")
        except ValueError as error:
            self.failed = error

    def stop(self, deadline):
        say(self.name, "stopping")
        if self.behaviour == "hangs":
            threading.Event().wait()
        if self.behaviour == "stop_fails":
            raise OSError("commit failed")
        if self.behaviour == "waits":
            while not os.path.exists(os.environ["GO_ON"]):
                threading.Event().wait(0.01)
        if self.behaviour == "fails_draining":
            self.failed = ValueError("it broke at the end")
        say(self.name, "stopped", deadline.remaining() > 0)

set_up_logging("info", "text")
def roles(words):
    return [Role(*word.split(":")) for word in words]
background = roles(word[1:] for word in sys.argv[1:] if word.startswith("+"))
services = roles(word for word in sys.argv[1:] if not word.startswith("+"))
try:
    code = run_services(services, load_settings(None, os.environ), background=background)
except Refused as refused:
    say("refused:", refused)
    code = 1
say("code", code)
sys.exit(code)
"""


class Run:
    """One process of PROGRAM."""

    def __init__(self, directory: Path, *roles: str, shutdown_timeout: str = "20s") -> None:
        self.out, self.err = directory / "out", directory / "err"
        self.go_on = directory / "go-on"
        env = {
            "PYTHONPATH": str(ROOT),
            "TOCSIN_PROCESS__SHUTDOWN_TIMEOUT": shutdown_timeout,
            "GO_ON": str(self.go_on),
        }
        self.child = Child([sys.executable, "-c", PROGRAM, *roles], self.err, env=env, stdout=self.out)

    def lines(self) -> list[str]:
        return self.out.read_text().splitlines()

    def log(self) -> str:
        return self.err.read_text()

    def wait_for(self, line: str) -> None:
        wait_until(lambda: line in self.lines(), message=lambda: f"{line!r} in {self.lines()}\n{self.log()}")

    def end(self) -> int:
        return self.child.wait(30)


@pytest.fixture
def run(tmp_path: Path) -> Iterator["Starter"]:
    starter = Starter(tmp_path)
    yield starter
    for one in starter.runs:
        one.child.kill()


class Starter:
    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self.runs: list[Run] = []

    def __call__(self, *roles: str, shutdown_timeout: str = "20s") -> Run:
        self.runs.append(Run(self._directory, *roles, shutdown_timeout=shutdown_timeout))
        return self.runs[-1]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_signal_drains_every_service_and_ends_with_0(run: Starter, number: signal.Signals) -> None:
    process = run("a:works", "b:works")
    process.wait_for("b started")
    process.child.signal(number)
    assert process.end() == 0
    lines = process.lines()
    assert lines[:2] == ["a started", "b started"]
    assert sorted(lines[2:-1]) == ["a stopped True", "a stopping", "b stopped True", "b stopping"]
    assert f"draining signal={number.name}" in process.log()
    assert "Traceback" not in process.log()


def test_further_signals_change_nothing_and_show_no_traceback(run: Starter) -> None:
    process = run("a:waits")
    process.wait_for("a started")
    process.child.signal(signal.SIGINT)
    process.wait_for("a stopping")
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGINT):
        process.child.signal(number)
    process.go_on.touch()
    assert process.end() == 0
    assert "a stopped True" in process.lines()
    assert "Traceback" not in process.log()


def test_services_drain_at_the_same_time(run: Starter) -> None:
    process = run("a:waits", "b:works")
    process.wait_for("b started")
    process.child.signal(signal.SIGTERM)
    process.wait_for("b stopped True")
    assert "a stopped True" not in process.lines()
    process.go_on.touch()
    assert process.end() == 0


def test_background_starts_before_the_services_and_stops_after_they_drained(run: Starter) -> None:
    process = run("a:waits", "+telemetry:works")
    process.wait_for("a started")
    process.child.signal(signal.SIGTERM)
    process.wait_for("a stopping")
    process.go_on.touch()
    assert process.end() == 0
    expected = ["telemetry started", "a started", "a stopping", "a stopped True"]
    assert process.lines()[:-1] == [*expected, "telemetry stopping", "telemetry stopped True"]


def test_failed_background_service_ends_the_process_with_1(run: Starter) -> None:
    process = run("a:works", "+table:breaks")
    assert process.end() == 1
    assert "a stopped True" in process.lines()


def test_signal_during_the_start_drains_what_has_started_and_starts_no_more(run: Starter) -> None:
    process = run("a:start_waits", "b:works")
    process.wait_for("a starting")
    process.child.signal(signal.SIGTERM)
    process.go_on.touch()
    assert process.end() == 0
    assert process.lines() == ["a starting", "a started", "a stopping", "a stopped True", "code 0"]


def test_failed_service_ends_the_process_with_1_after_the_others_drained(run: Starter) -> None:
    process = run("a:works", "b:breaks")
    assert process.end() == 1
    assert "a stopped True" in process.lines()
    assert "b stopped True" in process.lines()
    assert process.log().count('service failed service=b error="it broke"') == 1
    assert "ValueError: it broke" in process.log()  # not foreseen, so with its traceback


def test_refusing_service_is_one_line_without_traceback(run: Starter) -> None:
    process = run("a:works", "b:refuses")
    assert process.end() == 1
    assert 'service failed service=b error="the topic x is gone"' in process.log()
    assert "Traceback" not in process.log()


def test_service_that_refuses_to_start_is_told_after_the_others_drained(run: Starter) -> None:
    process = run("a:works", "b:start_refused", "c:works")
    assert process.end() == 1
    assert process.lines() == [
        "a started",
        "a stopping",
        "a stopped True",
        "refused: topic x is missing: run `tocsin topics apply`",
        "code 1",
    ]


def test_service_that_does_not_drain_in_time_ends_the_process_with_1(run: Starter) -> None:
    process = run("a:hangs", "b:works", shutdown_timeout="500ms")
    process.wait_for("b started")
    process.child.signal(signal.SIGTERM)
    assert process.end() == 1
    assert "b stopped True" in process.lines()
    assert "not drained within process.shutdown_timeout: a" in process.log()


@pytest.mark.parametrize(
    ("behaviour", "line"),
    [
        ("stop_fails", 'service could not drain service=a error="commit failed"'),
        ("fails_draining", 'service failed service=a error="it broke at the end"'),
    ],
)
def test_failure_while_draining_ends_with_1(run: Starter, behaviour: str, line: str) -> None:
    process = run(f"a:{behaviour}")
    process.wait_for("a started")
    process.child.signal(signal.SIGTERM)
    assert process.end() == 1
    assert process.log().count(line) == 1


def test_deadline_counts_down_to_zero_and_stays_there() -> None:
    now = 100.0
    deadline = Deadline(timedelta(seconds=5), clock=lambda: now)
    assert deadline.remaining() == 5.0
    now = 104.0
    assert deadline.remaining() == 1.0
    assert not deadline.expired
    now = 106.0
    assert deadline.remaining() == 0.0
    assert deadline.expired
