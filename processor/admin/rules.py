"""/api/v1/trigger-rules: read from this process's own table, written through its one writer."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NoReturn

from aiohttp import web

from processor.admin.answers import answer
from processor.admin.merging import merged
from processor.admin.operations import RULES
from processor.admin.problems import NO_RULE, Problem, invalid, invalid_fields, unavailable
from processor.admin.requests import (
    CALLER,
    etag,
    read_choice,
    read_if_match,
    read_limit,
    read_object,
    read_query,
)
from processor.admin.showing import Filter, page, read_draft, show_invalid, show_rule
from processor.admin.targets import TargetCheck, same_target
from processor.admin.writing import RuleWriter, Write
from processor.rules.changes import Applied, Change, Create, Delete, Update
from processor.rules.codec import InvalidRule, read_id
from processor.rules.errors import FieldError, NoSuchRule, RevisionConflict
from processor.rules.live import LiveRules
from processor.rules.schema import RuleDraft, TriggerRule
from processor.rules.table import RuleSnapshot
from processor.rules.view import shown

_YES_NO = {"true": True, "false": False}
_STATUS = {"valid": "valid", "invalid": "invalid"}


def whole_table(live: LiveRules) -> RuleSnapshot:
    """The table; raises Problem while it isn't whole."""
    if (reason := live.state()[2]) is not None:
        raise unavailable(f"the rule table is not whole: {reason}")
    return live.snapshot()


def rule_of(snapshot: RuleSnapshot, text: str) -> tuple[TriggerRule | InvalidRule, int]:
    """The rule with the id in a path, and its record's offset; raises Problem."""
    rule_id = read_id(text.encode("utf-8", "replace"))
    if rule_id is None:
        _no_rule(text)
    rule = snapshot.rules.get(rule_id)
    if rule is not None:
        return rule, snapshot.offsets[rule_id]
    invalid_rule = snapshot.invalid.get(b"%d" % rule_id)
    if invalid_rule is None:
        _no_rule(text)
    return invalid_rule, invalid_rule.offset


class RuleRoutes:
    """Handlers, all on one event loop."""

    def __init__(self, live: LiveRules, writer: RuleWriter, targets: TargetCheck) -> None:
        """`live`: this process's table."""
        self._live = live
        self._writer = writer
        self._targets = targets

    async def list(self, request: web.Request) -> web.Response:
        """GET: a page of the table."""
        query = read_query(request)
        wanted = Filter(
            query.get("name"),
            read_choice(query, "enabled", _YES_NO),
            read_choice(query, "status", _STATUS),
        )
        limit = read_limit(query)
        items, following = page(whole_table(self._live), wanted, limit, query.get("cursor"))
        return answer({"items": items, "next": following})

    async def get(self, request: web.Request) -> web.Response:
        """GET: one rule."""
        rule, offset = rule_of(whole_table(self._live), request.match_info["id"])
        body = show_invalid(rule) if isinstance(rule, InvalidRule) else show_rule(rule, offset)
        return answer(body, headers={"ETag": etag(offset)})

    async def create(self, request: web.Request) -> web.Response:
        """POST: a new rule."""
        draft = await asyncio.to_thread(read_draft, await read_object(request))
        warnings = await self._check_target(draft, None)
        by = request[CALLER].name
        applied = await self._write(request, None, lambda _: Create(draft, by=by))
        return _written(applied, warnings, status=201)

    async def replace(self, request: web.Request) -> web.Response:
        """PUT: the whole rule anew."""
        rule_id, standing = self._standing(request)
        draft = await asyncio.to_thread(read_draft, await read_object(request), rule_id)
        warnings = await self._check_target(draft, standing)
        expected, by = read_if_match(request), request[CALLER].name

        def plan(snapshot: RuleSnapshot) -> Change:
            _expect(snapshot, rule_id, expected)
            return Update(rule_id, draft, by=by)

        return _written(await self._write(request, rule_id, plan), warnings)

    async def patch(self, request: web.Request) -> web.Response:
        """PATCH: some of its fields, in the version that stands when it is written."""
        rule_id, standing = self._standing(request)
        patch = await read_object(request)
        warnings: Sequence[FieldError] = ()
        if isinstance(standing, TriggerRule):
            # Also tells what is wrong with the patch without waiting for the turn to write.
            draft = await asyncio.to_thread(_patched, standing, patch)
            warnings = await self._check_target(draft, standing)
        expected, by = read_if_match(request), request[CALLER].name

        def plan(snapshot: RuleSnapshot) -> Change:
            _expect(snapshot, rule_id, expected)
            current = snapshot.rules.get(rule_id)
            if current is None:
                reason = snapshot.invalid[b"%d" % rule_id].reason
                _unpatchable(rule_id, reason)
            return Update(rule_id, _patched(current, patch), by=by)

        return _written(await self._write(request, rule_id, plan), warnings)

    async def delete(self, request: web.Request) -> web.Response:
        """DELETE: away with it, valid or not."""
        rule_id, _ = self._standing(request)
        expected = read_if_match(request)

        def plan(snapshot: RuleSnapshot) -> Change:
            _expect(snapshot, rule_id, expected)
            return Delete(b"%d" % rule_id)

        await self._write(request, rule_id, plan)
        return web.Response(status=204)

    def _standing(self, request: web.Request) -> tuple[int, TriggerRule | InvalidRule | None]:
        """The id in the path, and what this process knows of that rule: the store may know more."""
        text = request.match_info["id"]
        rule_id = read_id(text.encode("utf-8", "replace"))
        if rule_id is None:
            _no_rule(text)
        snapshot = self._live.snapshot()
        return rule_id, snapshot.rules.get(rule_id) or snapshot.invalid.get(b"%d" % rule_id)

    async def _check_target(
        self, draft: RuleDraft, standing: TriggerRule | InvalidRule | None
    ) -> Sequence[FieldError]:
        """Warnings about a new target; raises Problem where the sender would not call it."""
        if same_target(draft, standing if isinstance(standing, TriggerRule) else None):
            return ()
        verdict = await self._targets.judge(draft.action_target)
        if verdict.error is not None:
            raise invalid_fields([verdict.error])
        return verdict.warnings

    async def _write(
        self, request: web.Request, rule_id: int | None, plan: Callable[[RuleSnapshot], Change]
    ) -> Applied:
        whole_table(self._live)  # or else nobody here could read what is written
        key = None if rule_id is None else b"%d" % rule_id
        size = request.content_length or 0
        return await self._writer.write(Write(plan, key, request[CALLER].name, size))


def _expect(snapshot: RuleSnapshot, rule_id: int, tags: frozenset[str] | None) -> None:
    """Raises RevisionConflict where If-Match names other revisions, NoSuchRule where there is no rule."""
    offset = snapshot.offsets.get(rule_id)
    if offset is None:
        invalid_rule = snapshot.invalid.get(b"%d" % rule_id)
        if invalid_rule is None:
            raise NoSuchRule(f"there is no rule {rule_id}")
        offset = invalid_rule.offset
    if tags is not None and str(offset) not in tags:
        raise RevisionConflict(f"rule {rule_id} has changed since it was read: it is at revision {offset}")


def _patched(rule: TriggerRule, patch: Mapping[str, Any]) -> RuleDraft:
    return read_draft(merged(shown(rule), patch), rule.id)


def _unpatchable(rule_id: int, reason: str) -> NoReturn:
    """There is nothing to merge into."""
    raise invalid(
        "", f"rule {rule_id} is invalid and can't be changed in part, only replaced (PUT): {reason}"
    )


def _no_rule(text: str) -> NoReturn:
    raise Problem(NO_RULE, f"there is no rule {text[:40]!r}")


def _written(applied: Applied, warnings: Sequence[FieldError], status: int = 200) -> web.Response:
    rule, offset = applied.rule, applied.offset
    if rule is None or offset is None:
        raise RuntimeError(f"a write was answered without its rule or offset: {applied}")
    headers = {"ETag": etag(offset)}
    if status == 201:
        headers["Location"] = f"{RULES}/{rule.id}"
    return answer(show_rule(rule, offset, warnings), status=status, headers=headers)
