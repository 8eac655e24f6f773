"""`tocsin rules …` and `tocsin secrets …` as far as they need no Kafka."""

import io
import json
from pathlib import Path

import pytest

from processor.cli.main import main
from processor.rules import KeyRing
from processor.rules.files import read_rules
from tests.support.logs import logging_as_before

RULE = "name: {0}\naction_type: webhook\naction_target: https://h.example/x\n"
EXAMPLES = Path(__file__).parents[2] / "config" / "rules"


def run(*arguments: str) -> int:
    with logging_as_before():
        return main(arguments, {})


def test_valid_files_are_listed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "a.yaml").write_text(RULE.format("a"))

    assert run("rules", "validate", "-f", str(tmp_path)) == 0

    assert capsys.readouterr().out.splitlines()[1].split()[:2] == ["valid", "a"]


def test_each_error_is_a_line_and_the_exit_code_1(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "a.yaml"
    file.write_text(f"{RULE.format('a')}foo: 1\nbar: 2\n---\n{RULE.format('b')}")

    assert run("rules", "validate", str(file)) == 1

    out, err = capsys.readouterr()
    assert [line.split()[0] for line in out.splitlines()] == ["STATUS", "valid", "invalid", "invalid"]
    assert "foo: unknown field" in out
    assert "bar: unknown field" in out
    assert err == "tocsin: invalid documents: 1 of 2\n"


def test_validate_as_json(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "a.yaml"
    file.write_text(f"{RULE.format('a')}foo: 1\nbar: 2\n")

    assert run("rules", "validate", "-f", str(file), "-o", "json") == 1

    assert json.loads(capsys.readouterr().out) == [
        {
            "status": "invalid",
            "name": "a",
            "place": f"{file}, document 1, line 1",
            "reason": "foo: unknown field; bar: unknown field",
        }
    ]


def test_apply_of_an_invalid_file_fails_before_any_broker_is_asked(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "a.yaml"
    file.write_text(f"{RULE.format('a')}foo: 1\n---\n{RULE.format('b')}")

    assert run("rules", "apply", "-f", str(file), "-o", "json") == 1

    out, err = capsys.readouterr()
    assert json.loads(out) == [
        {
            "action": "invalid",
            "name": "a",
            "id": None,
            "reason": f"{file}, document 1, line 1 (a): foo: unknown field",
        }
    ]
    assert err == "tocsin: invalid documents: 1 of 2, nothing was applied\n"


def test_target_that_the_sender_would_block_is_warned_of(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rule = "name: {0}\naction_type: webhook\naction_target: {1}\n"
    targets = {
        "private": "http://10.0.0.5/SECRET",
        "mapped": '{secret: "https://[::ffff:10.0.0.1]/SECRET"}',
        "local": "http://localhost:8080/SECRET",
        "public": "https://1.1.1.1/SECRET",
        "named": "https://hooks.example.com/SECRET",
        "referred": '{ref: "env:TOCSIN_SECRET_URL"}',
    }
    file = tmp_path / "a.yaml"
    file.write_text("---\n".join(rule.format(*pair) for pair in targets.items()))

    assert run("rules", "validate", str(file), "-o", "json", "--log-format", "json") == 0

    out, err = capsys.readouterr()
    assert [row["status"] for row in json.loads(out)] == ["valid"] * 6
    assert "SECRET" not in err
    lines = [json.loads(line) for line in err.splitlines()]
    allowing = "; sender.egress.allow_cidrs or sender.egress.allow_hosts would allow it"
    assert all(line["reason"].endswith(allowing) for line in lines)
    assert {line["rule"]: line["reason"].removesuffix(allowing) for line in lines} == {
        "private": "10.0.0.5 is a private address (10.0.0.0/8)",
        "mapped": "::ffff:10.0.0.1 is an IPv4-mapped address (::ffff:0:0/96) of 10.0.0.1, a private address",
        "local": "localhost resolves to 127.0.0.1, which is a loopback address (127.0.0.0/8)",
    }


def test_target_that_the_settings_allow_is_not_warned_of(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "a.yaml"
    file.write_text("name: a\naction_type: webhook\naction_target: http://10.0.0.5:8443/x\n")
    environ = {"TOCSIN_SENDER__EGRESS__ALLOW_CIDRS": '["10.0.0.0/8"]'}
    with logging_as_before():
        assert main(["rules", "validate", str(file)], environ) == 0
        assert capsys.readouterr().err == ""
        environ["TOCSIN_SENDER__EGRESS__ALLOW_PORTS"] = "[443]"
        assert main(["rules", "validate", str(file)], environ) == 0
        assert (
            "port 8443 may not be called; sender.egress.allow_ports would allow it" in capsys.readouterr().err
        )


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["validate"], 2, "takes files"),
        (["validate", "-f", "/nowhere.yaml"], 1, "/nowhere.yaml: No such file or directory"),
        (["apply"], 2, "takes -f FILE"),
        (["apply", "-f", "x", "--prune"], 2, "--prune needs --set NAME"),
        (["apply", "-f", "x", "--set", ""], 2, "--set takes a name"),
        (["apply", "-f", "/nowhere.yaml"], 1, "/nowhere.yaml: No such file or directory"),
        (["get"], 2, "takes an id, a name, or --key KEY"),
        (["get", "a", "--key", "b"], 2, "takes an id, a name, or --key KEY"),
        (["delete"], 2, "takes an id, a name, or --key KEY"),
        (["list", "--timeout", "soon"], 2, "a duration is"),
        ([], 2, "ACTION"),
    ],
)
def test_wrong_usage_is_one_line(
    arguments: list[str], code: int, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("rules", *arguments) == code

    err = capsys.readouterr().err
    assert said in err
    assert err.count("\n") == 1


def test_files_without_a_rule_are_an_error(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO("# nothing\n"))

    assert run("rules", "apply", "-f", str(tmp_path)) == 1
    assert run("rules", "validate", "-") == 1
    assert f"there are no rules in {tmp_path}" in capsys.readouterr().err


def test_a_new_key_can_be_used_at_once(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("secrets", "new-key", "--id", "mine") == 0
    assert run("secrets", "new-key") == 0

    mine, other = capsys.readouterr().out.splitlines()
    keys = KeyRing.parse([mine, other])
    assert mine.startswith("mine:")
    assert keys.open(keys.seal("x", 1), 1) == "x"


@pytest.mark.parametrize("key_id", ["", "a:b", "a b", "x" * 65])
def test_an_id_that_keys_can_not_have_is_wrong_usage(key_id: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("secrets", "new-key", "--id", key_id) == 2


def test_the_example_rules_are_valid() -> None:
    read = read_rules([str(EXAMPLES)], io.StringIO())

    assert not read.problems
    assert len(read.wanted.drafts) >= 3
    assert {sourced.draft.origin for sourced in read.wanted.drafts} == {"http://127.0.0.1:8099"}
