"""`tocsin run admin`: rules are made, read, changed and deleted over HTTP, the same that the commands see."""

import json
import statistics
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.admin import READER, admin_settings, run_admin
from tests.support.brokers import Broker
from tests.support.installation import Installation
from tests.support.processes import Spawn, run_tocsin
from tests.support.records import read_all
from tests.support.rules import KEY, fields

TARGET = "http://127.0.0.1:9/hook"


@pytest.fixture
def here(broker: Broker, prefix: str) -> Iterator[Installation]:
    with Installation(
        broker.bootstrap, prefix, admin=admin_settings(), secrets={"keys": [KEY]}
    ) as installation:
        yield installation


def rule(name: str = "a", **more: Any) -> dict[str, Any]:
    return fields(name, **{"action_target": TARGET, **more})


def test_a_rule_is_made_read_changed_and_deleted(here: Installation, spawn: Spawn, tmp_path: Path) -> None:
    settings = here.settings()
    process, api = run_admin(spawn, settings)
    made = api.post("/trigger-rules", rule("disk", filter_severity="error, critical", action_secret="s3cr3t"))
    assert made.status == 201, made.body
    assert made.headers["location"] == f"/api/v1/trigger-rules/{made.json['id']}"
    assert made.headers["etag"] == f'"{made.json["offset"]}"'
    assert made.json["filter_severity"] == ["error", "critical"]
    assert made.json["action_secret"] == {"secret": "***"}
    assert made.json["updated_by"] == "ops"
    path = f"/trigger-rules/{made.json['id']}"
    read = api.with_token(READER).get(path)
    assert (read.status, read.json, read.headers["etag"]) == (200, made.json, made.headers["etag"])
    assert b"s3cr3t" not in read.body

    # What was read can be written back, and changes nothing but who and when.
    put = api.ask("PUT", path, {**read.json, "description": "now with words"})
    assert put.status == 200, put.body
    assert {**put.json, "offset": 0, "updated_at": ""} == {
        **read.json,
        "description": "now with words",
        "offset": 0,
        "updated_at": "",
    }
    key = str(made.json["id"]).encode()
    stored = [r for r in read_all(here.bootstrap, here.topics.rules) if r.key == key]
    secrets = [json.loads(r.value or b"{}")["action_secret"]["secret"] for r in stored]
    assert len(secrets) == 2
    assert secrets[0] == secrets[1]
    assert secrets[0].startswith("sealed:k1:")

    patched = api.ask("PATCH", path, {"paused": True, "description": None, "labels": {"team": "shop"}})
    assert patched.status == 200, patched.body
    assert patched.json["paused"] is True
    assert patched.json["description"] == ""
    assert patched.json["labels"] == {"team": "shop"}
    assert patched.json["action_secret"] == {"secret": "***"}
    cleared = api.ask("PATCH", path, {"action_secret": None, "labels": {"team": None}})
    assert "action_secret" not in cleared.json
    assert cleared.json["labels"] == {}

    code, out, _ = run_tocsin("rules", "get", "disk", "-o", "json", settings=settings, directory=tmp_path)
    assert code == 0
    assert json.loads(out)["rule"]["name"] == "disk"

    assert api.ask("DELETE", path).status == 204
    assert api.get(path).status == 404
    assert api.ask("PUT", path, rule()).status == 404
    assert process.stop() == 0


def test_single_writes_are_quick(here: Installation, spawn: Spawn) -> None:
    _, api = run_admin(spawn, here.settings())
    made = api.post("/trigger-rules", rule("quick")).json
    spent = []
    for number in range(40):
        began = time.perf_counter()
        assert api.ask("PATCH", f"/trigger-rules/{made['id']}", {"description": str(number)}).status == 200
        spent.append(time.perf_counter() - began)
    print(f"p50 {statistics.median(spent) * 1000:.1f} ms, max {max(spent) * 1000:.1f} ms")
    assert statistics.median(spent) < 0.5
