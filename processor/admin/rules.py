"""/api/v1/trigger-rules: read from this process's own table, written through its one writer."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import NoReturn

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
        warnings = () if _keeps_target(draft, None) else await self._judge(draft)
        by = request[CALLER].name
        applied = await self._write(request, None, lambda _: Create(draft, by=by))
        return _written(applied, warnings, status=201)

    async def replace(self, request: web.Request) -> web.Response:
        """PUT: the whole rule anew."""
        rule_id, standing = self._standing(request)
        draft = await asyncio.to_thread(read_draft, await read_object(request), rule_id)
        return await self._update(request, rule_id, lambda _: draft, standing)

    async def patch(self, request: web.Request) -> web.Response:
        """PATCH: some of its fields, in the version that stands when it is written."""
        rule_id, standing = self._standing(request)
        patch = await read_object(request)

        def draft_of(current: TriggerRule | InvalidRule) -> RuleDraft:
            if isinstance(current, InvalidRule):
                _unpatchable(rule_id, current.reason)
            return read_draft(merged(shown(current), patch), rule_id)

        return await self._update(request, rule_id, draft_of, standing)

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

    async def _update(
        self,
        request: web.Request,
        rule_id: int,
        draft_of: Callable[[TriggerRule | InvalidRule], RuleDraft],
        standing: TriggerRule | InvalidRule | None,
    ) -> web.Response:
        """Write what `draft_of` makes of the rule as it is when it is written.

        A target is judged on the event loop, and whether it is a new one only the write's plan knows: this
        process's table may be behind. A plan that meets a new target not judged yet gives up, and is made
        again with the verdict; a request has one target, so that is once.
        """
        expected, by = read_if_match(request), request[CALLER].name
        judged: tuple[object, Sequence[FieldError]] | None = None

        def plan(snapshot: RuleSnapshot) -> Change:
            current = _expect(snapshot, rule_id, expected)
            draft = draft_of(current)
            if not _keeps_target(draft, current) and (judged is None or judged[0] != draft.action_target):
                raise _NotJudged(draft)
            return Update(rule_id, draft, by=by)

        if isinstance(standing, TriggerRule):
            # Tells most of what is wrong without waiting for the turn to write.
            draft = await asyncio.to_thread(draft_of, standing)
            if not _keeps_target(draft, standing):
                judged = draft.action_target, await self._judge(draft)
        while True:
            try:
                applied = await self._write(request, rule_id, plan)
            except _NotJudged as unjudged:
                judged = unjudged.draft.action_target, await self._judge(unjudged.draft)
            else:
                return _written(applied, () if judged is None else judged[1])

    async def _judge(self, draft: RuleDraft) -> Sequence[FieldError]:
        """Warnings about its target; raises Problem where the sender would not call it."""
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


class _NotJudged(Exception):  # noqa: N818  (not an error: one more step)
    """A write would give a rule a target that nobody has judged."""

    def __init__(self, draft: RuleDraft) -> None:
        super().__init__()
        self.draft = draft


def _expect(snapshot: RuleSnapshot, rule_id: int, tags: frozenset[str] | None) -> TriggerRule | InvalidRule:
    """The rule. Raises RevisionConflict where If-Match names other revisions, NoSuchRule where there is
    none.
    """
    rule = snapshot.rules.get(rule_id) or snapshot.invalid.get(b"%d" % rule_id)
    if rule is None:
        raise NoSuchRule(f"there is no rule {rule_id}")
    offset = rule.offset if isinstance(rule, InvalidRule) else snapshot.offsets[rule_id]
    if tags is not None and str(offset) not in tags:
        raise RevisionConflict(f"rule {rule_id} has changed since it was read: it is at revision {offset}")
    return rule


def _keeps_target(draft: RuleDraft, current: TriggerRule | InvalidRule | None) -> bool:
    return same_target(draft, current if isinstance(current, TriggerRule) else None)


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
