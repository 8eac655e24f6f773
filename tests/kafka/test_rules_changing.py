"""`tocsin rules edit`, and the switches."""

import json
import sys
import tempfile
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.support.rules import fields, record
from tests.support.rules_commands import Tocsin

SECRET = "hunter2-very-secret"

EDITOR = """
import json, pathlib, sys
steps, seen, file = (pathlib.Path(path) for path in sys.argv[1:])
old, new, *rest = json.loads(steps.read_text())
text = file.read_text()
seen.write_text(seen.read_text() + text + "\\x00")
assert old in text, text
file.write_text(text.replace(old, new))
steps.write_text(json.dumps(rest))
"""


class Editor:
    """What somebody does in their editor: each time it opens, one text is replaced by another."""

    def __init__(self, directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self._steps, self._seen = directory / "steps.json", directory / "seen"
        script = directory / "editor.py"
        script.write_text(EDITOR)
        monkeypatch.delenv("VISUAL", raising=False)
        monkeypatch.setenv("EDITOR", f"{sys.executable} '{script}' '{self._steps}' '{self._seen}'")

    def will(self, *replacements: str) -> None:
        self._steps.write_text(json.dumps(replacements))
        self._seen.write_text("")

    @property
    def seen(self) -> list[str]:
        """What stood in the file each time."""
        return self._seen.read_text().split("\x00")[:-1]


@pytest.fixture
def editor(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Editor:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return Editor(tmp_path, monkeypatch)


def rule(tocsin: Tocsin, name: str) -> Any:
    shown = yaml.safe_load(tocsin.run("get", name))
    shown.pop("updated_at", None)
    return shown


def test_an_edited_rule_is_written_and_keeps_its_secrets_id_and_set(tocsin: Tocsin, editor: Editor) -> None:
    tocsin.apply([fields("a", action_secret=SECRET, set="s")])
    editor.will("description: ''", "description: for people")

    rows = tocsin.rows("edit", "a")

    assert rows == [{"action": "updated", "name": "a", "id": 1, "reason": None}]
    assert len(editor.seen) == 1
    assert SECRET not in editor.seen[0]
    after = rule(tocsin, "a")
    assert (after["description"], after["id"], after["set"]) == ("for people", 1, "s")
    assert after["action_secret"] == {"secret": "***"}
    assert "unsealed" not in tocsin.run("list")


def test_the_editor_opens_again_and_says_what_is_wrong(tocsin: Tocsin, editor: Editor) -> None:
    tocsin.apply([fields("a"), fields("b")])
    editor.will("name: a", "name: @a", "name: @a", "nam: b", "nam: b", "name: b", "name: b", "name: c")

    assert tocsin.rows("edit", "1")[0]["name"] == "c"

    first, unreadable, unknown, taken = editor.seen
    assert "# line" not in first
    said = next(line for line in unreadable.splitlines() if line.startswith("# line"))
    number = int(said.removeprefix("# line ").split(",")[0])
    assert unreadable.splitlines()[number - 1] == "name: @a"
    assert "# nam: unknown field" in unknown
    assert "# name: " in unknown
    assert "# rule 2 has the name 'b' already" in taken
    assert [entry["rule"]["name"] for entry in tocsin.rows("list")] == ["c", "b"]


def test_a_rule_that_stays_wrong_is_left_alone_and_the_text_kept(
    tocsin: Tocsin, editor: Editor, tmp_path: Path
) -> None:
    tocsin.apply([fields("a")])
    before = tocsin.rows("list")
    editor.will("enabled: true", "enabled: maybe", "maybe", "maybe")

    tocsin.run("edit", "a", expect=1)

    assert "was left as it is; your text is in " in tocsin.err
    kept = Path(tocsin.err.rstrip().rsplit(" ", 1)[1])
    assert kept.parent == tmp_path
    assert "enabled: maybe" in kept.read_text()
    assert kept.stat().st_mode & 0o077 == 0
    assert tocsin.rows("list") == before


def test_closing_the_editor_without_a_change_or_with_nothing_left_changes_nothing(
    tocsin: Tocsin, editor: Editor
) -> None:
    tocsin.apply([fields("a")])
    before = tocsin.rows("list")
    editor.will("name: a", "name: a")
    assert tocsin.rows("edit", "a")[0]["action"] == "unchanged"
    text = editor.seen[0]
    editor.will(text, "")
    assert tocsin.rows("edit", "a")[0]["action"] == "unchanged"
    assert tocsin.rows("list") == before


def test_an_id_or_uid_can_not_be_edited(tocsin: Tocsin, editor: Editor) -> None:
    tocsin.apply([fields("a")])
    editor.will("id: 1\n", "id: 7\n", "id: 7\n", "id: 1\n")

    tocsin.run("edit", "a")

    assert "# id: is the rule's own and stays 1" in editor.seen[1]


def test_a_rule_that_somebody_else_changed_meanwhile_is_not_overwritten(
    tocsin: Tocsin,
    editor: Editor,
    plain: Callable[..., None],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    plain((b"7", record("a")))
    produce = tmp_path / "produce.py"
    produce.write_text(
        "import os, sys\n"
        "from tests.support.records import Record, produce\n"
        'produce(sys.argv[1], sys.argv[2], [Record(b\'{"name":"theirs","action_type":"webhook",'
        '"action_target":"https://h.example/"}\', b\'7\')])\n'
        "text = open(sys.argv[3]).read()\n"
        "open(sys.argv[3], 'w').write(text.replace('name: a', 'name: mine'))\n"
    )
    topic = f"{tocsin.environ['TOCSIN_TOPICS__PREFIX']}trigger-rules"
    bootstrap = tocsin.environ["TOCSIN_KAFKA__BOOTSTRAP_SERVERS"]
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[2]))
    monkeypatch.setenv("EDITOR", f"{sys.executable} '{produce}' {bootstrap} {topic}")

    tocsin.run("edit", "7", expect=1)

    assert "somebody else changed rule 7 meanwhile" in tocsin.err
    assert "name: mine" in Path(tocsin.err.rstrip().rsplit(" ", 1)[1]).read_text()
    assert rule(tocsin, "7")["name"] == "theirs"


def test_no_editor_a_failing_one_and_an_invalid_rule_are_one_line(
    tocsin: Tocsin, plain: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    tocsin.apply([fields("a")])
    plain((b"9", b"broken"))
    monkeypatch.delenv("VISUAL", raising=False)
    monkeypatch.setenv("EDITOR", "no-such-editor --wait")
    tocsin.run("edit", "a", expect=1)
    assert tocsin.err == "tocsin: there is no editor 'no-such-editor --wait': set EDITOR to another\n"
    monkeypatch.setenv("EDITOR", "false")
    tocsin.run("edit", "a", expect=1)
    assert "ended with 1; nothing was changed" in tocsin.err
    tocsin.run("edit", "9", expect=1)
    assert "rule 9 is invalid" in tocsin.err


def test_switches_change_one_field_of_several_rules(tocsin: Tocsin) -> None:
    tocsin.apply([fields("a", action_secret=SECRET), fields("b", enabled=False), fields("c")])

    rows = tocsin.rows("disable", "a", "2", "a")

    assert [(row["action"], row["name"], row["id"]) for row in rows] == [
        ("updated", "a", 1),
        ("unchanged", "b", 2),
    ]
    assert [entry["rule"]["enabled"] for entry in tocsin.rows("list")] == [False, False, True]
    assert tocsin.rows("enable", "a")[0]["action"] == "updated"
    tocsin.run("pause", "a")
    assert rule(tocsin, "a")["paused"] is True
    assert rule(tocsin, "a")["action_secret"] == {"secret": "***"}
    tocsin.run("resume", "a")
    assert "paused" not in rule(tocsin, "a")


def test_mute_takes_a_duration_or_a_time_and_a_whole_set(tocsin: Tocsin) -> None:
    tocsin.apply([fields("a"), fields("b")], "--set", "s")
    tocsin.apply([fields("c")])
    began = datetime.now(UTC).replace(microsecond=0)

    rows = tocsin.rows("mute", "--set", "s", "--for", "30m")

    assert [row["name"] for row in rows] == ["a", "b"]
    until = datetime.fromisoformat(rule(tocsin, "b")["muted_until"])
    assert timedelta() <= until - began - timedelta(minutes=30) < timedelta(minutes=1)
    assert rule(tocsin, "a")["set"] == "s"
    assert "muted_until" not in rule(tocsin, "c")
    tocsin.run("mute", "c", "--until", "2030-01-02T03:04:05+01:00")
    assert rule(tocsin, "c")["muted_until"] == "2030-01-02T02:04:05Z"
    assert tocsin.rows("mute", "c", "--until", "2030-01-02T02:04:05Z")[0]["action"] == "unchanged"
    tocsin.run("unmute", "c")
    assert "muted_until" not in rule(tocsin, "c")


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["mute", "a"], 2, "--for"),
        (["mute", "a", "--for", "30"], 2, "a duration is a whole number"),
        (["mute", "a", "--for", "0s"], 2, "expected a duration"),
        (["mute", "a", "--until", "tomorrow"], 2, "expected a time such as"),
        (["disable"], 2, "takes ids or names of rules, or --set NAME"),
        (["disable", "a", "--set", "s"], 2, "takes ids or names of rules, or --set NAME"),
        (["disable", "--set", "nobody"], 1, "there is no rule in the set 'nobody'"),
        (["disable", "a", "nobody"], 1, "there is no rule 'nobody'"),
        (["disable", "a", "9"], 1, "rule 9 is invalid"),
    ],
)
def test_a_switch_that_can_not_be_thrown_changes_nothing(
    tocsin: Tocsin, plain: Callable[..., None], arguments: list[str], code: int, said: str
) -> None:
    plain((b"1", record("a")), (b"9", b"broken"))
    before = tocsin.rows("list")

    tocsin.run(*arguments, expect=code)

    assert said in tocsin.err
    assert tocsin.err.count("\n") == 1
    assert tocsin.rows("list") == before
