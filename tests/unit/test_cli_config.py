"""The command line: exit codes, one line per user error, `config check` and `config show`."""

import json
import logging
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from processor import __version__
from processor.cli.main import COMMANDS, main
from processor.cli.output import print_json, print_rows
from processor.settings import Settings, load_settings

ROOT = Path(__file__).parents[2]
Captured = pytest.CaptureFixture[str]


@pytest.fixture(autouse=True)
def _logging_as_before() -> Iterator[None]:
    root, own = logging.getLogger(), logging.getLogger("processor")
    handlers, levels = root.handlers[:], (root.level, own.level)
    yield
    root.handlers[:] = handlers
    root.setLevel(levels[0])
    own.setLevel(levels[1])
    logging.captureWarnings(capture=False)


def error_line(captured: Captured) -> str:
    out, err = captured.readouterr()
    assert out == ""
    assert err.startswith("tocsin: ")
    assert err.count("\n") == 1
    return err


@pytest.mark.parametrize(
    ("argv", "words"),
    [
        ([], "COMMAND"),
        (["nope"], "invalid choice: 'nope'"),
        (["config"], "check|show"),
        (["config", "chec"], "invalid choice: 'chec'"),
        (["config", "check", "extra"], "unrecognized arguments: extra"),
        (["config", "check", "--nope"], "unrecognized arguments: --nope"),
        (["--conf", "x", "config", "check"], "invalid choice: 'x'"),
        (["config", "show", "-o", "xml"], "invalid choice: 'xml'"),
        (["--log-level", "loud", "config", "check"], "invalid choice: 'loud'"),
        (["config", "check", "--config"], "expected one argument"),
    ],
)
def test_wrong_usage_is_one_line_and_exit_code_2(argv: list[str], words: str, capsys: Captured) -> None:
    assert main(argv, {}) == 2
    line = error_line(capsys)
    assert words in line
    assert "--help`" in line


@pytest.mark.parametrize("action", ["check", "show"])
def test_wrong_setting_is_one_line_and_exit_code_2(action: str, tmp_path: Path, capsys: Captured) -> None:
    path = tmp_path / "tocsin.yaml"
    path.write_text("sender: {timeout: 5}")
    assert main(["config", action, "--config", str(path)], {}) == 2
    assert error_line(capsys).startswith(f"tocsin: sender.timeout ({path}): a duration is")
    assert main(["config", action], {"TOCSIN_SENDER__TIMOUT": "5s"}) == 2
    assert error_line(capsys).startswith("tocsin: TOCSIN_SENDER__TIMOUT: unknown setting; did you mean")


def test_check_says_that_the_settings_are_right(capsys: Captured) -> None:
    assert main(["config", "check"], {}) == 0
    assert capsys.readouterr() == ("settings ok\n", "")


def test_documented_settings_file_is_right() -> None:
    assert main(["config", "check", "--config", str(ROOT / "config" / "tocsin.yaml")], {}) == 0


def test_shown_settings_are_a_settings_file(tmp_path: Path, capsys: Captured) -> None:
    environ = {"TOCSIN_TOPICS__PREFIX": "shop.", "TOCSIN_SENDER__EGRESS__ALLOW_CIDRS": '["10.0.0.0/8"]'}
    assert main(["config", "show"], environ) == 0
    path = tmp_path / "shown.yaml"
    path.write_text(capsys.readouterr().out)
    assert load_settings(path, {}) == load_settings(None, environ)


def test_shown_settings_as_json_hide_secrets(tmp_path: Path, capsys: Captured) -> None:
    (tmp_path / "password").write_text("hunter2\n")
    environ = {
        "TOCSIN_KAFKA__SECURITY_PROTOCOL": "sasl_ssl",
        "TOCSIN_KAFKA__SASL_MECHANISM": "PLAIN",
        "TOCSIN_KAFKA__SASL_USERNAME": "u",
        "TOCSIN_KAFKA__SASL_PASSWORD_FILE": str(tmp_path / "password"),
        "TOCSIN_KAFKA__PROPERTIES": '{"ssl.key.password": "hunter2"}',
    }
    for output in ("json", "yaml"):
        assert main(["config", "show", "-o", output], environ) == 0
        text = capsys.readouterr().out
        shown: Any = json.loads(text) if output == "json" else yaml.safe_load(text)
        assert "hunter2" not in text
        assert shown["kafka"]["sasl_password"] == "***"
        assert shown["kafka"]["properties"] == {"ssl.key.password": "***"}
        assert shown["sender"]["retry_schedule"] == ["5s", "1m", "10m", "1h", "6h"]


@pytest.mark.parametrize(
    "argv",
    [
        ["--log-level", "debug", "--config", "FILE", "config", "show", "-o", "json"],
        ["config", "--log-level", "debug", "show", "--config", "FILE", "-o", "json"],
        ["config", "show", "-o", "json", "--log-level=debug", "--config=FILE"],
    ],
)
def test_global_flags_work_in_any_place_and_win(argv: list[str], tmp_path: Path, capsys: Captured) -> None:
    path = tmp_path / "tocsin.yaml"
    path.write_text("logging: {level: error}\ntopics: {prefix: a.}")
    assert main([word.replace("FILE", str(path)) for word in argv], {}) == 0
    shown = json.loads(capsys.readouterr().out)
    assert shown["logging"]["level"] == "debug"
    assert shown["topics"]["prefix"] == "a."


def test_help_lists_every_command(capsys: Captured) -> None:
    assert main(["--help"], {}) == 0
    out = capsys.readouterr().out
    for name, summary in COMMANDS:
        assert name in out
        assert summary.split()[0] in out


@pytest.mark.parametrize("name", [name for name, _ in COMMANDS])
def test_every_command_has_its_module(name: str, capsys: Captured) -> None:
    assert main([name, "--help"], {}) == 0
    assert f"tocsin {name}" in capsys.readouterr().out


def test_version_needs_neither_settings_nor_libraries() -> None:
    program = (
        "import sys; from processor.cli.main import main; code = main(['--version']);"
        "print([m for m in ('pydantic', 'yaml', 'confluent_kafka', 'aiohttp') if m in sys.modules]);"
        "sys.exit(code)"
    )
    env = {"PYTHONPATH": str(ROOT), "TOCSIN_NO__SETTING": "x"}
    done = subprocess.run(
        [sys.executable, "-c", program], env=env, capture_output=True, text=True, check=True, timeout=30
    )
    assert done.stdout == f"tocsin {__version__}\n[]\n"


def test_reader_that_goes_away_causes_no_traceback() -> None:
    # The pipe is closed before the process starts to write, so the write must fail.
    program = "import sys; sys.stdin.read(); from processor.cli.main import entry_point; entry_point()"
    process = subprocess.Popen(
        [sys.executable, "-c", program, "config", "show"],
        env={"PYTHONPATH": str(ROOT)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdout.close()
    process.stdin.close()
    assert process.stderr is not None
    with process.stderr as err:
        assert err.read() == ""
    assert process.wait(30) == 1


class TestOutput:
    ROWS = ({"id": 7, "name": "deploy", "on": True, "extra": [1]}, {"id": 12, "name": None, "on": False})

    def test_table_has_aligned_columns(self, capsys: Captured) -> None:
        print_rows(self.ROWS, ["id", "on", "name"], "table")
        assert capsys.readouterr().out == "ID  ON   NAME\n7   yes  deploy\n12  no\n"

    def test_json_has_the_whole_rows(self, capsys: Captured) -> None:
        print_rows(self.ROWS, ["id"], "json")
        assert json.loads(capsys.readouterr().out) == list(self.ROWS)

    def test_table_without_rows_is_its_head(self, capsys: Captured) -> None:
        print_rows([], ["id", "name"], "table")
        assert capsys.readouterr().out == "ID  NAME\n"

    def test_no_value_moves_the_terminal(self, capsys: Captured) -> None:
        print_rows([{"name": "a\x1b[2J\nb\x9b\ud800ü"}], ["name"], "table")
        print_json({"name": "\x1b\x9b\ud800"})
        out = capsys.readouterr().out
        assert "a\\x1b[2J\\nb\\x9b\\ud800ü" in out
        assert not {"\x1b", "\x9b"} & set(out)


def test_settings_dump_is_what_config_show_prints(capsys: Captured) -> None:
    assert main(["config", "show", "-o", "json"], {}) == 0
    assert json.loads(capsys.readouterr().out) == Settings().model_dump(mode="json")
