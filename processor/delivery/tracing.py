"""A span for each attempt, and its context for the receiver, where traces are set.

Names are OpenTelemetry's semantic conventions for HTTP clients and messaging. Of the URL there is only what
its origin has, and of what a receiver answers only the status.
"""

import asyncio
from contextlib import AbstractAsyncContextManager
from dataclasses import replace
from types import TracebackType
from typing import Final, Self

from processor.delivery.http import WebhookRequest
from processor.delivery.outcome import Kind, Outcome
from processor.delivery.sending import Posting
from processor.egress.target import TargetError, read_target
from processor.observability.tracing import Attributes, Tracing

SPAN: Final = "POST"
"""Without a path that is fit to be seen, a client span's name is the method alone."""


class TracedPoster:
    """Makes the attempts of another poster, each in a span; an async context manager as that is."""

    def __init__(
        self, poster: AbstractAsyncContextManager[Posting], tracing: Tracing, jobs_topic: str
    ) -> None:
        self._inner = poster
        self._tracing = tracing
        self._topic = jobs_topic

    async def __aenter__(self) -> Self:
        self._poster = await self._inner.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._inner.__aexit__(kind, error, trace)

    async def post(self, request: WebhookRequest) -> Outcome:
        """Make one attempt, as part of the trace that the job brings along.

        A job without one has a trace of its own, the same for all its attempts.
        """
        span = self._tracing.client_span(
            SPAN,
            self._of_request(request),
            traceparent=request.traceparent,
            without_parent=request.webhook_id,
        )
        try:
            outcome = await self._poster.post(replace(request, traceparent=span.traceparent))
        except asyncio.CancelledError:
            span.end({}, "cancelled")
            raise
        except BaseException as error:
            span.end({}, type(error).__name__)
            raise
        span.end(_of_outcome(outcome), _error_type(outcome))
        return outcome

    def _of_request(self, request: WebhookRequest) -> Attributes:
        attributes: dict[str, str | int] = {
            "http.request.method": "POST",
            "messaging.system": "kafka",
            "messaging.operation.name": "deliver",
            "messaging.operation.type": "process",
            "messaging.destination.name": self._topic,
            "messaging.message.id": request.webhook_id,
            "tocsin.rule.id": request.rule_id,
        }
        if request.attempt > 1:
            attributes["http.request.resend_count"] = request.attempt - 1
        try:
            target = read_target(request.url)
        except TargetError:
            return attributes
        return attributes | {
            "url.scheme": target.scheme,
            "server.address": target.host,
            "server.port": target.port,
        }


def _of_outcome(outcome: Outcome) -> Attributes:
    attributes: dict[str, str | int] = {"tocsin.outcome": outcome.kind.value}
    if outcome.status is not None:
        attributes["http.response.status_code"] = outcome.status
    if outcome.reason is not None:
        attributes["tocsin.reason"] = outcome.reason.value
    if outcome.stage is not None:
        attributes["tocsin.stage"] = outcome.stage.value
    return attributes


def _error_type(outcome: Outcome) -> str | None:
    """The status of an answer that was no, else the reason or the stage at which it failed."""
    if outcome.kind is Kind.DELIVERED:
        return None
    if outcome.status is not None:
        return str(outcome.status)
    return (outcome.reason or outcome.stage or outcome.kind).value
