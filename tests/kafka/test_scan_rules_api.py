"""Scan rules, workloads and scanners' counts over the admin API, on a real broker."""

import time
from collections.abc import Iterator
from typing import Any

import msgspec
import pytest

from processor.scanning.report import (
    CompileError,
    RuleCounts,
    ScannerReport,
    SourceState,
    WorkloadState,
    encode,
)
from processor.settings import Settings
from tests.support.admin import READER, TOKENS, Api, serving
from tests.support.brokers import Broker
from tests.support.records import Record, produce
from tests.support.rules import rules_settings
from tests.support.scan_rules import fields
from tests.support.topics import create_topic
from tests.support.waiting import wait_until

RULES = "/log-scan-rules"


@pytest.fixture
def here(broker: Broker, prefix: str) -> Settings:
    """Settings of an installation that has the tables' topics, and no others: that is quicker."""
    for name in ("trigger-rules", "log-scan-rules", "scanner-status"):
        create_topic(broker.bootstrap, f"{prefix}{name}", 1, {"cleanup.policy": "compact"})
    return admin_of(broker, prefix)


def admin_of(broker: Broker, prefix: str) -> Settings:
    given = rules_settings(broker.bootstrap, prefix).model_dump()
    given["admin"] = {"listen": "127.0.0.1:0", "tokens": TOKENS}
    return Settings.model_validate(given)


@pytest.fixture
def api(here: Settings) -> Iterator[Api]:
    with serving(here) as (served, _):
        wait_until(lambda: served.get(f"{RULES}/stats").status == 200, 20, "the tables are whole")
        yield served


def made(api: Api, name: str = "oom", **more: Any) -> dict[str, Any]:
    answer = api.post(RULES, fields(name, **more))
    assert answer.status == 201, answer.body
    shown: dict[str, Any] = answer.json
    return shown


def names(api: Api, query: str = "") -> list[str]:
    return [item["name"] for item in api.get(f"{RULES}{query}").json["items"]]


def test_a_rule_is_made_read_changed_and_deleted_and_a_read_here_sees_it_at_once(api: Api) -> None:
    answer = api.post(RULES, fields("oom", cooldown="90s", labels={"team": "ops"}))
    path, tag = f"{RULES}/{answer.json['id']}", answer.headers["etag"]
    assert answer.status == 201
    assert answer.headers["location"] == f"/api/v1{path}"
    assert (answer.json["updated_by"], answer.json["status"], answer.json["cooldown"]) == (
        "ops",
        "valid",
        "90s",
    )
    assert api.get(path).json == answer.json

    patched = api.ask("PATCH", path, {"severity": "fatal", "labels": None}, headers={"If-Match": tag})
    assert (patched.status, patched.json["severity"], patched.json["labels"]) == (200, "fatal", {})
    assert patched.json["cooldown"] == "90s"
    late = api.ask("PUT", path, fields("oom"), headers={"If-Match": tag})
    assert (late.status, late.json["type"]) == (412, "urn:tocsin:problem:changed")
    replaced = api.ask("PUT", path, {**patched.json, "description": "read, changed, written back"})
    assert (replaced.status, replaced.json["cooldown"]) == (200, "90s")
    assert api.ask("PUT", path, fields("oom")).json["cooldown"] == "0s"

    assert api.ask("DELETE", path).status == 204
    assert api.get(path).status == 404
    assert api.ask("DELETE", path).status == 404


def test_what_is_wrong_is_said_all_at_once_with_its_paths(api: Api) -> None:
    answer = api.post(RULES, {"name": "", "pattern": "(", "streams": "all", "colour": 1})
    assert answer.status == 422
    assert {error["path"] for error in answer.json["errors"]} == {"name", "pattern", "streams", "colour"}
    unknown = api.post(RULES, fields("a", pattern="a", message_template="${pid}"))
    assert (unknown.status, unknown.json["errors"][0]["path"]) == (422, "message_template")
    assert api.with_token(READER).post(RULES, fields()).status == 403


def test_names_are_unique_per_workload(api: Api) -> None:
    made(api, "oom")
    assert made(api, "oom", workload="shop/api")["workload"] == "shop/api"
    for more in ({}, {"workload": "shop/api"}):
        taken = api.post(RULES, fields("oom", **more))
        assert (taken.status, taken.json["errors"][0]["path"]) == (422, "name")
    assert names(api, "?workload=shop%2Fapi") == ["oom"]
    assert names(api, "?workload=other") == []


def test_overrides_takes_a_name_or_an_id_and_goes_with_its_global_rule(api: Api) -> None:
    oom = made(api, "oom")["id"]
    by_name = made(api, "a", workload="shop/api", overrides="oom")
    by_id = made(api, "b", workload="shop/db", overrides=oom, pattern="", enabled=False)
    assert by_name["overrides"] == by_id["overrides"] == oom
    refused = api.post(RULES, fields("c", workload="w", overrides="none such"))
    assert (refused.status, refused.json["errors"][0]["path"]) == (422, "overrides")
    moved = api.ask("PATCH", f"{RULES}/{oom}", {"workload": "w"})
    assert (moved.status, moved.json["errors"][0]["path"]) == (422, "workload")
    assert api.ask("PATCH", f"{RULES}/{oom}", {"name": "renamed"}).status == 200
    assert api.get(f"{RULES}/{by_name['id']}").json["overrides"] == oom

    assert api.ask("DELETE", f"{RULES}/{oom}").status == 204
    assert names(api) == []


def test_effective_rules_of_a_workload_with_slashes(api: Api) -> None:
    oom, panic = made(api, "oom")["id"], made(api, "panic")["id"]
    made(api, "off", workload="shop/api", overrides=panic, enabled=False)
    made(api, "own", workload="shop/api")

    def rules(workload: str) -> list[str]:
        answer = api.get(f"/workloads/{workload}/effective-rules")
        assert answer.status == 200, answer.body
        return [item["name"] for item in answer.json["items"]]

    assert rules("shop%2Fapi") == ["oom", "own"]
    assert rules("shop%2Fdb") == ["oom", "panic"]
    assert api.get("/workloads/shop%2Fapi/effective-rules").json["id"] == "shop/api"
    assert rules("%2Fvar%2Flog%2F100%25.log") == ["oom", "panic"]
    assert api.get("/workloads/shop/api/effective-rules").status == 404
    assert oom != panic


def test_a_draft_and_a_stored_rule_are_tried_by_the_engine(api: Api) -> None:
    rule = fields("oom", pattern=r"Killed process (?P<pid>\d+)", message_template="killed ${pid}")
    line = "Out of memory: Killed process 42 (java)"
    reader = api.with_token(READER)
    draft = reader.post(f"{RULES}/test", {"rule": rule, "sample_line": line, "stream": "stderr"})
    assert draft.status == 200, draft.body
    assert (draft.json["matched"], draft.json["captures"]) == (True, {"pid": "42"})
    assert (draft.json["event"]["message"], draft.json["event"]["severity"]) == ("killed 42", "error")
    assert draft.json["event"]["metadata"]["stream"] == "stderr"

    stored = made(api, **rule, workload="shop/api")
    again = reader.post(f"{RULES}/{stored['id']}/test", {"sample_line": line}).json
    assert (again["event"]["source"], again["event"]["metadata"]["rule"]) == ("shop/api", "oom")
    no = reader.post(f"{RULES}/{stored['id']}/test", {"sample_line": "all is well"}).json
    assert (no["matched"], no["event"]) == (False, None)
    assert no["reason"]

    wrong = reader.post(f"{RULES}/test", {"rule": {"name": "x", "pattern": "("}, "sample_line": "a"})
    assert (wrong.status, wrong.json["errors"][0]["path"]) == (422, "rule.pattern")
    wrong = reader.post(f"{RULES}/test", {"rule": rule, "sample_line": "a\nb", "stream": "in", "x": 1})
    assert {error["path"] for error in wrong.json["errors"]} == {"sample_line", "stream", "x"}


def test_counts_and_workloads_are_added_up_over_scanners_and_silent_ones_are_marked(
    api: Api, here: Settings
) -> None:
    oom = made(api, "oom")["id"]
    own = made(api, "own", workload="shop/api", overrides=oom)["id"]
    made(api, "later", workload="not there yet")
    now = time.time_ns() // 1_000_000
    alive = ScannerReport(
        *("node-a", "1.0", now - 60_000, now, 10_000),
        sources=(SourceState("cri", 3),),
        workloads=(WorkloadState("shop/api", 2), WorkloadState("shop/db", 1)),
        rules=(RuleCounts(oom, 5, 4, 3), RuleCounts(own, 1)),
        errors=(CompileError(own, "too large", now),),
    )
    silent = msgspec.structs.replace(alive, node="node-b", reported_at_ms=now - 31_000, errors=())
    forgotten = msgspec.structs.replace(alive, node="node-c", reported_at_ms=now - 8 * 86_400_000)
    reports = [Record(encode(one), key=one.node.encode()) for one in (alive, silent, forgotten)]
    reports.append(Record(b"nonsense", key=b"node-d"))
    produce(here.kafka.bootstrap_servers, here.topics.scanner_status, reports)
    wait_until(lambda: len(api.get(f"{RULES}/stats").json["scanners"]) == 2, 20, "the reports are read")

    stats = api.get(f"{RULES}/stats").json
    assert {one["node"]: one["stale"] for one in stats["scanners"]} == {"node-a": False, "node-b": True}
    first, second, _ = stats["items"]
    assert (first["name"], first["hits"], first["suppressed"], first["dropped"]) == ("oom", 10, 8, 6)
    assert [(one["node"], one["error"]) for one in second["errors"]] == [("node-a", "too large")]
    assert stats["next"] is None
    page = api.get(f"{RULES}/stats?limit=1").json
    assert [one["id"] for one in page["items"]] == [oom]
    assert api.get(f"{RULES}/stats?cursor={page['next']}").json["items"][0]["id"] == own

    of_one = api.get(f"{RULES}/{oom}/stats").json
    assert of_one["tails"] == 1, "shop/db alone: in shop/api it is overridden, and node-b is silent"
    assert [(one["node"], one["hits"], one["stale"]) for one in of_one["scanners"]] == [
        ("node-a", 5, False),
        ("node-b", 5, True),
    ]
    assert api.get(f"{RULES}/999/stats").status == 404

    workloads = api.get("/workloads").json
    assert {one["id"]: (one["tails"], one["rules"]) for one in workloads["items"]} == {
        "not there yet": (0, 2),
        "shop/api": (2, 1),
        "shop/db": (1, 1),
    }
    page = api.get("/workloads?limit=2").json
    assert len(page["items"]) == 2
    following = api.get(f"/workloads?cursor={page['next'].replace('/', '%2F')}").json["items"]
    assert [one["id"] for one in following] == ["shop/db"]
    status = api.get("/status").json
    assert (status["scan_table"]["valid"], [one["node"] for one in status["scanners"]]) == (
        3,
        ["node-a", "node-b"],
    )


def test_what_plain_producers_break_is_shown_and_can_be_mended(api: Api, here: Settings) -> None:
    bad = Record(b'{"name":"bad","pattern":"("}', key=b"7")
    produce(here.kafka.bootstrap_servers, here.topics.scan_rules, [bad])
    wait_until(lambda: names(api, "?status=invalid") == ["bad"])
    shown = api.get(f"{RULES}/7")
    assert shown.json["status"] == "invalid"
    assert api.ask("PATCH", f"{RULES}/7", {"pattern": "x"}).status == 422
    assert api.post(f"{RULES}/7/test", {"sample_line": "x"}).status == 422
    mended = api.ask("PUT", f"{RULES}/7", fields("good"), headers={"If-Match": shown.headers["etag"]})
    assert (mended.status, mended.json["status"]) == (200, "valid")


def test_without_the_scanners_topics_everything_else_works(broker: Broker, prefix: str) -> None:
    create_topic(broker.bootstrap, f"{prefix}trigger-rules", 1, {"cleanup.policy": "compact"})
    with serving(admin_of(broker, prefix)) as (api, live):
        wait_until(lambda: live.state()[2] is None, 20, "the table of trigger rules is whole")
        remedy = f"topic {prefix}log-scan-rules is missing: run `tocsin topics apply`"
        wait_until(lambda: remedy in api.get(RULES).json["detail"], 20, "the topic was looked for")
        for method, path, body in (
            ("GET", RULES, None),
            ("POST", RULES, fields()),
            ("DELETE", f"{RULES}/1", None),
            ("GET", f"{RULES}/stats", None),
            ("GET", "/workloads/a/effective-rules", None),
        ):
            answer = api.ask(method, path, body)
            assert (answer.status, answer.headers["retry-after"]) == (503, "2")
            assert remedy in answer.json["detail"]
        assert api.get("/trigger-rules").status == 200
