"""Rules over the admin API on a real rule topic: what is read is what was written, by whoever wrote it."""

import json
import socket
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from processor.rules import Create, RuleStore, Writer
from processor.rules.schema import RuleDraft
from processor.settings import Settings
from tests.support.admin import TOKENS, Api, serving
from tests.support.brokers import Broker
from tests.support.installation import Installation
from tests.support.records import read_all
from tests.support.rules import KEY, fields
from tests.support.waiting import wait_until

TARGET = "http://127.0.0.1:9/hook"


@pytest.fixture
def here(broker: Broker, prefix: str) -> Iterator[Installation]:
    admin = {"listen": "127.0.0.1:0", "tokens": TOKENS}
    with Installation(broker.bootstrap, prefix, admin=admin, secrets={"keys": [KEY]}) as installation:
        yield installation


@pytest.fixture
def api(here: Installation) -> Iterator[Api]:
    with serving(here.model) as (served, live):
        wait_until(lambda: live.state()[2] is None, 20, "the table is whole")
        yield served


def rule(name: str = "a", **more: Any) -> dict[str, Any]:
    return fields(name, **{"action_target": TARGET, **more})


def test_a_revision_that_has_passed_is_not_overwritten(api: Api) -> None:
    made = api.post("/trigger-rules", rule())
    path, first = f"/trigger-rules/{made.json['id']}", made.headers["etag"]
    second = api.ask("PATCH", path, {"description": "b"}, headers={"If-Match": first})
    assert second.status == 200
    for method, body in (("PATCH", {"description": "c"}), ("PUT", rule()), ("DELETE", None)):
        late = api.ask(method, path, body, headers={"If-Match": first})
        assert (late.status, late.json["type"]) == (412, "urn:tocsin:problem:changed")
        assert api.ask(method, path, body, headers={"If-Match": "W/" + second.headers["etag"]}).status == 412
        assert api.ask(method, path, body, headers={"If-Match": "7"}).status == 412
    assert api.get(path).json["description"] == "b"
    several = f'"1", {second.headers["etag"]}'
    assert api.ask("PATCH", path, {"description": "d"}, headers={"If-Match": several}).status == 200
    assert api.ask("DELETE", path, headers={"If-Match": "*"}).status == 204
    assert api.ask("DELETE", path, headers={"If-Match": "*"}).status == 404


def test_a_target_is_judged_by_the_rule_as_it_is_when_it_is_written(here: Installation) -> None:
    blocked = {"action_target": "http://169.254.169.254/latest/meta-data"}
    with serving(here.model) as (api, live), serving(here.model) as (behind, old):
        wait_until(lambda: live.state()[2] is None and old.state()[2] is None, 20, "the tables are whole")
        before = api.post("/trigger-rules", rule("before")).json["id"]
        assert old.wait_applied(live.state()[1], 20)
        old.stop()  # from here on the second process knows no more than this
        since = api.post("/trigger-rules", rule("since")).json["id"]
        path = f"/trigger-rules/{since}"
        moved = api.ask("PATCH", f"/trigger-rules/{before}", {"action_target": TARGET + "2"})
        assert moved.status == 200
        for method, target, body in (
            ("PATCH", path, blocked),
            ("PUT", path, rule("since", **blocked)),
            ("PATCH", f"/trigger-rules/{before}", blocked),
        ):
            refused = behind.ask(method, target, body)
            assert refused.status == 422, refused.body
            (error,) = refused.json["errors"]
            assert error["path"] == "action_target"
            assert "is a cloud metadata address" in error["message"]
        # Another target than the one it knew, and the same as there is now: both are written.
        written = behind.ask("PATCH", path, {"action_target": TARGET + "3"})
        assert "the write is made" in written.json["detail"], "though this process can't read it back"
        wait_until(lambda: api.get(path).json["action_target"] == TARGET + "3", 20, "it is in the table")


def test_what_plain_producers_write_is_listed_with_what_is_wrong_with_it(
    api: Api, here: Installation
) -> None:
    api.post("/trigger-rules", rule("one"))
    here.put_rule(40, TARGET, name="two", enabled=False, action_secret="plain-text")
    here.put_rule_record(41, b'{"name":"three","colour":"red"}')
    wait_until(lambda: len(api.get("/trigger-rules").json["items"]) == 3)
    one, two, three = api.get("/trigger-rules").json["items"]
    assert [one["name"], two["name"], three["name"]] == ["one", "two", "three"]
    assert [one["status"], two["status"], three["status"]] == ["valid", "valid", "invalid"]
    assert two["unsealed"] == ["action_secret"]
    assert two["action_secret"] == {"secret": "***"}
    assert "colour: unknown field" in three["reason"]

    def names(query: str) -> list[str]:
        return [item["name"] for item in api.get(f"/trigger-rules?{query}").json["items"]]

    assert names("enabled=true") == ["one"]
    assert names("enabled=false") == ["two"]
    assert names("status=invalid") == ["three"]
    assert names("name=two&status=valid") == ["two"]
    assert names("name=TWO") == []

    shown = api.get("/trigger-rules/41")
    assert (shown.status, shown.json["status"]) == (200, "invalid")
    patched = api.ask("PATCH", "/trigger-rules/41", {"enabled": False})
    assert patched.status == 422
    assert "only replaced (PUT)" in patched.json["detail"]
    replaced = api.ask("PUT", "/trigger-rules/41", rule("three"), headers={"If-Match": shown.headers["etag"]})
    assert (replaced.status, replaced.json["status"]) == (200, "valid")
    here.put_rule_record(42, b"{}")
    wait_until(lambda: api.get("/trigger-rules/42").status == 200)
    assert api.ask("DELETE", "/trigger-rules/42").status == 204


def test_pages_follow_one_another(api: Api, here: Installation) -> None:
    ids = [api.post("/trigger-rules", rule(f"r{n}")).json["id"] for n in range(5)]
    api.ask("DELETE", f"/trigger-rules/{ids[1]}")
    seen: list[int] = []
    cursor = ""
    for _ in range(3):
        page = api.get(f"/trigger-rules?limit=2{cursor}").json
        seen += [item["id"] for item in page["items"]]
        if page["next"] is None:
            break
        cursor = f"&cursor={page['next']}"
    assert seen == [ids[0], *ids[2:]]
    assert api.get("/trigger-rules?cursor=!").json["errors"][0]["path"] == "cursor"


def test_names_and_ids_are_taken_once(api: Api) -> None:
    made = api.post("/trigger-rules", rule("a")).json
    again = api.post("/trigger-rules", rule("a"))
    assert again.status == 422
    message = f"rule {made['id']} has the name 'a' already"
    assert again.json["errors"] == [{"path": "name", "message": message}]
    wrong = api.ask("PUT", f"/trigger-rules/{made['id']}", rule("a", id=made["id"] + 1))
    assert [error["path"] for error in wrong.json["errors"]] == ["id"]


def test_secrets_go_in_and_never_out(api: Api, here: Installation) -> None:
    made = api.post(
        "/trigger-rules",
        rule(
            "s",
            action_target={"secret": f"{TARGET}/path-credential"},
            action_secret={"secret": "signing-credential"},
            delivery={"headers": {"X-Key": {"secret": "header-credential"}}},
        ),
    )
    path = f"/trigger-rules/{made.json['id']}"
    assert made.json["action_target"] == {"secret": "***", "origin": "http://127.0.0.1:9"}
    for change in (
        {"action_secret": "***"},
        {"action_secret": {"secret": "***"}, "action_target": {"secret": "***"}},
        {"delivery": {"headers": {"X-Other": "plain"}}},
    ):
        assert api.ask("PATCH", path, change).status == 200
    assert api.ask("PUT", path, api.get(path).json).status == 200
    records = [r for r in read_all(here.bootstrap, here.topics.rules) if r.key != b"_table"]
    values = [json.loads(r.value or b"{}") for r in records]
    assert len({value["action_secret"]["secret"] for value in values}) == 1, "the placeholder keeps it"
    assert len({value["action_target"]["secret"] for value in values}) == 1
    assert len({value["delivery"]["headers"]["X-Key"]["secret"] for value in values}) == 1
    assert values[-1]["delivery"]["headers"]["X-Other"] == "plain"
    referred = api.ask("PATCH", path, {"action_secret": {"ref": "env:TOCSIN_SECRET_X"}})
    assert referred.json["action_secret"] == {"ref": "env:TOCSIN_SECRET_X"}
    assert "action_secret" not in api.ask("PATCH", path, {"action_secret": None}).json
    nothing_to_keep = api.ask("PATCH", path, {"action_secret": "***"})
    assert [error["path"] for error in nothing_to_keep.json["errors"]] == ["action_secret"]
    everything = b"".join(r.value or b"" for r in read_all(here.bootstrap, here.topics.rules))
    for credential in (b"path-credential", b"signing-credential", b"header-credential"):
        assert credential not in everything


def test_without_a_key_a_secret_is_refused(here: Installation) -> None:
    settings = Settings.model_validate(here.settings(secrets={"keys": []}))
    with serving(settings) as (api, live):
        wait_until(lambda: live.state()[2] is None)
        answer = api.post("/trigger-rules", rule(action_secret="plain"))
    assert answer.status == 422
    (error,) = answer.json["errors"]
    assert error["path"] == "action_secret"
    assert "secrets new-key" in error["message"]


def test_a_name_that_does_not_resolve_is_a_warning(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    real = socket.getaddrinfo

    def look_up(host: str, *rest: Any) -> Any:
        if host == "gone.example.com":
            raise socket.gaierror(socket.EAI_NONAME, "no such name")
        if host == "inside.example.com":
            return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("10.1.2.3", 0))]
        return real(host, *rest)

    monkeypatch.setattr("processor.delivery.resolver.socket.getaddrinfo", look_up)
    made = api.post("/trigger-rules", rule("w", action_target="https://gone.example.com/x"))
    assert made.status == 201
    (warning,) = made.json["warnings"]
    assert warning == {"path": "action_target", "message": "gone.example.com does not resolve now"}
    assert "warnings" not in api.get(f"/trigger-rules/{made.json['id']}").json
    refused = api.post("/trigger-rules", rule("x", action_target="https://inside.example.com/x"))
    assert refused.status == 422
    assert "inside.example.com resolves to 10.1.2.3, which is a private address" in refused.json["detail"]


def test_a_rule_whose_target_is_refused_can_still_be_paused(api: Api, here: Installation) -> None:
    here.put_rule(7, "http://10.0.0.1/x")
    wait_until(lambda: api.get("/trigger-rules/7").status == 200)
    assert api.ask("PATCH", "/trigger-rules/7", {"paused": True}).status == 200
    assert api.ask("PATCH", "/trigger-rules/7", {"action_target": "http://10.0.0.2/x"}).status == 422


def test_writes_at_once_share_transactions_and_fail_alone(api: Api, here: Installation) -> None:
    """60 at once, every third of a name that is taken, beside another writer of the same table."""
    api.post("/trigger-rules", rule("taken"))

    def write(number: int) -> int:
        return api.post("/trigger-rules", rule("taken" if number % 3 == 0 else f"n{number}")).status

    def write_elsewhere(number: int) -> None:
        draft = RuleDraft.model_validate(rule(f"other{number}"))
        with RuleStore(here.model, Writer.of(here.model, "other")) as store:
            store.apply([Create(draft)])

    with ThreadPoolExecutor(32) as pool:
        elsewhere = [pool.submit(write_elsewhere, number) for number in range(5)]
        statuses = list(pool.map(write, range(60)))
        for one in elsewhere:
            one.result()
    assert statuses == [422 if number % 3 == 0 else 201 for number in range(60)]
    wait_until(lambda: len(api.get("/trigger-rules?limit=1000").json["items"]) == 46)
    items = api.get("/trigger-rules?limit=1000").json["items"]
    assert len({item["id"] for item in items}) == len({item["name"] for item in items}) == 46
    assert {item["updated_by"] for item in items} == {"ops", "other"}


def test_patches_of_one_rule_at_once_all_stand(api: Api) -> None:
    made = api.post("/trigger-rules", rule()).json
    path = f"/trigger-rules/{made['id']}"
    with ThreadPoolExecutor(16) as pool:
        answers = list(
            pool.map(lambda n: api.ask("PATCH", path, {"labels": {f"l{n}": "x"}}).status, range(30))
        )
    assert answers == [200] * 30
    assert len(api.get(path).json["labels"]) == 30
