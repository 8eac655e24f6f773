"""Responses: JSON bodies, problem details, and the headers that every answer has."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import msgspec
from aiohttp import web

from processor.admin.problems import CONTENT_TYPE, Problem

SECURITY_HEADERS: Final = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'; base-uri 'none'",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "Server": "tocsin",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}

STRICT_TRANSPORT: Final = {"Strict-Transport-Security": "max-age=31536000"}


def answer(body: Any, *, status: int = 200, headers: Mapping[str, str] | None = None) -> web.Response:
    """A JSON answer."""
    return web.Response(
        body=msgspec.json.encode(body), status=status, content_type="application/json", headers=headers
    )


def problem_answer(problem: Problem) -> web.Response:
    """The answer that says what the problem is."""
    return web.Response(
        body=msgspec.json.encode(problem.as_json()),
        status=problem.kind.status,
        headers={**problem.headers, "Content-Type": CONTENT_TYPE},
    )
