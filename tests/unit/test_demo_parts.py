"""The demo's processes: what they get, what they leave, and what is said when one can't be had."""

import asyncio
import importlib.util
import os
import sys
import tomllib
from pathlib import Path

import pytest

from processor.cli.main import main
from processor.demo.broker import REQUIREMENT
from processor.demo.children import MAX_WORDS, Child, last_words
from processor.demo.errors import DemoError
from processor.demo.progress import Progress
from processor.demo.roles import child_environment


def test_a_missing_broker_is_said_with_the_command_that_adds_it(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    assert main(["demo"], {}) == 1
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert f"{sys.executable} -m pip install '{REQUIREMENT}'" in said


def test_the_command_adds_what_the_extra_does() -> None:
    project = tomllib.loads((Path(__file__).resolve().parents[2] / "pyproject.toml").read_text())
    assert project["project"]["optional-dependencies"]["demo"] == [REQUIREMENT]


def test_the_roles_get_no_settings_of_the_users() -> None:
    environ = {
        "PATH": "/bin",
        "TOCSIN_CONFIG": "/etc/tocsin.yaml",
        "TOCSIN_KAFKA__BOOTSTRAP_SERVERS": "prod:9092",
        "TOCSIN_SECRET_A": "a",
    }
    assert child_environment(environ, {"TOCSIN_SECRET_B": "b"}) == {
        "PATH": "/bin",
        "TOCSIN_SECRET_A": "a",
        "TOCSIN_SECRET_B": "b",
    }


@pytest.mark.parametrize(
    ("log", "words"),
    [
        ("", "it wrote nothing"),
        ("one\ntwo\n", "two"),
        (
            '{"level":"error","message":"service failed","error":"no"}\n{"level":"info","message":"end"}\n',
            "service failed: no",
        ),
        ('{"level":"info","message":"fine"}\n', '{"level":"info","message":"fine"}'),
        ('{"level":"error","message":"old"}\nTraceback:\nNameError: x\n', "NameError: x"),
        ("x" * 1_000, "x" * (MAX_WORDS - 1) + "…"),
    ],
)
def test_the_last_words_are_those_about_the_failure(log: str, words: str) -> None:
    assert last_words(log) == words


def test_a_run_is_complete_when_all_is_judged_and_every_job_has_ended() -> None:
    assert Progress(10, 4, 2, 1, 1).is_complete(10)
    assert not Progress(9, 4, 4, 0, 0).is_complete(10)
    assert not Progress(10, 4, 3, 0, 0).is_complete(10)


def test_a_child_that_ends_by_itself_is_noticed(tmp_path: Path) -> None:
    async def run() -> None:
        command = [sys.executable, "-c", "print('a reason'); raise SystemExit(3)"]
        child = await Child.start("broker", command, tmp_path, os.environ)
        await child.wait()
        with pytest.raises(DemoError, match="broker ended by itself with exit code 3: a reason"):
            child.check()
        await child.stop(1.0)

    asyncio.run(run())


def test_a_child_that_ignores_the_signal_is_killed(tmp_path: Path) -> None:
    async def run() -> None:
        ignoring = (
            "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); "
            "print('deaf', flush=True); signal.pause()"
        )
        child = await Child.start("deaf", [sys.executable, "-c", ignoring], tmp_path, os.environ)
        while "deaf" not in child.log.read_text():
            child.check()
            await asyncio.sleep(0.01)
        await child.stop(0.1)
        with pytest.raises(DemoError, match="exit code -9"):
            child.check()

    asyncio.run(run())


def test_a_program_that_is_not_there_is_said(tmp_path: Path) -> None:
    async def run() -> None:
        with pytest.raises(DemoError, match="broker can't be started: No such file"):
            await Child.start("broker", [str(tmp_path / "nothing")], tmp_path, os.environ)

    asyncio.run(run())
