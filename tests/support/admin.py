"""An admin API under test: its address, its tokens, and a client that says what came back."""

import contextlib
import json
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from datetime import timedelta
from typing import Any, NamedTuple

from processor.admin.server import Limits
from processor.admin.service import Admin
from processor.lifecycle import Deadline
from processor.observability.health import Health
from processor.rules import LiveRules
from processor.settings import Settings
from tests.support.brokers import free_port
from tests.support.processes import Process, Spawn

WRITER = "writer-token-7d1f0c2e9b3a"
READER = "reader-token-5c8e1a4f6d20"
TOKENS = {"ops": WRITER, "watcher": {"token": READER, "role": "read"}}


class Answer(NamedTuple):
    """What came back; headers by their lower-case names."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


class Api:
    """A client with a token."""

    def __init__(self, address: str, token: str | None = WRITER) -> None:
        """`address` is host:port."""
        self.base = f"http://{address}"
        self._token = token

    def with_token(self, token: str | None) -> "Api":
        """The same API for another caller."""
        return Api(self.base.removeprefix("http://"), token)

    def ask(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        raw: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        timeout: float = 30.0,
    ) -> Answer:
        """One request; `path` from behind /api/v1, or whole."""
        path = path if path.startswith("/api/") else f"/api/v1{path}"
        data = raw if raw is not None else None if body is None else json.dumps(body).encode()
        given = {"Content-Type": "application/json"} if data is not None else {}
        if self._token is not None:
            given["Authorization"] = f"Bearer {self._token}"
        request = urllib.request.Request(self.base + path, data, {**given, **(headers or {})}, method=method)
        try:
            with urllib.request.urlopen(request, timeout=timeout) as response:
                return _answer(response.status, response.headers, response.read())
        except urllib.error.HTTPError as error:
            with error:
                return _answer(error.code, error.headers, error.read())

    def get(self, path: str) -> Answer:
        return self.ask("GET", path)

    def post(self, path: str, body: Any, **more: Any) -> Answer:
        return self.ask("POST", path, body, **more)


def _answer(status: int, headers: Any, body: bytes) -> Answer:
    return Answer(status, {name.lower(): value for name, value in headers.items()}, body)


def admin_settings(**more: Any) -> dict[str, Any]:
    """The `admin` group: a free port and the tokens, `more` over them."""
    return {"listen": f"127.0.0.1:{free_port()}", "tokens": TOKENS, **more}


def run_admin(spawn: Spawn, settings: Mapping[str, Any], *, name: str | None = None) -> tuple[Process, Api]:
    """`tocsin run admin` with these settings, ready."""
    process = spawn("run", "admin", settings=settings, name=name).wait_ready()
    return process, Api(settings["admin"]["listen"])


@contextlib.contextmanager
def serving(settings: Settings, *, limits: Limits | None = None) -> Iterator[tuple[Api, LiveRules]]:
    """The API in this process, with its own table. `admin.listen` should have port 0."""
    live = LiveRules(settings, "admin")
    admin = Admin(settings, live, Health(), limits=limits)
    live.start()
    admin.start()
    try:
        yield Api(admin.address or ""), live
    finally:
        admin.stop(Deadline(timedelta(seconds=20)))
        live.stop()
        assert admin.failed is None


NOWHERE = "127.0.0.1:1"
"""Where no broker is: enough for what is decided before one is asked."""


def settings_without_broker(**admin: Any) -> Settings:
    """Settings of an API on a free port whose table never becomes whole; `admin` over its group."""
    return Settings.model_validate(
        {
            "kafka": {"bootstrap_servers": NOWHERE},
            "admin": {"listen": "127.0.0.1:0", "tokens": TOKENS, **admin},
        }
    )
