"""Unsecured JSON Web Tokens (RFC 7519, 6), and an endpoint that hands them out for client credentials."""

import base64
import json
import time
from collections.abc import Iterator
from contextlib import AsyncExitStack, contextmanager
from dataclasses import dataclass, field

from aiohttp import BasicAuth, web

from tests.support.beside import beside

LIFETIME = 300.0
"""Seconds."""


def unsecured(user: str) -> tuple[str, float]:
    """A token for that user, and when it ends (seconds since 1970)."""
    now = time.time()
    claims = {"sub": user, "iat": now - 1, "exp": now + LIFETIME, "scope": "kafka"}
    return f"{_part({'alg': 'none', 'typ': 'JWT'})}.{_part(claims)}.", now + LIFETIME


def _part(value: object) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).decode().rstrip("=")


@dataclass
class Endpoint:
    """asked: the form of each request that was granted; refused: how many were not."""

    user: str
    client_id: str
    client_secret: str
    url: str = ""
    asked: list[dict[str, str]] = field(default_factory=list)
    refused: int = 0

    async def token(self, request: web.Request) -> web.Response:
        form = {name: str(value) for name, value in (await request.post()).items()}
        given = BasicAuth.decode(request.headers.get("Authorization", "Basic Og=="))
        if (given.login, given.password) != (self.client_id, self.client_secret):
            self.refused += 1
            return web.json_response({"error": "invalid_client"}, status=401)
        self.asked.append(form)
        return web.json_response(
            {"access_token": unsecured(self.user)[0], "token_type": "Bearer", "expires_in": int(LIFETIME)}
        )


@contextmanager
def handing_out(user: str, client_id: str, client_secret: str) -> Iterator[Endpoint]:
    """An endpoint for the length of the block; its tokens are for `user`."""

    async def serve(stack: AsyncExitStack) -> Endpoint:
        endpoint = Endpoint(user, client_id, client_secret)
        app = web.Application()
        app.router.add_post("/token", endpoint.token)
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await runner.setup()
        stack.push_async_callback(runner.cleanup)
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        endpoint.url = f"http://127.0.0.1:{runner.addresses[0][1]}/token"
        return endpoint

    with beside(serve) as endpoint:
        yield endpoint
