"""The receiver: answers webhooks as a team's own server would, and hands each on to be shown.

It drops repeats by `webhook-id`, and with 401 refuses what is not signed as the rule's secret asks.
"""

import hmac
import json
import socket
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final, Literal

from aiohttp import web

from processor.delivery.signing import sign

HOST: Final = "127.0.0.1"
PORT: Final = 8099
"""Where the targets in config/rules point."""

TOLERANCE: Final = 300
"""Seconds a `webhook-timestamp` may be off (Standard Webhooks)."""

MAX_BODY: Final = 8 << 20

Signature = Literal["signed", "unsigned", "unchecked", "forged"]
"""`unchecked`: signed for a rule whose secret isn't known here; `forged`: missing or wrong."""


@dataclass(frozen=True, slots=True)
class Webhook:
    """One request as it arrived. `seconds`: from the event being sent, None when that isn't known."""

    id: str
    attempt: int
    rule: str
    severity: str
    source: str
    message: str
    signature: Signature
    repeat: bool
    seconds: float | None


class Receiver:
    """Listens from start() to close(); all on the running event loop."""

    def __init__(
        self,
        show: Callable[[Webhook], None],
        sent_at: Callable[[str], float | None],
        clock: Callable[[], float] = time.monotonic,
        *,
        at: tuple[str, int] | None = None,
    ) -> None:
        """`sent_at` tells from a `traceparent` when its event was sent, by `clock`. `show` must not block.

        `at`: host and port to listen on, instead of where the demo does.
        """
        self.keys: Mapping[str, bytes] = {}
        """The signing key of each rule that has one, by the rule's name."""
        self.delivered: set[str] = set()
        """The webhook-ids that were answered with success."""
        self.seconds: list[float] = []
        """From the event to the first arrival of its webhook."""
        self.repeats = 0
        self.forged = 0
        self.origin = ""
        """Scheme, host and port, once it listens."""
        self._show = show
        self._sent_at = sent_at
        self._clock = clock
        self._at = at
        self._failed: Exception | None = None
        self._runner: web.ServerRunner | None = None

    async def start(self) -> str:
        """Listen on PORT, or on a free port when that is taken; returns `origin`.

        Raises OSError when the address that was asked for can't be had.
        """
        listener = _listen() if self._at is None else socket.create_server(self._at)
        server = web.Server(self._handle, access_log=None)
        self._runner = web.ServerRunner(server, handle_signals=False, shutdown_timeout=0.5)
        await self._runner.setup()
        await web.SockSite(self._runner, listener, backlog=1024).start()
        self.origin = "http://{}:{}".format(*listener.getsockname()[:2])
        return self.origin

    async def close(self) -> None:
        """Stop listening."""
        if self._runner is not None:
            await self._runner.cleanup()

    def check(self) -> None:
        """Raise what `show` has raised (standard output may be gone)."""
        if self._failed is not None:
            raise self._failed

    async def _handle(self, request: web.BaseRequest) -> web.StreamResponse:
        body = await request.read()
        arrived = self._clock()
        webhook = self._look_at(request.headers, body, arrived)
        if webhook is None:
            return web.Response(status=400)
        if webhook.signature == "forged":
            self.forged += 1
        elif webhook.repeat:
            self.repeats += 1
        else:
            self.delivered.add(webhook.id)
            if webhook.seconds is not None:
                self.seconds.append(webhook.seconds)
        try:
            self._show(webhook)
        except OSError as failure:
            self._failed = failure
        return web.Response(status=401 if webhook.signature == "forged" else 204)

    def _look_at(self, headers: Mapping[str, str], body: bytes, arrived: float) -> Webhook | None:
        """None for a request that is no webhook of Tocsin's."""
        try:
            said = json.loads(body)
            rule, event = str(said["trigger_name"]), dict(said["event"])
            webhook_id, attempt = headers["webhook-id"], int(headers["webhook-attempt"])
        except (ValueError, TypeError, KeyError):
            return None
        sent_at = self._sent_at(headers.get("traceparent", ""))
        return Webhook(
            webhook_id,
            attempt,
            rule,
            _text(event.get("severity")),
            _text(event.get("source")),
            _text(event.get("message")),
            verify(self.keys.get(rule), headers, body, int(time.time())),
            webhook_id in self.delivered,
            None if sent_at is None else arrived - sent_at,
        )


def verify(key: bytes | None, headers: Mapping[str, str], body: bytes, now: int) -> Signature:
    """Check as Standard Webhooks says. `key` is None for a rule without a known secret, `now` in seconds."""
    given = headers.get("webhook-signature")
    if key is None:
        return "unsigned" if given is None else "unchecked"
    try:
        timestamp = int(headers["webhook-timestamp"])
        expected = sign([key], headers["webhook-id"], timestamp, body)
    except (KeyError, ValueError):
        return "forged"
    fits = any(hmac.compare_digest(one.encode(), expected.encode()) for one in (given or "").split(" "))
    return "signed" if fits and abs(now - timestamp) <= TOLERANCE else "forged"


def _text(value: object) -> str:
    """A string as it is, anything else as JSON; nothing for null."""
    if value is None or isinstance(value, str):
        return value or ""
    return json.dumps(value, ensure_ascii=False)


def _listen() -> socket.socket:
    try:
        return socket.create_server((HOST, PORT))
    except OSError:
        return socket.create_server((HOST, 0))
