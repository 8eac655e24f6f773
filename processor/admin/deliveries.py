"""/api/v1/deliveries: the audit trail from memory, one job from the topics, and dead ones put back."""

from __future__ import annotations

import asyncio
import logging
import re
import time
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any, Final, TypeVar

import msgspec
from aiohttp import web

from processor.admin.answers import answer
from processor.admin.index import Wanted
from processor.admin.known import Known
from processor.admin.problems import NO_JOB, Problem, invalid, unavailable
from processor.admin.requests import CALLER, read_body, read_choice, read_limit, read_query
from processor.admin.rules import whole_table
from processor.delivery.dead import Selection
from processor.delivery.finding import find_job
from processor.delivery.lookup import Lookup
from processor.delivery.outcome import Kind
from processor.delivery.redelivery import Order, Redelivery, Row
from processor.delivery.trail import Place
from processor.durations import parse_duration
from processor.kafka.cluster import Cluster

log = logging.getLogger(__name__)

LOOKUP_TIMEOUT: Final = timedelta(seconds=10)
"""How long to wait for a broker, for what is read from the topics."""

MOST_LOOKUPS: Final = 8
"""At once, running or waiting, in one process: each reads topics."""

_JOB_ID = re.compile(r"msg_[a-z2-7]{32}")
_CURSOR = re.compile(r"(\d{1,18})-(\d{1,9})-(\d{1,18})")
_OUTCOMES: Final = {kind.value: kind.value for kind in Kind}

T = TypeVar("T")


class Deliveries:
    """Handlers, all on one event loop."""

    def __init__(
        self,
        known: Known,
    ) -> None:
        self._known = known
        self._cluster = Cluster(known.settings.kafka, known.settings.topics.name("admin-lookup"))
        self._under_way = 0

    async def list(self, request: web.Request) -> web.Response:
        """GET: the newest records first, and how far back they go."""
        query = read_query(request)
        wanted = Wanted(
            query.get("rule"),
            query.get("job"),
            read_choice(query, "outcome", _OUTCOMES),
            _read_since(query.get("since")),
        )
        limit, before = read_limit(query), _read_cursor(query.get("cursor"))
        if self._known.following.reason is not None:
            raise unavailable(f"the audit trail is not at its end here: {self._known.following.reason}")
        found, last = await asyncio.to_thread(self._known.index.newest, wanted, limit, before)
        return answer(
            {
                "items": [msgspec.to_builtins(record) for record in found],
                "next": None if last is None else f"{last.at_ms}-{last.partition}-{last.offset}",
                "complete_since": self._known.complete_since,
            }
        )

    async def get(self, request: web.Request) -> web.Response:
        """GET: one job with all its attempts."""
        job_id = _job_id(request)
        snapshot = whole_table(self._known.live)

        def look() -> Any:
            found = find_job(
                Lookup(self._known.settings, self._cluster, LOOKUP_TIMEOUT), job_id, snapshot, _now_ms
            )
            return None if found is None else {**found.fields(snapshot), "attempts": found.attempts()}

        shown = await self._blocking(look)
        if shown is None:
            raise _no_job(job_id)
        return answer(shown)

    async def redeliver(self, request: web.Request) -> web.Response:
        """POST: put a dead job back, once for each death."""
        job_id = _job_id(request)
        body = await read_body(request)
        if body is None:
            body = {}
        if not isinstance(body, dict):
            raise invalid("", "expected an object")
        if unknown := sorted(body.keys() - {"again"}):
            raise invalid(unknown[0] if unknown[0].isprintable() else "", "unknown field")
        again = body.get("again", False)
        if not isinstance(again, bool):
            raise invalid("again", "expected true or false")
        snapshot = whole_table(self._known.live)

        def put_back() -> list[Row]:
            order = Order(Selection(job_id), again)
            return Redelivery(
                self._known.settings, self._cluster, snapshot, order, timeout=LOOKUP_TIMEOUT
            ).run()

        rows = await self._blocking(put_back)
        if not rows:
            raise Problem(NO_JOB, f"there is no dead job {job_id}")
        done = next((row for row in rows if row.action == "redelivered"), rows[0])
        said = {"job_id": job_id, "rule_id": done.rule_id, "action": done.action, "reason": done.reason}
        log.info("redelivery", extra={"fields": {**said, "by": request[CALLER].name}})
        return answer(said)

    async def _blocking(self, work: Callable[[], T]) -> T:
        if self._under_way >= MOST_LOOKUPS:
            raise unavailable(f"{MOST_LOOKUPS} look-ups are under way already")
        self._under_way += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._known.executor, work)
        finally:
            self._under_way -= 1


def _now_ms() -> int:
    return time.time_ns() // 1_000_000


def _job_id(request: web.Request) -> str:
    job_id = request.match_info["job_id"]
    if not _JOB_ID.fullmatch(job_id):
        raise _no_job(job_id)
    return job_id


def _no_job(job_id: str) -> Problem:
    return Problem(
        NO_JOB,
        f"nothing is known of a job {job_id[:60]!r}: it waits nowhere, and neither the audit trail nor the"
        " dead letters go back to it",
    )


def _read_since(text: str | None) -> int:
    if text is None:
        return 0
    try:
        return max(0, _now_ms() - parse_duration(text) // timedelta(milliseconds=1))
    except ValueError:
        pass
    try:
        moment = datetime.fromisoformat(text)
        if moment.tzinfo is not None:
            return max(0, int(moment.timestamp() * 1000))
    except (ValueError, OverflowError):
        pass
    raise invalid("since", "expected a duration such as 1h or a time such as 2026-11-23T10:00:00Z")


def _read_cursor(text: str | None) -> Place | None:
    if text is None:
        return None
    read = _CURSOR.fullmatch(text) if text.isascii() else None
    if read is None:
        raise invalid("cursor", "is not one that a page before gave")
    return Place(*map(int, read.groups()))
