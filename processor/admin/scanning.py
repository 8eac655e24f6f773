"""/api/v1/log-scan-rules and /api/v1/workloads: scan rules, what they make of lines, what scanners say."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
from aiohttp import web

from processor.admin.answers import answer
from processor.admin.operation import SCAN_RULES
from processor.admin.problems import invalid, invalid_fields
from processor.admin.requests import read_limit, read_object, read_query
from processor.admin.routes import TableRoutes, rule_of, whole
from processor.admin.showing import read_draft_as
from processor.rules.building import Create, Delete, Update
from processor.rules.codec import InvalidRule
from processor.rules.errors import FieldError, InvalidFields
from processor.rules.fields import format_ms
from processor.scanning.changes import ScanChange
from processor.scanning.codec import to_fields
from processor.scanning.effective import effective
from processor.scanning.lines import MAX_LINE, Tail
from processor.scanning.live import LiveReports, LiveScanRules
from processor.scanning.report import ScannerReport, recent
from processor.scanning.rule import ScanDraft, ScanRule
from processor.scanning.shown import on_scanner, scanner, totals
from processor.scanning.stats import Scanned, Workload, left_out
from processor.scanning.table import ScanSnapshot
from processor.scanning.trial import try_line

_WHAT = "the table of scan rules"
_STREAMS = ("stdout", "stderr")


class ScanRoutes(TableRoutes[ScanRule, ScanDraft, ScanSnapshot, ScanChange]):
    """Handlers of the table itself, all on one event loop."""

    path = SCAN_RULES
    what = _WHAT

    def _read_draft(self, body: Mapping[str, Any], rule_id: int | None = None) -> ScanDraft:
        return read_draft_as(ScanDraft, body, rule_id)

    def _show(
        self, rule: ScanRule | InvalidRule, offset: int, warnings: Sequence[FieldError] = ()
    ) -> dict[str, Any]:
        del warnings
        return show_scan_rule(rule, offset)

    def _fields(self, rule: ScanRule) -> Mapping[str, Any]:
        return to_fields(rule)

    def _creation(self, draft: ScanDraft, by: str) -> ScanChange:
        return Create(draft, by=by)

    def _new_version(self, rule_id: int, draft: ScanDraft, by: str) -> ScanChange:
        return Update(rule_id, draft, by=by)

    def _deletion(self, rule_id: int) -> ScanChange:
        return Delete(b"%d" % rule_id)


class ScanTrying:
    """Handlers that try a rule on a line, with the code that judges real ones."""

    def __init__(self, live: LiveScanRules, node: str) -> None:
        """`node`: what the event of a trial says of where it was made."""
        self._live = live
        self._node = node

    async def test_rule(self, request: web.Request) -> web.Response:
        """POST: what the rule with this id makes of a line."""
        snapshot = whole(self._live, _WHAT)
        rule, _ = rule_of(snapshot, request.match_info["id"])
        if isinstance(rule, InvalidRule):
            raise invalid("", f"rule {rule.key} is invalid, so it matches nothing: {rule.reason}")
        return await self._try(rule, await read_object(request), ())

    async def try_draft(self, request: web.Request) -> web.Response:
        """POST: what a draft makes of a line."""
        body = await read_object(request)
        said = body.get("rule")
        if not isinstance(said, dict):
            raise invalid("rule", "expected a scan rule" if "rule" in body else "is missing")
        return await self._try(await asyncio.to_thread(_draft_as_rule, said), body, ("rule",))

    async def _try(self, rule: ScanRule, body: Mapping[str, Any], besides: Sequence[str]) -> web.Response:
        line, stream, workload = _read_sample(body, besides)
        now = format_ms(_now_ms())
        tail = Tail("trial", workload or rule.workload or "example")

        def work() -> dict[str, Any]:
            found = try_line(rule, line, now=now, stream=stream, tail=tail, node=self._node)
            event = None if found.event is None else msgspec.to_builtins(found.event)
            return {
                "matched": found.matched,
                "reason": found.reason or None,
                "captures": dict(found.captures),
                "event": event,
            }

        return answer(await asyncio.to_thread(work))


class Scanners:
    """Handlers of what the scanners report."""

    def __init__(self, live: LiveScanRules, reports: LiveReports) -> None:
        self._live = live
        self._reports = reports

    async def stats(self, request: web.Request) -> web.Response:
        """GET: every rule's counts, and every scanner."""
        query = read_query(request)
        limit, after = read_limit(query), _read_id_cursor(query.get("cursor"))
        snapshot, scanned = self._scanned()
        ids = sorted(rule_id for rule_id in snapshot.rules if rule_id > after)
        page = ids[:limit]
        items = [totals(snapshot.rules, scanned.of_rule(rule_id)) for rule_id in page]
        return answer(
            {
                "items": items,
                "next": str(page[-1]) if len(ids) > limit else None,
                "scanners": [scanner(one, scanned) for one in scanned.reports],
            }
        )

    async def rule_stats(self, request: web.Request) -> web.Response:
        """GET: one rule's counts on each scanner."""
        snapshot, scanned = self._scanned()
        rule, _ = rule_of(snapshot, request.match_info["id"])
        if rule.id is None:
            raise invalid("id", "is not a rule's")
        stats = scanned.of_rule(rule.id)
        each = [on_scanner(one, scanned) for one in stats.scanners]
        return answer({**totals(snapshot.rules, stats), "tails": stats.tails, "scanners": each})

    async def workloads(self, request: web.Request) -> web.Response:
        """GET: every workload that has logs or rules of its own."""
        query = read_query(request)
        limit, after = read_limit(query), query.get("cursor")
        snapshot, scanned = self._scanned()
        found = [one for one in scanned.workloads() if after is None or one.name > after]
        page = found[:limit]
        items = await asyncio.to_thread(lambda: [_workload(one, snapshot) for one in page])
        return answer(
            {
                "items": items,
                "next": page[-1].name if len(found) > limit else None,
                "left_out": left_out(scanned.reports),
            }
        )

    async def effective_rules(self, request: web.Request) -> web.Response:
        """GET: the rules that the workload's lines are judged by, whether it has logs now or not."""
        workload = request.match_info["id"]
        snapshot, scanned = self._scanned()
        tails = sum(
            one.tails
            for report in scanned.reports
            if not scanned.is_stale(report)
            for one in report.workloads
            if one.name == workload
        )
        rules = effective(snapshot.rules.values(), workload)
        items = [show_scan_rule(rule, snapshot.offsets[rule.id]) for rule in rules]
        return answer({"id": workload, "tails": tails, "items": items})

    def _scanned(self) -> tuple[ScanSnapshot, Scanned]:
        snapshot = whole(self._live, _WHAT)
        reports = whole(self._reports, "the table of the scanners' reports")
        now_ms = _now_ms()
        return snapshot, Scanned(recent(reports.values(), now_ms), snapshot.rules, now_ms)


def show_scan_rule(rule: ScanRule | InvalidRule, offset: int) -> dict[str, Any]:
    """A record of the table as a read shows it."""
    if isinstance(rule, InvalidRule):
        return {
            "id": rule.id,
            "name": rule.name,
            "key": rule.key,
            "status": "invalid",
            "reason": rule.reason,
            "offset": offset,
        }
    return {**to_fields(rule), "key": str(rule.id), "status": "valid", "reason": None, "offset": offset}


def scanner_states(reports: Mapping[str, ScannerReport]) -> list[dict[str, Any]]:
    """Which scanners there are, for /api/v1/status."""
    now_ms = _now_ms()
    return [
        {"node": one.node, "stale": one.is_stale(now_ms), "reported_at": format_ms(one.reported_at_ms)}
        for one in recent(reports.values(), now_ms)
    ]


def _draft_as_rule(said: Mapping[str, Any]) -> ScanRule:
    try:
        draft = read_draft_as(ScanDraft, said)
    except InvalidFields as failure:
        errors = [
            FieldError(f"rule.{one.field}" if one.field else "rule", one.message) for one in failure.errors
        ]
        raise InvalidFields(errors) from None
    return draft.to_rule(
        rule_id=draft.id or 1,
        set_name=draft.set or "",
        updated_by="",
        updated_at=None,
        overrides=draft.overrides,
    )


def _read_sample(body: Mapping[str, Any], besides: Sequence[str]) -> tuple[bytes, Any, str | None]:
    """The line, its stream and its workload."""
    errors = [
        FieldError(name[:100], "unknown field")
        for name in sorted(body.keys() - {"sample_line", "stream", "workload", *besides})
    ]
    line, stream, workload = body.get("sample_line"), body.get("stream", "stdout"), body.get("workload")
    if not isinstance(line, str):
        errors.append(FieldError("sample_line", "expected text" if "sample_line" in body else "is missing"))
    elif "\n" in line:
        errors.append(FieldError("sample_line", "is more than one line"))
    if stream not in _STREAMS:
        errors.append(FieldError("stream", "must be stdout or stderr"))
    if workload is not None and not isinstance(workload, str):
        errors.append(FieldError("workload", "expected text"))
    if errors:
        raise invalid_fields(errors)
    # A lone surrogate is no character: as in a log, it is replaced.
    return str(line).encode("utf-8", "replace")[:MAX_LINE], stream, workload


def _workload(one: Workload, snapshot: ScanSnapshot) -> dict[str, Any]:
    return {
        "id": one.name,
        "tails": sum(tails for node, tails in one.tails.items() if node not in one.stale),
        "nodes": [{"node": n, "tails": tails, "stale": n in one.stale} for n, tails in one.tails.items()],
        "rules": len(effective(snapshot.rules.values(), one.name)),
    }


def _read_id_cursor(text: str | None) -> int:
    if text is None:
        return 0
    if not (text.isascii() and text.isdigit() and len(text) <= 16):
        raise invalid("cursor", "is not one that a page before gave")
    return int(text)


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
