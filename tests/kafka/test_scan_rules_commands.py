"""`tocsin scan-rules …` against a broker: outputs and exit codes as scripts see them."""

import io
import json
import shlex
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from processor.scanning.report import RuleCounts, ScannerReport, SourceState, WorkloadState, encode
from tests.support.brokers import Broker
from tests.support.records import Record, produce
from tests.support.rules_commands import Tocsin
from tests.support.scan_rules import fields
from tests.support.topics import create_topic

LINE = "Out of memory: Killed process 42 (java)"


@pytest.fixture
def scan(broker: Broker, prefix: str, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Tocsin:
    for name in ("log-scan-rules", "scanner-status"):
        create_topic(broker.bootstrap, f"{prefix}{name}", 1, {"cleanup.policy": "compact"})
    environ = {"TOCSIN_KAFKA__BOOTSTRAP_SERVERS": broker.bootstrap, "TOCSIN_TOPICS__PREFIX": prefix}
    return Tocsin(environ, capsys, tmp_path, "scan-rules")


def test_files_are_applied_changed_and_pruned_with_their_overrides(scan: Tocsin) -> None:
    mine = fields("mine", workload="shop/api", overrides="oom")
    assert scan.apply([mine, fields("oom")], "--set", "s") == [
        ("created", "mine", 2),
        ("created", "oom", 1),
    ]
    assert scan.apply([mine, fields("oom", severity="fatal")], "--set", "s") == [
        ("unchanged", "mine", 2),
        ("updated", "oom", 1),
    ]
    assert scan.apply([mine], "--set", "s", "--prune", expect=1) == [("invalid", "mine", None)]
    assert "rule 1 (oom) would be pruned" in scan.out
    assert scan.apply([fields("new")], "--set", "s", "--prune") == [
        ("created", "new", 3),
        ("deleted", "oom", 1),
        ("deleted", "mine", 2),
    ]
    assert scan.apply([fields("new")], "--set", "s", "--prune") == [("unchanged", "new", 3)]


def test_a_dry_run_shows_the_difference_and_changes_nothing(scan: Tocsin) -> None:
    scan.apply([fields("oom")])
    file = scan.write([fields("oom", severity="fatal"), fields("own", workload="w", overrides="oom")])
    out = scan.run("apply", "-f", str(file), "--dry-run")
    assert "--- scan rule 1 oom" in out
    assert "-severity: error" in out
    assert "+severity: fatal" in out
    assert "+++ scan rule own" in out
    assert [entry["rule"]["severity"] for entry in scan.rows("list")] == ["error"]


def test_what_is_invalid_is_said_with_its_place_and_nothing_is_applied(scan: Tocsin) -> None:
    rules = [fields("a"), fields("b", pattern="("), fields("c", workload="w", overrides="nothing")]
    assert [row[:2] for row in scan.apply(rules, expect=1)] == [("invalid", "b")]
    assert scan.apply([rules[0], rules[2]], expect=1) == [("invalid", "c", None)]
    assert "overrides: there is no global rule 'nothing'" in scan.out
    assert scan.rows("list") == []
    assert [row[:2] for row in scan.apply(rules, "--partial", expect=1)] == [
        ("created", "a"),
        ("invalid", "c"),
        ("invalid", "b"),
    ]


def test_a_trigger_rule_in_the_files_is_refused_by_its_kind(scan: Tocsin) -> None:
    file = scan.write([{"kind": "TriggerRule", "name": "x", "pattern": "a"}])
    assert "expected LogScanRule or LogScanRuleTable" in scan.run("validate", str(file), expect=1)


def test_an_export_restores_an_empty_table_with_ids_and_overrides(scan: Tocsin, tmp_path: Path) -> None:
    scan.apply([fields("gone"), fields("oom", cooldown="90s")])
    scan.run("delete", "gone")
    scan.apply([fields("mine", workload="shop/api", overrides="oom", labels={"a": "b"})])
    exported = scan.run("export")
    documents = list(yaml.safe_load_all(exported))
    assert documents[0] == {"kind": "LogScanRuleTable", "next_id": 4}
    assert [one["overrides"] for one in documents if "overrides" in one] == ["oom"]
    (tmp_path / "export.yaml").write_text(exported)
    before = [entry["rule"] for entry in scan.rows("list")]
    assert {row["action"] for row in scan.rows("apply", "-f", str(tmp_path / "export.yaml"))} == {"unchanged"}

    for rule in ("mine", "oom"):
        scan.run("delete", rule)
    for row in scan.rows("apply", "-f", str(tmp_path / "export.yaml")):
        assert row["action"] == "created"
    after = [entry["rule"] for entry in scan.rows("list")]
    assert [one["name"] for one in after] == ["oom", "mine"]
    assert {one["name"]: one["cooldown"] for one in after} == {one["name"]: one["cooldown"] for one in before}


def test_rules_are_listed_shown_switched_and_found_by_workload(scan: Tocsin) -> None:
    scan.apply([fields("oom"), fields("oom", workload="shop/api"), fields("own", workload="shop/api")])
    out = scan.run("list")
    assert out.splitlines()[0].split() == [
        *("KEY", "NAME", "WORKLOAD", "STATUS", "ENABLED", "SEVERITY", "SET", "PATTERN", "REASON"),
    ]
    assert len(scan.rows("list", "--workload", "shop/api")) == 2
    assert [entry["id"] for entry in scan.rows("list", "--workload", "")] == [1]

    scan.run("get", "oom", expect=1)
    assert "ambiguous" in scan.err
    shown = yaml.safe_load(scan.run("get", "oom", "--workload", "shop/api"))
    assert (shown["id"], shown["workload"]) == (2, "shop/api")
    assert [row["action"] for row in scan.rows("disable", "oom", "own", "--workload", "shop/api")] == [
        "updated",
        "updated",
    ]
    assert [entry["rule"]["enabled"] for entry in scan.rows("list")] == [True, False, False]
    assert [row["action"] for row in scan.rows("enable", "own")] == ["updated"]


def test_deleting_a_global_rule_says_what_went_along(scan: Tocsin) -> None:
    scan.apply([fields("oom"), fields("mine", workload="w", overrides="oom")])
    rows = scan.rows("delete", "oom")
    assert [(row["action"], row["name"]) for row in rows] == [("deleted", "oom"), ("deleted", "mine")]
    assert scan.rows("list") == []
    scan.run("delete", "oom", expect=1)


def test_a_rule_is_edited_in_an_editor(scan: Tocsin, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    scan.apply([fields("oom"), fields("mine", workload="w", overrides="oom")])
    script = tmp_path / "editor.py"
    script.write_text(
        "import pathlib, sys\n"
        "file = pathlib.Path(sys.argv[1])\n"
        "file.write_text(file.read_text().replace('severity: error', 'severity: fatal'))\n"
    )
    monkeypatch.setenv("VISUAL", f"{shlex.quote(sys.executable)} {shlex.quote(str(script))}")
    assert scan.rows("edit", "mine")[0]["action"] == "updated"
    rule = scan.rows("get", "mine")["rule"]
    assert (rule["severity"], rule["overrides"]) == ("fatal", 1)


def test_lines_are_tried_on_files_and_on_the_table(
    scan: Tocsin, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rules = [
        fields("oom", pattern=r"process (?P<pid>\d+)", message_template="killed ${pid}"),
        fields("mine", pattern="java", workload="w", overrides="oom"),
        fields("err", pattern="Killed", streams="stderr"),
    ]
    file = str(scan.write(rules))

    def tried(*arguments: str) -> dict[str, Any]:
        return {row["rule"]: row for row in scan.rows("test", *arguments)}

    found = tried(LINE, "--rule", file)
    assert {name: row["matched"] for name, row in found.items()} == {"oom": True, "mine": True, "err": False}
    assert (found["oom"]["message"], found["oom"]["captures"]) == ("killed 42", {"pid": "42"})
    assert found["err"]["reason"]
    assert tried(LINE, "--rule", file, "--stream", "stderr")["err"]["matched"]

    scan.apply(rules)
    assert set(tried(LINE)) == {"oom", "mine", "err"}
    assert set(tried(LINE, "--workload", "w")) == {"mine", "err"}
    assert tried(LINE, "--workload", "w")["mine"]["event"]["source"] == "w"

    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(LINE.encode() + b"\nall \xff well\n")))
    out = scan.run("test", "-")
    assert out.count("killed 42") == 1
    assert "all \\\\xff well" in out


def test_counts_are_shown_for_all_rules_and_for_one(scan: Tocsin, broker: Broker, prefix: str) -> None:
    scan.apply([fields("oom")])
    report = ScannerReport(
        *("node-a", "1.0", 1_700_000_000_000, 4_000_000_000_000, 10_000),
        sources=(SourceState("cri", 3, "no such directory"),),
        workloads=(WorkloadState("shop/api", 2),),
        rules=(RuleCounts(1, 5, 4, 3),),
    )
    produce(broker.bootstrap, f"{prefix}scanner-status", [Record(encode(report), key=b"node-a")])
    found = scan.rows("stats")
    assert [(one["name"], one["hits"], one["tails"]) for one in found["rules"]] == [("oom", 5, 2)]
    assert [(one["node"], one["stale"]) for one in found["scanners"]] == [("node-a", False)]
    out = scan.run("stats")
    assert "cri: no such directory" in out
    assert [one["dropped"] for one in scan.rows("stats", "oom")["scanners"]] == [3]
    scan.run("stats", "none", expect=1)


def test_without_the_topic_the_remedy_is_said(broker: Broker, prefix: str, scan: Tocsin) -> None:
    scan.environ["TOCSIN_TOPICS__PREFIX"] = f"{prefix}other."
    assert scan.run("list", expect=1) == ""
    assert "is missing: run `tocsin topics apply`" in scan.err
    assert json.loads(scan.run("validate", str(scan.write([fields("a")])), "-o", "json"))
