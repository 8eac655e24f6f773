"""`tocsin rules apply --dry-run` and `--partial`, colours and progress, and `list` in all its forms."""

import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import yaml

from processor.rules.documents import write_yaml
from tests.support.rules import fields, record
from tests.support.rules_commands import Tocsin

SECRET = "hunter2-very-secret"


def test_a_dry_run_shows_a_diff_without_secrets(tocsin: Tocsin, tmp_path: Path) -> None:
    tocsin.apply([fields("a", action_secret=SECRET), fields("gone")], "--set", "s")
    file = tmp_path / "new.yaml"
    with file.open("w") as stream:
        write_yaml(fields("a", action_secret="another", enabled=False), stream)
        write_yaml(fields("b", action_secret=SECRET), stream)

    out = tocsin.run("apply", "-f", str(file), "--set", "s", "--prune", "--dry-run")

    lines = out.splitlines()
    assert {"--- rule 1 a", "+++ rule 1 a", "-enabled: true", "+enabled: false"} <= set(lines)
    assert {"-  secret: '***'", "+  secret: '*** (sealed anew)'"} <= set(lines)
    assert {"--- /dev/null", "+++ rule b", "+name: b"} <= set(lines)
    assert {"--- rule 2 gone", "+++ /dev/null", "-name: gone"} <= set(lines)
    assert [line.split()[:2] for line in lines[-3:]] == [
        ["updated", "a"],
        ["created", "b"],
        ["deleted", "gone"],
    ]
    assert "another\n" not in out
    assert SECRET not in out
    assert "sealed:" not in out
    assert "\x1b" not in out
    assert [entry["rule"]["name"] for entry in tocsin.rows("list")] == ["a", "gone"]


def test_colours_and_progress_are_for_terminals(tocsin: Tocsin) -> None:
    few = tocsin.write([fields("r7")])
    assert b"\x1b[32m+name: r7\x1b[0m" in on_a_terminal(tocsin, "apply", "-f", str(few), "--dry-run")

    # So many take longer to read than the 0.2 s after which progress is shown, on any machine of today.
    many = tocsin.write(
        [fields(f"r{number}", filter_message_regex=f"e {number}$") for number in range(10_000)]
    )
    shown = on_a_terminal(tocsin, "apply", "-f", str(many), "--dry-run", "-o", "json")
    assert b" rules checked" in shown
    assert b"\x1b" not in shown


def on_a_terminal(tocsin: Tocsin, *arguments: str) -> bytes:
    """What `tocsin rules …` writes to a terminal; it must succeed."""
    ours, theirs = os.openpty()
    environ = {**os.environ, **tocsin.environ, "TERM": "xterm"}
    environ.pop("NO_COLOR", None)
    command = [str(Path(sys.executable).parent / "tocsin"), "rules", *arguments]
    shown = b""
    with subprocess.Popen(command, env=environ, stdout=theirs, stderr=theirs) as process:
        os.close(theirs)
        while chunk := _read(ours):
            shown += chunk
    os.close(ours)
    assert process.returncode == 0, shown[-500:]
    return shown


def _read(terminal: int) -> bytes:
    try:
        return os.read(terminal, 65_536)
    except OSError:  # what Linux answers when the other end is closed
        return b""


def test_a_part_is_applied_beside_invalid_rules_and_nothing_pruned(tocsin: Tocsin) -> None:
    tocsin.apply([fields("standing")], "--set", "s")
    rules = [
        fields("good"),
        fields("bad", foo=1),
        fields("no-secret-yet", action_secret="***"),
        fields("twice"),
        fields("twice", enabled=False),
    ]

    rows = tocsin.apply(rules, "--set", "s", "--prune", "--partial", expect=1)

    assert rows[0] == ("created", "good", 2)
    assert sorted(rows[1:]) == [
        ("invalid", "bad", None),
        ("invalid", "no-secret-yet", None),
        ("invalid", "twice", None),
        ("invalid", "twice", None),
    ]
    assert tocsin.err.splitlines()[-1] == "tocsin: invalid rules: 4 of 5, only the others were applied"
    assert [entry["rule"]["name"] for entry in tocsin.rows("list")] == ["standing", "good"]


def test_a_rule_that_the_table_refuses_keeps_a_partial_apply_from_pruning(tocsin: Tocsin) -> None:
    tocsin.apply([fields("standing")], "--set", "s")

    rows = tocsin.apply(
        [fields("good"), fields("b", action_secret="***")], "--set", "s", "--prune", "--partial", expect=1
    )

    assert rows == [("created", "good", 2), ("invalid", "b", None)]
    assert [entry["rule"]["name"] for entry in tocsin.rows("list")] == ["standing", "good"]


def test_list_as_yaml_is_list_as_json_and_wide_has_more_columns(
    tocsin: Tocsin, plain: Callable[..., None]
) -> None:
    tocsin.apply(
        [fields("a", filter_severity=["error", "fatal"], paused=True, muted_until="2030-01-01T00:00:00Z")]
    )
    plain((b"9", record("i", foo=1)))

    assert yaml.safe_load(tocsin.run("list", "-o", "yaml")) == tocsin.rows("list")
    header, first, invalid = tocsin.run("list", "-o", "wide").splitlines()
    assert re.split(r"  +", header) == [
        *("KEY", "NAME", "STATUS", "ENABLED", "SET", "TARGET", "SEVERITY", "SOURCE", "PAUSED"),
        *("MUTED UNTIL", "UPDATED BY", "UPDATED AT", "REASON"),
    ]
    assert "error,fatal" in first
    assert "2030-01-01T00:00:00Z" in first
    assert invalid.endswith("foo: unknown field")
    assert "SEVERITY" not in tocsin.run("list")
