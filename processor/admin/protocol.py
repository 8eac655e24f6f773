"""What the server answers to bytes that are no HTTP request: a problem, as to everything else.

aiohttp answers those itself, in plain text, before an application sees anything; its protocol has one method
for that, which is replaced here.
"""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus

from aiohttp import web

from processor.admin import problems
from processor.admin.answers import problem_answer
from processor.admin.problems import Problem


class Protocol(web.RequestHandler):
    """One connection. `headers` go with every answer."""

    __slots__ = ("_headers",)

    def __init__(self, manager: web.Server, headers: Mapping[str, str], **more: object) -> None:
        super().__init__(manager, **more)  # type: ignore[arg-type]  # what web.AppRunner takes
        self._headers = headers

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        """The answer; the connection ends with it. What came isn't quoted: it may be a secret."""
        super().handle_error(request, status, exc, message)  # says it in the log, refuses what has begun
        if status < HTTPStatus.INTERNAL_SERVER_ERROR:
            problem = Problem(problems.BAD_REQUEST, "what came can't be read as an HTTP/1.1 request")
        else:
            problem = Problem(problems.INTERNAL, "the log has the details")
        response = problem_answer(problem)
        response.headers.update(self._headers)
        response.force_close()
        return response
