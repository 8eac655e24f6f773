"""The receiver shown in docs/receivers.md runs as it is printed there."""

import base64
import hashlib
import hmac
import json
import re
import sqlite3
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

DOCUMENT = Path(__file__).parents[2] / "docs" / "receivers.md"
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
BODY = re.search(r"```json\n(.+?)\n```", DOCUMENT.read_text(), re.DOTALL)

Receive = Callable[[dict[str, str], bytes], int]


def signed(secret: str, body: bytes, timestamp: int) -> dict[str, str]:
    """The headers of a request, signed by hand as the Standard Webhooks specification says."""
    key = base64.b64decode(secret.removeprefix("whsec_")) if secret.startswith("whsec_") else secret.encode()
    digest = hmac.digest(key, b"msg_1.%d.%s" % (timestamp, body), hashlib.sha256)
    return {
        "Webhook-Id": "msg_1",
        "Webhook-Timestamp": str(timestamp),
        "Webhook-Signature": f"v1,{base64.b64encode(digest).decode()}",
    }


@pytest.fixture
def load(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Callable[[str], Receive]]:
    """Run the document's program in an empty directory with this secret; its `receive`."""
    programs: list[dict[str, object]] = []

    def run(secret: str) -> Receive:
        found = re.search(r"```python\n(.+?)\n```", DOCUMENT.read_text(), re.DOTALL)
        assert found is not None
        monkeypatch.chdir(tmp_path)
        monkeypatch.setenv("WEBHOOK_SECRET", secret)
        program: dict[str, object] = {"__name__": "receiver"}
        exec(compile(found[1], str(DOCUMENT), "exec"), program)
        programs.append(program)
        receive = program["receive"]
        assert callable(receive)
        return receive

    yield run
    for program in programs:
        database = program["database"]
        assert isinstance(database, sqlite3.Connection)
        database.close()


def alerts() -> list[str]:
    database = sqlite3.connect("webhooks.db")
    try:
        return [message for (message,) in database.execute("SELECT message FROM alerts")]
    finally:
        database.close()


@pytest.mark.parametrize("secret", [SECRET, "correct horse battery staple"])
def test_genuine_webhook_is_taken_once_however_often_it_comes(
    load: Callable[[str], Receive], secret: str
) -> None:
    receive = load(secret)
    assert BODY is not None
    body = BODY[1].encode()
    now = int(time.time())
    assert receive(signed(secret, body, now), body) == 204
    assert receive(signed(secret, body, now + 1), body) == 204
    assert alerts() == [json.loads(body)["event"]["message"]]


def test_changed_forged_old_and_unsigned_webhooks_are_refused(load: Callable[[str], Receive]) -> None:
    receive = load(SECRET)
    body, now = b'{"event":{"message":"x"}}', int(time.time())
    headers = signed(SECRET, body, now)
    refused = [
        (headers, body.replace(b"x", b"y")),
        (signed("another secret", body, now), body),
        (signed(SECRET, body, now - 3600), body),
        (headers | {"Webhook-Signature": "v1"}, body),
        (headers | {"Webhook-Signature": "v1,***"}, body),
        ({"Webhook-Id": "msg_1", "Webhook-Timestamp": str(now)}, body),
        (headers, b"\xff"),
    ]
    assert [receive(*request) for request in refused] == [401] * len(refused)
    assert alerts() == []
