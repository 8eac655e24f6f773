"""/api/v1/trigger-rules: routes.py, and the check of targets."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from aiohttp import web

from processor.admin.operation import RULES
from processor.admin.problems import invalid_fields
from processor.admin.requests import CALLER, read_if_match, read_object
from processor.admin.routes import TableRoutes, expect, whole
from processor.admin.showing import read_draft, show_record
from processor.admin.targets import TargetCheck, same_target
from processor.admin.writing import RuleWriter
from processor.rules.changes import Change, Create, Delete, Update
from processor.rules.codec import InvalidRule
from processor.rules.errors import FieldError
from processor.rules.live import LiveRules
from processor.rules.schema import RuleDraft, TriggerRule
from processor.rules.table import RuleSnapshot
from processor.rules.view import shown

_WHAT = "the rule table"


def whole_table(live: LiveRules) -> RuleSnapshot:
    """The table; raises Problem while it isn't whole."""
    return whole(live, _WHAT)


class RuleRoutes(TableRoutes[TriggerRule, RuleDraft, RuleSnapshot, Change]):
    """Handlers, all on one event loop."""

    path = RULES
    what = _WHAT

    def __init__(
        self, live: LiveRules, writer: RuleWriter[TriggerRule, RuleSnapshot, Change], targets: TargetCheck
    ) -> None:
        """`live`: this process's table."""
        super().__init__(live, writer)
        self._targets = targets

    async def create(self, request: web.Request) -> web.Response:
        """POST: a new rule."""
        draft = await asyncio.to_thread(read_draft, await read_object(request))
        warnings = () if _keeps_target(draft, None) else await self._judge(draft)
        by = request[CALLER].name
        applied = await self._write(request, None, lambda _: Create(draft, by=by))
        return self._written(applied, warnings, status=201)

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
            current = expect(snapshot, rule_id, expected)
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
                return self._written(applied, () if judged is None else judged[1])

    async def _judge(self, draft: RuleDraft) -> Sequence[FieldError]:
        """Warnings about its target; raises Problem where the sender would not call it."""
        verdict = await self._targets.judge(draft.action_target)
        if verdict.error is not None:
            raise invalid_fields([verdict.error])
        return verdict.warnings

    def _read_draft(self, body: Mapping[str, Any], rule_id: int | None = None) -> RuleDraft:
        return read_draft(body, rule_id)

    def _show(
        self, rule: TriggerRule | InvalidRule, offset: int, warnings: Sequence[FieldError] = ()
    ) -> dict[str, Any]:
        return show_record(rule, offset, warnings)

    def _fields(self, rule: TriggerRule) -> Mapping[str, Any]:
        return shown(rule)

    def _creation(self, draft: RuleDraft, by: str) -> Change:
        return Create(draft, by=by)

    def _new_version(self, rule_id: int, draft: RuleDraft, by: str) -> Change:
        return Update(rule_id, draft, by=by)

    def _deletion(self, rule_id: int) -> Change:
        return Delete(b"%d" % rule_id)


class _NotJudged(Exception):  # noqa: N818  (not an error: one more step)
    """A write would give a rule a target that nobody has judged."""

    def __init__(self, draft: RuleDraft) -> None:
        super().__init__()
        self.draft = draft


def _keeps_target(draft: RuleDraft, current: TriggerRule | InvalidRule | None) -> bool:
    return same_target(draft, current if isinstance(current, TriggerRule) else None)
