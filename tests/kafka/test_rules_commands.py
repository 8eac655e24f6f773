"""`tocsin rules …` against a broker: outputs and exit codes as scripts see them."""

import json
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from tests.support.brokers import Broker, free_port
from tests.support.records import read_all
from tests.support.rules import fields, record
from tests.support.rules_commands import Tocsin
from tests.support.topics import create_topic

SECRET = "hunter2-very-secret"


def test_rules_are_created_updated_and_left_alone(tocsin: Tocsin) -> None:
    assert tocsin.apply([fields("a"), fields("b")]) == [("created", "a", 1), ("created", "b", 2)]
    assert tocsin.apply([fields("a"), fields("b", enabled=False), fields("c")]) == [
        ("unchanged", "a", 1),
        ("updated", "b", 2),
        ("created", "c", 3),
    ]


def test_the_table_for_people_has_one_line_a_rule(tocsin: Tocsin, tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text(json.dumps(fields("a")))

    out = tocsin.run("apply", "-f", str(tmp_path / "a.json"))

    assert [line.split() for line in out.splitlines()] == [
        ["ACTION", "NAME", "ID", "REASON"],
        ["created", "a", "1"],
    ]


def test_a_dry_run_changes_nothing(tocsin: Tocsin) -> None:
    tocsin.apply([fields("a", set="s")])

    assert tocsin.apply([fields("b"), fields("c", id=9)], "--set", "s", "--prune", "--dry-run") == [
        ("created", "b", None),
        ("created", "c", 9),
        ("deleted", "a", 1),
    ]
    assert [entry["rule"]["name"] for entry in tocsin.rows("list")] == ["a"]


def test_a_target_that_the_sender_would_block_is_applied_with_a_warning(tocsin: Tocsin) -> None:
    assert tocsin.apply([fields("a", action_target="http://10.0.0.5/SECRET")]) == [("created", "a", 1)]

    (line,) = [json.loads(line) for line in tocsin.err.splitlines() if "10.0.0.5" in line]
    assert (line["level"], line["rule"]) == ("warning", "a")
    assert "is a private address (10.0.0.0/8); sender.egress.allow_cidrs" in line["reason"]
    assert "SECRET" not in tocsin.err
    tocsin.environ["TOCSIN_SENDER__EGRESS__ALLOW_CIDRS"] = '["10.0.0.5/32"]'
    assert tocsin.apply([fields("a", action_target="http://10.0.0.5/SECRET")]) == [("unchanged", "a", 1)]
    assert "10.0.0.5" not in tocsin.err


def test_one_invalid_rule_and_nothing_is_applied(tocsin: Tocsin) -> None:
    rules = [fields("a"), fields("b", action_secret="***")]

    assert tocsin.apply(rules, expect=1) == [("invalid", "b", None)]

    assert tocsin.err.count("\n") == 1
    assert tocsin.rows("list") == []


def test_a_plain_secret_without_a_key_fails_and_names_the_command(tocsin: Tocsin) -> None:
    del tocsin.environ["TOCSIN_SECRETS__KEYS"]

    assert tocsin.apply([fields("a", action_secret=SECRET)], expect=1) == [("invalid", "a", None)]
    assert "tocsin secrets new-key" in tocsin.out
    assert SECRET not in tocsin.out + tocsin.err


def test_prune_deletes_only_what_the_same_set_has(tocsin: Tocsin) -> None:
    tocsin.apply([fields("a"), fields("b")], "--set", "one")
    tocsin.apply([fields("c")], "--set", "two")
    tocsin.apply([fields("d")])

    assert tocsin.apply([fields("a")], "--set", "one", "--prune") == [
        ("unchanged", "a", 1),
        ("deleted", "b", 2),
    ]
    assert [entry["rule"]["name"] for entry in tocsin.rows("list")] == ["a", "c", "d"]


def test_prune_never_empties_a_set_without_yes(tocsin: Tocsin, tmp_path: Path) -> None:
    tocsin.apply([fields("a")], "--set", "one")
    empty = tmp_path / "empty"
    empty.mkdir()

    tocsin.run("apply", "-f", str(empty), "--set", "one", "--prune", expect=1)
    assert "--yes" in tocsin.err
    assert len(tocsin.rows("list")) == 1

    rows = tocsin.rows("apply", "-f", str(empty), "--set", "one", "--prune", "--yes")
    assert rows == [{"action": "deleted", "name": "a", "id": 1, "reason": None}]
    assert tocsin.rows("list") == []


def test_list_tells_valid_invalid_and_unsealed_apart(tocsin: Tocsin, plain: Callable[..., None]) -> None:
    tocsin.apply([fields("a")])
    plain((b"7", record("u", action_secret=SECRET)), (b"9", record("i", foo=1)), (b"x\n", record("k")))

    entries = tocsin.rows("list")

    assert all(set(entry) == {"id", "key", "status", "reason", "offset", "rule"} for entry in entries)
    assert [(e["id"], e["key"], e["status"], e["reason"]) for e in entries] == [
        (1, "1", "valid", None),
        (7, "7", "valid", "unsealed: action_secret"),
        (9, "9", "invalid", "foo: unknown field"),
        (None, "x\\n", "invalid", "key: is not a rule id (1 to 9007199254740991 in decimal)"),
    ]
    assert [entry["rule"] is None for entry in entries] == [False, False, True, True]
    assert entries[1]["rule"]["action_secret"] == {"secret": "***"}
    table = tocsin.run("list")
    assert table.count("\n") == 5
    assert SECRET not in table + json.dumps(entries)


def test_get_takes_an_id_a_name_or_a_key(tocsin: Tocsin, plain: Callable[..., None]) -> None:
    tocsin.apply([fields("a", action_secret=SECRET)])
    plain((b"2", record("1")), (b"x", record("k")))

    shown = yaml.safe_load(tocsin.run("get", "a"))
    assert (shown["id"], shown["action_secret"]) == (1, {"secret": "***"})
    assert tocsin.rows("get", "--key", "x")["status"] == "invalid"
    assert tocsin.rows("get", "k")["key"] == "x"
    assert yaml.safe_load(tocsin.run("get", "--key", "x"))["reason"].startswith("key: ")
    tocsin.run("get", "1", expect=1)  # the id of one rule, the name of another
    assert "ambiguous" in tocsin.err
    assert yaml.safe_load(tocsin.run("get", "--key", "1"))["name"] == "a"
    tocsin.run("get", "nobody", expect=1)
    assert "there is no rule 'nobody'" in tocsin.err


def test_what_get_shows_can_be_applied_and_changes_nothing(tocsin: Tocsin) -> None:
    tocsin.apply([fields("a", action_secret=SECRET, action_target={"secret": "https://h.example/x"})])

    shown = yaml.safe_load(tocsin.run("get", "a"))

    assert tocsin.apply([shown]) == [("unchanged", "a", 1)]


def test_delete_takes_an_id_a_name_or_a_key(tocsin: Tocsin, plain: Callable[..., None]) -> None:
    tocsin.apply([fields("a"), fields("b"), fields("c")])
    plain((b"x", b"broken"))

    assert tocsin.rows("delete", "2") == [{"action": "deleted", "name": "b", "id": 2, "reason": None}]
    assert tocsin.rows("delete", "c")[0]["id"] == 3
    assert tocsin.rows("delete", "--key", "x")[0]["id"] is None
    assert [entry["key"] for entry in tocsin.rows("list")] == ["1"]
    tocsin.run("delete", "2", expect=1)
    assert tocsin.apply([fields("d")]) == [("created", "d", 4)]


def test_an_export_restores_an_empty_table_with_ids_uids_sets_and_secrets(
    tocsin: Tocsin, broker: Broker, prefix: str, tmp_path: Path
) -> None:
    tocsin.apply([fields("gone"), fields("a", action_secret=SECRET)], "--set", "s")
    tocsin.apply([fields("no", filter_severity=["on", "0o7"], labels={"x": "1e3"})])
    tocsin.run("delete", "gone")
    before = tocsin.rows("list")
    file = tmp_path / "export.yaml"
    file.write_text(tocsin.run("export", "--with-sealed"))
    assert file.read_text().startswith("---\nkind: RuleTable\nnext_id: 4\n")
    assert SECRET not in file.read_text()

    assert [row["action"] for row in tocsin.rows("apply", "-f", str(file))] == ["unchanged", "unchanged"]

    create_topic(broker.bootstrap, f"{prefix}restored.trigger-rules", 1, {"cleanup.policy": "compact"})
    tocsin.environ["TOCSIN_TOPICS__PREFIX"] = f"{prefix}restored."
    rows = tocsin.rows("apply", "-f", str(file))
    assert [(row["action"], row["id"]) for row in rows] == [("created", 2), ("created", 3)]
    after = tocsin.rows("list")
    for entry in (*before, *after):
        del entry["offset"], entry["rule"]["updated_at"]
    assert after == before
    stored = {r.key: r.value for r in read_all(broker.bootstrap, f"{prefix}restored.trigger-rules")}
    assert stored[b"_table"] == b'{"next_id":4}'
    assert tocsin.rows("apply", "-f", str(file))[0]["action"] == "unchanged"


def test_an_export_without_secrets_says_that_they_are_missing(tocsin: Tocsin) -> None:
    tocsin.apply([fields("a", action_secret=SECRET)])

    out = tocsin.run("export")

    assert "***" in out
    assert "sealed:" not in out
    assert "secrets are not in the export" in tocsin.err


def test_a_missing_topic_and_an_absent_broker_are_one_line_and_exit_code_1(tocsin: Tocsin) -> None:
    tocsin.environ["TOCSIN_TOPICS__PREFIX"] = "nowhere."
    tocsin.run("list", expect=1)
    assert tocsin.err == "tocsin: topic nowhere.trigger-rules is missing: run `tocsin topics apply`\n"

    tocsin.environ["TOCSIN_KAFKA__BOOTSTRAP_SERVERS"] = f"127.0.0.1:{free_port()}"
    tocsin.run("delete", "a", "--timeout", "1s", expect=1)
    assert "no broker answered in time" in tocsin.err.splitlines()[-1]


@pytest.mark.real_kafka
@pytest.mark.parametrize("count", [3_000, pytest.param(10_000, marks=pytest.mark.soak)])
def test_thousands_of_rules_are_applied_in_one_command(tocsin: Tocsin, count: int) -> None:
    rules = [fields(f"r{number}", filter_message_regex=f"error {number}$") for number in range(count)]
    file = tocsin.write(rules)

    seconds: dict[str, float] = {}
    for action in ("created", "unchanged"):
        began = time.monotonic()
        rows = tocsin.rows("apply", "-f", str(file))
        seconds[action] = time.monotonic() - began
        assert {row["action"] for row in rows} == {action}
    assert tocsin.rows("list")[-1]["id"] == count
    print(f"apply of {count:,} rules:", *(f"{action} in {took:.1f} s" for action, took in seconds.items()))
