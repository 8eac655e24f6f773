"""Who may use the admin API, each route by each kind of token; what is refused without a look at rules."""

import hmac
import json
import os
import socket
import statistics
import time
from collections.abc import Iterator
from http.client import HTTPResponse
from pathlib import Path
from typing import Any

import pytest

from processor.admin.access import Tokens, bearer
from processor.admin.limits import Buckets, Guesses, Rate
from processor.admin.operation import Operation
from processor.admin.operations import OPERATIONS
from processor.admin.requests import MAX_BODY
from processor.admin.server import Limits
from processor.admin.tokens import CurrentTokens
from processor.lifecycle import Refused
from processor.settings_admin import AdminSettings, read_tokens
from tests.support.admin import READER, WRITER, Api, serving, settings_without_broker

OPEN = {"openapi", "docs"}
"""What says nothing of an installation, and so is anybody's."""

WRITES = {
    *{"createRule", "replaceRule", "patchRule", "deleteRule", "testRule", "redeliver"},
    *{"createScanRule", "replaceScanRule", "patchScanRule", "deleteScanRule"},
}


@pytest.fixture(scope="module")
def api() -> Iterator[Api]:
    plenty = Rate(1_000, 100_000)
    with serving(settings_without_broker(), limits=Limits(plenty, plenty)) as (served, _):
        yield served


def ask(api: Api, operation: Operation) -> int:
    path = operation.path.format(id=7, job_id="msg_x")
    body: dict[str, Any] | None = {} if operation.body else None
    return api.ask(operation.method, path, body).status


@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda operation: operation.id)
def test_every_route_is_closed_to_who_has_no_token_that_holds(api: Api, operation: Operation) -> None:
    expected = 200 if operation.id in OPEN else 401
    assert ask(api.with_token(None), operation) == expected
    assert ask(api.with_token("wrong"), operation) == expected
    assert ask(api.with_token(WRITER + "x"), operation) == expected
    assert ask(api.with_token(WRITER[:-1]), operation) == expected
    assert ask(api.with_token("ops"), operation) == expected


@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda operation: operation.id)
def test_a_token_that_may_only_read_writes_nothing(api: Api, operation: Operation) -> None:
    status = ask(api.with_token(READER), operation)
    assert (status == 403) == (operation.id in WRITES)
    assert status != 401


@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda operation: operation.id)
def test_a_token_that_may_write_is_let_in_everywhere(api: Api, operation: Operation) -> None:
    assert ask(api, operation) not in {401, 403}


@pytest.mark.parametrize(
    "header", ["Basic b3BzOng=", "Bearer", "Bearer ", WRITER, f"Token {WRITER}", f"Bearer {WRITER} x", "é"]
)
def test_other_credentials_are_none(api: Api, header: str) -> None:
    answer = api.with_token(None).ask("GET", "/trigger-rules", headers={"Authorization": header})
    assert answer.status == 401
    assert answer.headers["www-authenticate"].startswith('Bearer realm="tocsin"')
    assert answer.json["type"] == "urn:tocsin:problem:unauthenticated"


def test_the_scheme_is_not_case_sensitive() -> None:
    assert bearer("bEARER  abc") == "abc"


def test_a_token_taken_out_of_the_file_holds_no_longer(tmp_path: Path) -> None:
    file = tmp_path / "tokens.yaml"
    file.write_text("ci: first-token-of-the-file\nwatch: {token: second-token-of-it, role: read}\n")
    clock = _Clock()
    current = CurrentTokens(AdminSettings.model_validate({"tokens_file": str(file)}), clock)
    held = current.now()
    assert [held.caller(t) is not None for t in ("first-token-of-the-file", "second-token-of-it")] == [
        True,
        True,
    ]
    _replace(file, "ci: another-token-of-the-file\n")
    assert current.now().caller("first-token-of-the-file") is not None, "the file is looked at once a second"
    clock.now += 1.5
    assert current.now().caller("first-token-of-the-file") is None
    assert current.now().caller("another-token-of-the-file") is not None
    for broken in ("ci: [", "ci: 7\n", "- a\n"):
        _replace(file, broken)
        clock.now += 1.5
        assert current.now().caller("another-token-of-the-file") is None
    _replace(file, "ci: another-token-of-the-file\n")
    clock.now += 1.5
    assert current.now().caller("another-token-of-the-file") is not None
    file.unlink()
    clock.now += 1.5
    assert current.now().caller("another-token-of-the-file") is None


def test_tokens_of_the_settings_outlive_the_file(tmp_path: Path) -> None:
    file = tmp_path / "tokens.json"
    file.write_text(json.dumps({"ci": "first-token-of-the-file"}))
    clock = _Clock()
    given = {"tokens": {"ops": WRITER}, "tokens_file": str(file)}
    current = CurrentTokens(AdminSettings.model_validate(given), clock)
    file.unlink()
    clock.now += 2
    caller = current.now().caller(WRITER)
    assert caller is not None
    assert (caller.name, caller.role) == ("ops", "write")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "holds no token"),
        ("ops: abc", "is in admin.tokens as well"),
        ("ci: " + WRITER, "has the token of another name"),
        ("ci: 'white space'", "must be text of letters"),
        ("ci: {token: abc, role: admin}", "role must be read or write"),
        ("ci: {token: abc, rule: read}", "unknown field"),
        ("{", "neither YAML nor JSON"),
        ("'a b': abc", "a token's name must be"),
    ],
)
def test_a_file_that_says_something_else_keeps_the_api_from_starting(
    tmp_path: Path, text: str, said: str
) -> None:
    file = tmp_path / "tokens"
    file.write_text(text)
    own = {} if said == "holds no token" else {"ops": WRITER}
    settings = AdminSettings.model_validate({"tokens": own, "tokens_file": str(file)})
    with pytest.raises(Refused) as refused:
        CurrentTokens(settings, _Clock())
    assert said in str(refused.value)
    assert "abc" not in str(refused.value)
    assert WRITER not in str(refused.value)


def test_wrong_tokens_take_as_long_whatever_is_wrong_with_them() -> None:
    """The comparison goes through all tokens, on digests: what a token begins with must not show.

    The bound is loose: a busy machine's noise is larger than what an early exit would save.
    """
    tokens = Tokens(read_tokens({f"name{n}": f"{n:03}" + "a" * 61 for n in range(50)}))
    kinds = ["000" + "a" * 60 + "b", "b" * 64, "0", "049" + "a" * 60 + "b"]
    spent: dict[str, list[float]] = {kind: [] for kind in kinds}
    for _ in range(300):
        for kind in kinds:
            began = time.perf_counter_ns()
            assert tokens.caller(kind) is None
            spent[kind].append(time.perf_counter_ns() - began)
    medians = [statistics.median(values) for values in spent.values()]
    assert max(medians) < 3 * min(medians), medians


def test_every_token_is_compared_whichever_is_right(monkeypatch: pytest.MonkeyPatch) -> None:
    compared: list[bytes] = []
    real = hmac.compare_digest

    def counted(known: bytes, given: bytes) -> bool:
        compared.append(known)
        return real(known, given)

    monkeypatch.setattr("processor.admin.access.hmac.compare_digest", counted)
    tokens = Tokens(read_tokens({"a": "x" * 20, "b": "y" * 20, "c": "z" * 20}))
    for token in ("x" * 20, "z" * 20, "none of them"):
        compared.clear()
        tokens.caller(token)
        assert len(compared) == 3


def test_guessing_is_slowed_down_and_known_callers_go_on(caplog: pytest.LogCaptureFixture) -> None:
    limits = Limits(wrong_tokens=Rate(per_second=0.01, burst=5))
    with serving(settings_without_broker(), limits=limits) as (api, _):
        assert api.get("/nothing").status == 404
        caplog.set_level("WARNING", "processor.admin")
        statuses = [api.with_token(f"guess-{n}").get("/trigger-rules").status for n in range(8)]
        assert statuses == [401] * 5 + [429] * 3
        turned_away = api.with_token(READER).get("/trigger-rules")
        assert turned_away.status == 429, "a right guess looks like a wrong one"
        assert int(turned_away.headers["retry-after"]) >= 1
        assert api.get("/nothing").status == 404, "whoever was known there before goes on"
    refused = [record for record in caplog.records if "wrong admin token" in record.message]
    assert len(refused) == 5
    assert "guess-" not in caplog.text


def test_a_token_makes_so_many_requests_and_no_more() -> None:
    limits = Limits(requests=Rate(per_second=0.01, burst=3))
    with serving(settings_without_broker(), limits=limits) as (api, _):
        assert [api.get("/nothing").status for _ in range(5)] == [404] * 3 + [429] * 2
        assert api.with_token(READER).get("/nothing").status == 404, "others have their own"


def test_buckets_fill_again() -> None:
    buckets = Buckets(Rate(per_second=2, burst=2), most_keys=2)
    for _ in range(2):
        assert buckets.wait("a", 10.0) == 0
        buckets.take("a", 10.0)
    assert buckets.wait("a", 10.0) == pytest.approx(0.5)
    assert buckets.wait("a", 10.5) == 0
    assert buckets.wait("b", 10.0) == 0
    for key in ("b", "c"):
        buckets.take(key, 10.0)
    assert buckets.wait("a", 10.0) == 0, "the one longest unused is forgotten"


def test_a_right_token_is_known_only_where_it_was_used() -> None:
    guesses = Guesses(Rate(per_second=1, burst=1))
    guesses.succeeded("10.0.0.1", "ops")
    for address in ("10.0.0.1", "10.0.0.2"):
        guesses.failed(address, 0.0)
    assert guesses.wait("10.0.0.1", "ops", 0.0) == 0
    assert guesses.wait("10.0.0.1", None, 0.0) > 0
    assert guesses.wait("10.0.0.2", "ops", 0.0) > 0
    assert guesses.wait("10.0.0.2", "ops", 1.5) == 0


@pytest.mark.parametrize(
    ("raw", "content_type", "status", "kind"),
    [
        (b"{", "application/json", 400, "not-json"),
        (b"\xff", "application/json", 400, "not-json"),
        (b'{"a":1,"a":2}', "application/json", 400, "not-json"),
        (b"NaN", "application/json", 400, "not-json"),
        (b"[" * 100_000, "application/json", 400, "not-json"),
        (b"9" * 5_000, "application/json", 400, "not-json"),
        (b"{}", "text/plain", 415, "wrong-content-type"),
        (b"{}", "application/merge-patch+json", 415, "wrong-content-type"),
        (b"[]", "application/json", 422, "invalid-fields"),
        (b"null", "application/json", 422, "invalid-fields"),
        (b"{}", "application/json", 422, "invalid-fields"),
        (b'"' + b"a" * MAX_BODY + b'"', "application/json", 413, "too-large"),
    ],
)
def test_bodies_that_are_no_rules(api: Api, raw: bytes, content_type: str, status: int, kind: str) -> None:
    answer = api.ask("POST", "/trigger-rules", raw=raw, headers={"Content-Type": content_type})
    assert (answer.status, answer.json["type"]) == (status, f"urn:tocsin:problem:{kind}")
    assert answer.headers["content-type"] == "application/problem+json"


def test_every_wrong_field_is_listed_with_its_path(api: Api) -> None:
    body: dict[str, Any] = {
        "enabled": "yes",
        "filter_message_regex": "(",
        "action_type": "email",
        "action_target": "ftp://hooks.example.com/very-secret-path",
        "delivery": {"headers": {"Host": "x", "X-Ok": "y"}, "max_attempts": 0},
        "colour": "red",
    }
    answer = api.post("/trigger-rules", body)
    assert answer.status == 422
    assert {error["path"] for error in answer.json["errors"]} == {
        "name", "enabled", "filter_message_regex", "action_type", "action_target", "delivery.headers.Host",
        "delivery.max_attempts", "colour",
    }  # fmt: skip
    assert b"very-secret-path" not in answer.body


@pytest.mark.parametrize(
    "query", ["limit=0", "limit=1001", "limit=x", "enabled=yes", "status=new", "colour=red", "name=a&name=b"]
)
def test_a_query_that_means_nothing_is_refused(api: Api, query: str) -> None:
    answer = api.get(f"/trigger-rules?{query}")
    assert answer.status == 422
    assert [error["path"] for error in answer.json["errors"]] == [query.partition("=")[0]]


@pytest.mark.parametrize(
    ("target", "said"),
    [
        ("http://127.0.0.1/x", "loopback"),
        ("http://[::1]/x", "loopback"),
        ("http://localhost/x", "loopback"),
        ("http://169.254.169.254/x", "sender.egress.allow_cidrs"),
        ("http://10.1.2.3/x", "private"),
        ("http://0.0.0.0/x", "would allow it"),
        ("http://2130706433/x", "spells 127.0.0.1"),
        ("http://user:pass@hooks.example.com/x", "user name or password"),
    ],
)
def test_a_target_that_the_sender_would_not_call_is_refused(api: Api, target: str, said: str) -> None:
    body = {"name": "a", "action_type": "webhook", "action_target": target}
    for given in (target, {"secret": target}):
        answer = api.post("/trigger-rules", {**body, "action_target": given})
        assert answer.status == 422
        (error,) = answer.json["errors"]
        assert error["path"] == "action_target"
        assert said in error["message"]


def test_paths_and_methods_that_are_not_there(api: Api) -> None:
    assert api.get("/trigger-rules/abc").status in {404, 503}
    assert api.ask("GET", "/api/v2/trigger-rules").json["type"] == "urn:tocsin:problem:no-route"
    wrong = api.ask("PUT", "/trigger-rules", {})
    assert (wrong.status, wrong.headers["allow"]) == (405, "GET, HEAD, POST")
    assert wrong.json["type"] == "urn:tocsin:problem:wrong-method"


@pytest.mark.parametrize(
    ("path", "status"), [("/openapi.json", 200), ("/docs", 200), ("/trigger-rules", 503), ("/nothing", 404)]
)
def test_head_is_get_without_the_body(api: Api, path: str, status: int) -> None:
    get, head = api.get(path), api.ask("HEAD", path)
    assert (get.status, head.status) == (status, status)
    assert get.body
    assert head.body == b""
    assert head.headers["content-length"] == str(len(get.body))
    assert head.headers["content-type"] == get.headers["content-type"]


def test_head_needs_a_token_where_get_does(api: Api) -> None:
    assert api.with_token(None).ask("HEAD", "/trigger-rules").status == 401
    assert "HEAD" in api.get("/openapi.json").json["info"]["description"]


@pytest.mark.parametrize(
    "raw",
    [
        b"hunter2 is no request\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03 TLS to a plain port",
        b"GET / HTTP/1.1\r\nHost: a\r\nno colon hunter2\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\nabc",
        b"GET /" + b"x" * 20_000 + b" HTTP/1.1\r\nHost: a\r\n\r\n",
        b"GET / HTTP/1.1\r\nX-Long: " + b"x" * 20_000 + b"\r\n\r\n",
    ],
    ids=["words", "tls", "no-colon", "two-lengths", "smuggling", "long-line", "long-header"],
)
def test_what_is_no_http_is_answered_with_a_problem(
    api: Api, raw: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    host, _, port = api.base.removeprefix("http://").partition(":")
    with socket.create_connection((host, int(port)), timeout=20) as connection:
        connection.sendall(raw)
        answer = HTTPResponse(connection)
        answer.begin()
        body = answer.read()
        assert connection.recv(1) == b"", "the connection ends"
    assert (answer.status, answer.headers["content-type"]) == (400, "application/problem+json")
    assert json.loads(body)["type"] == "urn:tocsin:problem:bad-request"
    assert b"hunter2" not in body
    assert "Traceback" not in caplog.text
    assert answer.headers["server"] == "tocsin"
    assert answer.headers["x-content-type-options"] == "nosniff"


def test_without_a_table_nothing_is_answered_from_it(api: Api) -> None:
    answer = api.get("/trigger-rules")
    assert (answer.status, answer.json["type"]) == (503, "urn:tocsin:problem:unavailable")
    assert answer.headers["retry-after"]


def test_every_answer_has_the_security_headers(api: Api) -> None:
    for answer in (
        api.get("/openapi.json"),
        api.get("/docs"),
        api.get("/nothing"),
        api.with_token("x").get("/"),
    ):
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["content-security-policy"].startswith("default-src 'none'")
        assert "frame-ancestors 'none'" in answer.headers["content-security-policy"]
        assert answer.headers["cache-control"] == "no-store"
        assert answer.headers["referrer-policy"] == "no-referrer"
        assert answer.headers["server"] == "tocsin"


def test_a_fault_of_our_own_shows_no_more_than_a_reference(
    api: Api, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(*_: object) -> None:
        raise RuntimeError("a-secret-in-a-traceback")

    monkeypatch.setattr("processor.admin.routes.whole", broken)
    caplog.set_level("ERROR", "processor.admin")
    answer = api.get("/trigger-rules")
    assert answer.status == 500
    assert answer.json["type"] == "urn:tocsin:problem:internal"
    assert b"a-secret" not in answer.body
    assert b"Traceback" not in answer.body
    (record,) = caplog.records
    assert record.fields["reference"] in answer.json["detail"]  # type: ignore[attr-defined]


class _Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def _replace(file: Path, text: str) -> None:
    new = file.with_suffix(".new")
    new.write_text(text)
    os.replace(new, file)
