"""Rules tried out: one sent once for real, to its real target, and a draft judged on a sample event."""

from __future__ import annotations

import asyncio
import json
import logging
import secrets
import time
from collections.abc import Mapping, Sequence
from typing import Any, Final, Protocol

from aiohttp import web

from processor.admin.answers import answer
from processor.admin.problems import TOO_MANY, Problem, invalid
from processor.admin.requests import CALLER, read_body, read_object
from processor.admin.routes import rule_of
from processor.admin.rules import whole_table
from processor.admin.showing import read_draft
from processor.delivery.http import WebhookRequest
from processor.delivery.outcome import Kind, Outcome, Stage
from processor.events import Event, EventDecoder, Unreadable
from processor.jobs.body import BodyTemplate, format_second
from processor.matching.trial import Trial, as_rules
from processor.rules.codec import InvalidRule
from processor.rules.errors import FieldError, InvalidFields, SecretError
from processor.rules.live import LiveRules
from processor.rules.resolve import Resolver
from processor.rules.schema import TriggerRule

log = logging.getLogger(__name__)

TEST_HEADER: Final = "Tocsin-Test"
"""Header of a test's request: `true`. No other request has it."""

MOST_TESTS: Final = 16
"""Requests to receivers at once, in one process."""


class Posting(Protocol):
    """What makes the requests; delivery's Poster is the one."""

    async def post(self, request: WebhookRequest) -> Outcome: ...


class Trying:
    """Handlers, all on the event loop of the poster."""

    def __init__(
        self,
        live: LiveRules,
        poster: Posting,
        resolver: Resolver,
        decoder: EventDecoder,
        paths: Mapping[str, str],
    ) -> None:
        """paths: where an event holds severity, source and message (matcher.event_fields)."""
        self._live = live
        self._poster = poster
        self._resolver = resolver
        self._decoder = decoder
        self._paths = paths
        self._slots = asyncio.Semaphore(MOST_TESTS)

    async def test_rule(self, request: web.Request) -> web.Response:
        """POST: send what the rule would send, once, and say what came of it."""
        rule, _ = rule_of(whole_table(self._live), request.match_info["id"])
        if isinstance(rule, InvalidRule):
            raise invalid("", f"rule {rule.key} is invalid, so it sends nothing: {rule.reason}")
        body = await read_body(request)
        event = self._event(body, rule)
        if self._slots.locked():
            raise Problem(
                TOO_MANY, f"{MOST_TESTS} tests are under way: try again", headers={"Retry-After": "1"}
            )
        webhook_id = f"msg_test_{secrets.token_hex(10)}"
        async with self._slots:
            outcome = await self._send(rule, event, webhook_id)
        fields = {
            "rule": rule.id,
            "name": rule.name,
            "by": request[CALLER].name,
            "outcome": outcome.kind.value,
            "status": outcome.status,
        }
        log.info("rule tested", extra={"fields": fields})
        return answer(
            {
                "delivered": outcome.kind is Kind.DELIVERED,
                "webhook_id": webhook_id,
                "reason": outcome.reason,
                "stage": outcome.stage,
                "status": outcome.status,
                "duration_ms": outcome.duration_ms,
                "error": outcome.error,
                "snippet": outcome.snippet,
            }
        )

    async def try_draft(self, request: web.Request) -> web.Response:
        """POST: whether a draft would fire on an event, and which filter says no."""
        body = await read_object(request)
        if unknown := sorted(body.keys() - {"rule", "event"}):
            raise invalid(_shown(unknown[0]), "unknown field")
        rule, sample = body.get("rule"), body.get("event")
        if not isinstance(rule, dict):
            raise invalid("rule", "expected a rule" if "rule" in body else "is missing")
        if not isinstance(sample, dict):
            raise invalid("event", "expected an object" if "event" in body else "is missing")
        event = self._decoded(sample)
        return answer(await asyncio.to_thread(_verdict, rule, event))

    async def _send(self, rule: TriggerRule, event: Event, webhook_id: str) -> Outcome:
        now_ms = time.time_ns() // 1_000_000
        try:
            headers = self._resolver.headers(rule)
            made = WebhookRequest(
                url=self._resolver.target(rule),
                webhook_id=webhook_id,
                attempt=1,
                body=BodyTemplate(rule.id, rule.name).render(event.body, format_second(now_ms)),
                keys=self._resolver.signing_keys(rule, now_ms),
                headers={
                    **{name: text for name, text in headers.items() if name.lower() != TEST_HEADER.lower()},
                    TEST_HEADER: "true",
                },
                timeout=rule.delivery.timeout.total_seconds() if rule.delivery.timeout is not None else None,
                rule_id=rule.id,
            )
        except SecretError as failure:
            return Outcome(Kind.FAILED, now_ms, stage=Stage.RENDER, error=str(failure))
        return await self._poster.post(made)

    def _event(self, body: Any, rule: TriggerRule) -> Event:
        """The event of the request's body; without one, one that says what it is."""
        if body is not None and not isinstance(body, dict):
            raise invalid("", "expected an object")
        if unknown := sorted((body or {}).keys() - {"event"}):
            raise invalid(_shown(unknown[0]), "unknown field")
        if body and "event" in body:
            if not isinstance(body["event"], dict):
                raise invalid("event", "expected an object")
            return self._decoded(body["event"])
        sample: dict[str, Any] = {}
        for name, value in (
            ("severity", _first(rule.filter_severity, "info")),
            ("source", _first(rule.filter_source, "tocsin")),
            ("message", f"A test of the rule {rule.name}"),
        ):
            _put(sample, self._paths[name], value)
        return self._decoded(sample)

    def _decoded(self, sample: Mapping[str, Any]) -> Event:
        event = self._decoder.decode(json.dumps(sample).encode())
        if isinstance(event, Unreadable):
            raise invalid("event", event.detail)
        return event


def _verdict(body: Mapping[str, Any], event: Event) -> dict[str, Any]:
    try:
        draft = read_draft(body)
    except InvalidFields as failure:
        places = (f"rule.{one.field}" if one.field else "rule" for one in failure.errors)
        errors = [FieldError(place, one.message) for place, one in zip(places, failure.errors, strict=True)]
        raise InvalidFields(errors) from None
    (verdict,) = Trial(as_rules([draft])).verdicts(event)
    refusal = verdict.refusal
    return {
        "fires": verdict.fires,
        "filter": refusal.filter if refusal is not None else None,
        "reason": refusal.reason if refusal is not None else None,
        "severity": event.severity,
        "source": event.source,
        "message": event.message,
    }


def _first(values: Sequence[str], otherwise: str) -> str:
    return values[0] if values else otherwise


def _put(event: dict[str, Any], path: str, value: str) -> None:
    *above, last = path.split(".")
    for name in above:
        inner = event.setdefault(name, {})
        if not isinstance(inner, dict):
            return  # one path leads through another's value: the real event decides what that means
        event = inner
    event.setdefault(last, value)


def _shown(name: str) -> str:
    name = name if len(name) <= 100 else name[:100] + "…"
    return name if name.isprintable() else ascii(name)[1:-1]
