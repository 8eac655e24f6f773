"""From operations and their handlers to an HTTP application: who is let in, and how failures are said."""

from __future__ import annotations

import logging
import secrets
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from aiohttp import web

from processor.admin import problems
from processor.admin.access import Caller, bearer
from processor.admin.answers import SECURITY_HEADERS, STRICT_TRANSPORT, problem_answer
from processor.admin.limits import Buckets, Guesses, Rate
from processor.admin.operation import Operation
from processor.admin.problems import Problem, problem_of
from processor.admin.requests import CALLER, MAX_BODY, OPERATION
from processor.admin.tokens import CurrentTokens
from processor.kafka.errors import KafkaFailure
from processor.rules.errors import RuleFailure

log = logging.getLogger(__name__)

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

REQUESTS: Final = Rate(per_second=100, burst=500)
"""Of one token, in one process."""

WRONG_TOKENS: Final = Rate(per_second=0.2, burst=10)
"""From one address, in one process."""


@dataclass(frozen=True, slots=True)
class Limits:
    """How much is taken: requests of a token, wrong tokens from an address."""

    requests: Rate = REQUESTS
    wrong_tokens: Rate = WRONG_TOKENS


class Gate:
    """Lets callers in, or says why not. One event loop asks."""

    def __init__(
        self, tokens: CurrentTokens, limits: Limits, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._tokens = tokens
        self._guesses = Guesses(limits.wrong_tokens)
        self._requests = Buckets(limits.requests)
        self._clock = clock

    def caller(self, request: web.Request) -> Caller:
        """Whose request it is; raises Problem."""
        token = bearer(request.headers.get("Authorization"))
        if token is None:
            raise _unauthenticated("give a token: Authorization: Bearer TOKEN", "")
        address, now = request.remote or "", self._clock()
        caller = self._tokens.now().caller(token)
        if wait := self._guesses.wait(address, caller.name if caller is not None else None, now):
            raise _wait(wait, "too many wrong tokens came from this address")
        if caller is None:
            self._guesses.failed(address, now)
            log.warning(
                "a wrong admin token was refused", extra={"fields": {"from": address, "path": request.path}}
            )
            raise _unauthenticated("the token is not one that holds", 'error="invalid_token"')
        self._guesses.succeeded(address, caller.name)
        if wait := self._requests.wait(caller.name, now):
            raise _wait(wait, "this token makes too many requests")
        self._requests.take(caller.name, now)
        return caller


def headers_of_all(*, tls: bool) -> dict[str, str]:
    """What every answer has."""
    return {**SECURITY_HEADERS, **(STRICT_TRANSPORT if tls else {})}


def make_app(
    operations: Sequence[Operation], handlers: Mapping[str, Handler], gate: Gate, *, tls: bool
) -> web.Application:
    """The application. handlers: by the operation's id, one for each."""
    headers = headers_of_all(tls=tls)

    @web.middleware
    async def with_headers(request: web.Request, handler: Handler) -> web.StreamResponse:
        response = await handler(request)
        for name, value in headers.items():
            response.headers.setdefault(name, value)
        return response

    @web.middleware
    async def with_problems(request: web.Request, handler: Handler) -> web.StreamResponse:
        try:
            return await handler(request)
        except Exception as failure:  # noqa: BLE001 - no fault of ours may show more than that there was one
            return problem_answer(_problem(request, failure))

    @web.middleware
    async def let_in(request: web.Request, handler: Handler) -> web.StreamResponse:
        operation = by_handler.get(request.match_info.handler)
        # What is under no path, or takes no such method, is nobody's business either.
        if operation is None or operation.role is not None:
            caller = gate.caller(request)
            if operation is not None and operation.role is not None and not caller.may(operation.role):
                log.warning(
                    "an admin token may not do this",
                    extra={"fields": {"name": caller.name, "operation": operation.id}},
                )
                raise _forbidden(caller)
            request[CALLER] = caller
        if operation is not None:
            request[OPERATION] = operation
        return await handler(request)

    app = web.Application(middlewares=[with_headers, with_problems, let_in], client_max_size=MAX_BODY)
    by_handler: dict[object, Operation] = {}
    for operation in operations:
        handler = handlers[operation.id]
        by_handler[handler] = operation
        app.router.add_route(operation.method, operation.path, handler)
        if operation.method == "GET":
            # RFC 9110, 9.3.2: as GET, and aiohttp leaves the body out.
            app.router.add_route("HEAD", operation.path, handler)
    return app


def _problem(request: web.Request, failure: Exception) -> Problem:
    match failure:
        case Problem():
            return failure
        case RuleFailure() | KafkaFailure():
            return problem_of(failure)
        case web.HTTPMethodNotAllowed():
            allowed = ", ".join(sorted(failure.allowed_methods))
            detail = f"this path takes {allowed}"
            return Problem(problems.WRONG_METHOD, detail, headers={"Allow": allowed})
        case web.HTTPNotFound():
            return Problem(problems.NO_ROUTE, "there is nothing under this path")
        case web.HTTPRequestEntityTooLarge():
            return Problem(problems.TOO_LARGE, f"the body is larger than {MAX_BODY} bytes")
        case web.HTTPException():
            return Problem(problems.BAD_REQUEST, failure.reason)
    # The reference finds the log line, which has what must not leave.
    reference = secrets.token_hex(4)
    log.error(
        "a request ended with a fault",
        exc_info=failure,
        extra={"fields": {"method": request.method, "path": request.path, "reference": reference}},
    )
    return Problem(problems.INTERNAL, f"the log has the details under reference {reference}")


def _unauthenticated(detail: str, error: str) -> Problem:
    challenge = f'Bearer realm="tocsin", {error}'.rstrip(", ")
    return Problem(problems.UNAUTHENTICATED, detail, headers={"WWW-Authenticate": challenge})


def _forbidden(caller: Caller) -> Problem:
    challenge = 'Bearer realm="tocsin", error="insufficient_scope"'
    headers = {"WWW-Authenticate": challenge}
    return Problem(problems.FORBIDDEN, f"the token of {caller.name} may only read", headers=headers)


def _wait(seconds: float, why: str) -> Problem:
    headers = {"Retry-After": str(max(1, round(seconds + 0.5)))}
    return Problem(problems.TOO_MANY, f"{why}: try again in {headers['Retry-After']} s", headers=headers)
