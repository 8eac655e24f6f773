"""The few calls of the Docker Engine API that reading logs takes, over the engine's Unix socket.

Plain aiohttp, because the hot path wants the log's bytes as they come, not an object per line. Paths carry no
version, which every engine answers with its newest; what is used of the answers is in all of them since 1.24.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Final, Self

import aiohttp

_ANSWER: Final = aiohttp.ClientTimeout(total=60, sock_connect=5)
_STREAM: Final = aiohttp.ClientTimeout(total=None, sock_connect=5)
_MAX_EVENT: Final = 1 << 20

# EngineError            a call failed
# ├── EngineAway         the engine doesn't answer, or hung up
# ├── NoSuchContainer    the container was removed
# └── Unreadable         its log can't be read over the API


class EngineError(Exception):
    """A call failed; the text is one line for people."""


class EngineAway(EngineError):  # noqa: N818 - a state of the world, named as such
    """The engine doesn't answer, or hung up."""


class NoSuchContainer(EngineError):  # noqa: N818
    """The container was removed."""


class Unreadable(EngineError):  # noqa: N818
    """The engine can't give this container's log."""


@dataclass(frozen=True, slots=True)
class Listed:
    """A container as the list has it. name is without its slash."""

    id: str
    name: str
    image: str
    labels: Mapping[str, str]
    running: bool
    created: int


@dataclass(frozen=True, slots=True)
class Inspected:
    """What decides how its log is read.

    run: when it was started and when it ended last, so that each start and end makes another one. rotates:
    the engine begins a new file now and then, and removes the oldest.
    """

    running: bool
    terminal: bool
    driver: str
    run: tuple[str, str]
    rotates: bool


class Engine:
    """A client; to be used as an async context manager, on one event loop.

    All calls raise EngineError and its kinds, nothing else.
    """

    def __init__(self, socket: Path) -> None:
        self._socket = socket
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        # No limit of connections: each container that is read holds one.
        connector = aiohttp.UnixConnector(path=str(self._socket), limit=0)
        self._session = aiohttp.ClientSession("http://docker", connector=connector, auto_decompress=False)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._session is not None:
            await self._session.close()
            self._session = None

    async def containers(self) -> Sequence[Listed]:
        """All containers that exist, running or not."""
        found = await self._json("/containers/json", {"all": "1"})
        if not isinstance(found, list):
            raise EngineError("the list of containers is not a list")
        return [_listed(each) for each in found if isinstance(each, dict) and each.get("Id")]

    async def inspect(self, container: str) -> Inspected:
        """How things stand with a container."""
        found = await self._json(f"/containers/{container}/json", {})
        if not isinstance(found, dict):
            raise EngineError("what is known of a container is not an object")
        state, config = _object(found, "State"), _object(found, "Config")
        log = _object(_object(found, "HostConfig"), "LogConfig")
        driver = str(log.get("Type", ""))
        return Inspected(
            running=bool(state.get("Running")),
            terminal=bool(config.get("Tty")),
            driver=driver,
            run=(str(state.get("StartedAt", "")), str(state.get("FinishedAt", ""))),
            rotates=_rotates(driver, _object(log, "Config")),
        )

    async def events(self) -> AsyncGenerator[str]:
        """The ids of containers that were started, ended, were removed or got another name, until the engine
        hangs up.

        The first thing it gives is the empty text: from there on nothing is missed. To be closed with
        `aclosing`.
        """
        filters = json.dumps({"type": ["container"], "event": ["start", "die", "destroy", "rename"]})
        async with self._request("/events", {"filters": filters}, _STREAM) as answer:
            yield ""
            rest = b""
            async for chunk in answer.content.iter_any():
                *lines, rest = (rest + chunk).split(b"\n")
                for line in lines:
                    yield _container(line)
                if len(rest) > _MAX_EVENT:
                    raise EngineError("an event of the engine doesn't end")

    async def logs(
        self, container: str, since: int = 0, *, follow: bool = False, tail: int | None = None
    ) -> AsyncGenerator[bytes]:
        """Bytes of both streams with time stamps, as they come: entries from the second `since` on, of the
        last `tail` entries where that is given. It ends where the log does, with `follow` about when the
        container's run does. The first bytes are empty: the engine has opened the log. To be closed with
        `aclosing`.

        Raises EngineAway when the engine hung up in the middle, Unreadable where it can't give this log.
        """
        query = {"stdout": "1", "stderr": "1", "timestamps": "1", "since": str(since)}
        if follow:
            query["follow"] = "1"
        if tail is not None:
            query["tail"] = str(tail)
        try:
            async with self._request(f"/containers/{container}/logs", query, _STREAM) as answer:
                yield b""
                while data := await answer.content.readany():
                    yield data
        except (NoSuchContainer, EngineAway):
            raise
        except EngineError as error:
            if "not support reading" in str(error):
                raise Unreadable(str(error)) from None
            raise

    async def _json(self, path: str, query: Mapping[str, str]) -> object:
        async with self._request(path, query, _ANSWER) as answer:
            try:
                found: object = json.loads(await answer.read())
            except ValueError:
                raise EngineError(f"{path} of the engine is not JSON") from None
            return found

    @asynccontextmanager
    async def _request(
        self, path: str, query: Mapping[str, str], limit: aiohttp.ClientTimeout
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        if self._session is None:
            raise EngineAway("the client of the Docker engine is closed")
        with _away_when_it_hangs_up(self._socket):
            async with self._session.get(path, params=query, timeout=limit) as answer:
                if answer.status == 404:
                    raise NoSuchContainer(await _message(answer))
                if answer.status != 200:
                    raise EngineError(await _message(answer))
                yield answer


class _away_when_it_hangs_up:  # noqa: N801 - reads as a statement
    def __init__(self, socket: Path) -> None:
        self._socket = socket

    def __enter__(self) -> None:
        return None

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if isinstance(error, aiohttp.ClientConnectorError):
            why = error.os_error.strerror or str(error.os_error)
            raise EngineAway(
                f"no Docker engine answers at {self._socket} ({why}); scanner.docker_socket says where it is"
            ) from None
        if isinstance(error, (aiohttp.ClientError, ConnectionError, asyncio.TimeoutError)):
            why = str(error) or type(error).__name__
            raise EngineAway(f"the Docker engine at {self._socket} hung up: {why}") from None


async def _message(answer: aiohttp.ClientResponse) -> str:
    text = (await answer.content.read(4096)).decode("utf-8", "replace").strip()
    try:
        found = json.loads(text)
    except ValueError:
        found = None
    message = found.get("message") if isinstance(found, dict) else None
    return " ".join(str(message or text or f"status {answer.status}").split())


def _listed(found: Mapping[str, object]) -> Listed:
    names = found.get("Names")
    # A linked container has aliases, such as /web/database: its own name has one slash.
    own = [str(name).removeprefix("/") for name in names] if isinstance(names, list) else []
    own = [name for name in own if "/" not in name] or own
    created = found.get("Created")
    return Listed(
        id=str(found["Id"]),
        name=own[0] if own else str(found["Id"])[:12],
        image=str(found.get("Image", "")),
        labels={str(key): str(value) for key, value in _object(found, "Labels").items()},
        running=found.get("State") in {"running", "paused", "restarting"},
        created=created if isinstance(created, int) else 0,
    )


def _object(found: Mapping[str, object], name: str) -> Mapping[str, object]:
    value = found.get(name)
    return value if isinstance(value, dict) else {}


def _rotates(driver: str, options: Mapping[str, object]) -> bool:
    # Drivers that can't be read themselves have a cache that rotates; journald keeps its files for itself.
    return driver != "journald" and (driver != "json-file" or options.get("max-size", "-1") != "-1")


def _container(line: bytes) -> str:
    try:
        found = json.loads(line)
    except ValueError:
        return ""
    return str(_object(found, "Actor").get("ID", "")) if isinstance(found, dict) else ""
