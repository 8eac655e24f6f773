"""/api/v1/openapi.json and /api/v1/docs: the same for everybody, made once."""

from __future__ import annotations

import msgspec
from aiohttp import web

from processor.admin.openapi import document
from processor.admin.page import CONTENT_SECURITY, render


class Description:
    """Handlers; neither needs a token, since neither says anything of this installation."""

    def __init__(self) -> None:
        made = document()
        self._document = msgspec.json.encode(made)
        self._page = render(made)

    async def openapi(self, _: web.Request) -> web.Response:
        """GET: the document."""
        return web.Response(body=self._document, content_type="application/json")

    async def docs(self, _: web.Request) -> web.Response:
        """GET: the page."""
        return web.Response(
            text=self._page, content_type="text/html", headers={"Content-Security-Policy": CONTENT_SECURITY}
        )
