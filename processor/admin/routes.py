"""What the routes of trigger rules and of scan rules share: a live table is read, and written through its one
writer.
"""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Generic, NoReturn, TypeVar

from aiohttp import web

from processor.admin.answers import answer
from processor.admin.merging import merged
from processor.admin.problems import NO_RULE, Problem, invalid, unavailable
from processor.admin.requests import (
    CALLER,
    etag,
    read_choice,
    read_if_match,
    read_limit,
    read_object,
    read_query,
)
from processor.admin.showing import Filter, page
from processor.admin.writing import RuleWriter, Write
from processor.rules.building import Applied, C, D
from processor.rules.codec import InvalidRule, read_id
from processor.rules.errors import FieldError, NoSuchRule, RevisionConflict
from processor.rules.live_table import LiveTable
from processor.rules.numbered import R, S, Snapshot

T = TypeVar("T")

_YES_NO = {"true": True, "false": False}
_STATUS = {"valid": "valid", "invalid": "invalid"}


def whole(live: LiveTable[Any, T], what: str) -> T:
    """The table; raises Problem while it isn't whole."""
    if (reason := live.state()[2]) is not None:
        raise unavailable(f"{what} is not whole: {reason}")
    return live.snapshot()


def rule_of(snapshot: Snapshot[R], text: str) -> tuple[R | InvalidRule, int]:
    """The rule with the id in a path, and its record's offset; raises Problem."""
    rule_id = read_id(text.encode("utf-8", "replace"))
    if rule_id is None:
        no_rule(text)
    rule = snapshot.rules.get(rule_id)
    if rule is not None:
        return rule, snapshot.offsets[rule_id]
    invalid_rule = snapshot.invalid.get(b"%d" % rule_id)
    if invalid_rule is None:
        no_rule(text)
    return invalid_rule, invalid_rule.offset


def no_rule(text: str) -> NoReturn:
    """There is none."""
    raise Problem(NO_RULE, f"there is no rule {text[:40]!r}")


class TableRoutes(ABC, Generic[R, D, S, C]):
    """Handlers, all on one event loop. R, D, S, C: the table's rules, drafts, snapshots and changes."""

    path: str
    """Of the list."""
    what: str
    """The table in words."""

    def __init__(self, live: LiveTable[Any, S], writer: RuleWriter[R, S, C]) -> None:
        """`live`: this process's table."""
        self._live = live
        self._writer = writer

    @abstractmethod
    def _read_draft(self, body: Mapping[str, Any], rule_id: int | None = None) -> D:
        """A rule as somebody writes it: of the rule `rule_id`, or a new one. Raises a failure of fields."""

    @abstractmethod
    def _show(
        self, rule: R | InvalidRule, offset: int, warnings: Sequence[FieldError] = ()
    ) -> dict[str, Any]:
        """A record as a read shows it."""

    @abstractmethod
    def _fields(self, rule: R) -> Mapping[str, Any]:
        """What a patch is merged into."""

    @abstractmethod
    def _creation(self, draft: D, by: str) -> C: ...

    @abstractmethod
    def _new_version(self, rule_id: int, draft: D, by: str) -> C: ...

    @abstractmethod
    def _deletion(self, rule_id: int) -> C: ...

    async def list(self, request: web.Request) -> web.Response:
        """GET: a page of the table."""
        query = read_query(request)
        wanted = Filter(
            query.get("name"),
            read_choice(query, "enabled", _YES_NO),
            read_choice(query, "status", _STATUS),
            query.get("workload"),
        )
        limit = read_limit(query)
        items, following = page(self._whole(), wanted, limit, query.get("cursor"), self._show)
        return answer({"items": items, "next": following})

    async def get(self, request: web.Request) -> web.Response:
        """GET: one rule."""
        rule, offset = rule_of(self._whole(), request.match_info["id"])
        return answer(self._show(rule, offset), headers={"ETag": etag(offset)})

    async def create(self, request: web.Request) -> web.Response:
        """POST: a new rule."""
        draft = await asyncio.to_thread(self._read_draft, await read_object(request))
        by = request[CALLER].name
        applied = await self._write(request, None, lambda _: self._creation(draft, by))
        return self._written(applied, status=201)

    async def replace(self, request: web.Request) -> web.Response:
        """PUT: the whole rule anew."""
        rule_id, standing = self._standing(request)
        draft = await asyncio.to_thread(self._read_draft, await read_object(request), rule_id)
        return await self._update(request, rule_id, lambda _: draft, standing)

    async def patch(self, request: web.Request) -> web.Response:
        """PATCH: some of its fields, in the version that stands when it is written."""
        rule_id, standing = self._standing(request)
        patch = await read_object(request)

        def draft_of(current: R | InvalidRule) -> D:
            if isinstance(current, InvalidRule):
                _unpatchable(rule_id, current.reason)
            return self._read_draft(merged(self._fields(current), patch), rule_id)

        return await self._update(request, rule_id, draft_of, standing)

    async def delete(self, request: web.Request) -> web.Response:
        """DELETE: away with it, valid or not."""
        rule_id, _ = self._standing(request)
        expected = read_if_match(request)

        def plan(snapshot: S) -> C:
            expect(snapshot, rule_id, expected)
            return self._deletion(rule_id)

        await self._write(request, rule_id, plan)
        return web.Response(status=204)

    async def _update(
        self,
        request: web.Request,
        rule_id: int,
        draft_of: Callable[[R | InvalidRule], D],
        standing: R | InvalidRule | None,
    ) -> web.Response:
        """Write what `draft_of` makes of the rule as it is when it is written."""
        expected, by = read_if_match(request), request[CALLER].name

        def plan(snapshot: S) -> C:
            return self._new_version(rule_id, draft_of(expect(snapshot, rule_id, expected)), by)

        if standing is not None and not isinstance(standing, InvalidRule):
            # Tells most of what is wrong without waiting for the turn to write.
            await asyncio.to_thread(draft_of, standing)
        return self._written(await self._write(request, rule_id, plan))

    def _whole(self) -> S:
        return whole(self._live, self.what)

    def _standing(self, request: web.Request) -> tuple[int, R | InvalidRule | None]:
        """The id in the path, and what this process knows of that rule: the store may know more."""
        text = request.match_info["id"]
        rule_id = read_id(text.encode("utf-8", "replace"))
        if rule_id is None:
            no_rule(text)
        return rule_id, _record(self._live.snapshot(), rule_id)

    async def _write(self, request: web.Request, rule_id: int | None, plan: Callable[[S], C]) -> Applied[R]:
        self._whole()  # or else nobody here could read what is written
        key = None if rule_id is None else b"%d" % rule_id
        size = request.content_length or 0
        return await self._writer.write(Write(plan, key, request[CALLER].name, size))

    def _written(
        self, applied: Applied[R], warnings: Sequence[FieldError] = (), status: int = 200
    ) -> web.Response:
        rule, offset = applied.rule, applied.offset
        if rule is None or offset is None:
            raise RuntimeError(f"a write was answered without its rule or offset: {applied}")
        headers = {"ETag": etag(offset)}
        if status == 201:
            headers["Location"] = f"{self.path}/{rule.id}"
        return answer(self._show(rule, offset, warnings), status=status, headers=headers)


def expect(snapshot: Snapshot[R], rule_id: int, tags: frozenset[str] | None) -> R | InvalidRule:
    """The rule. Raises RevisionConflict where If-Match names other revisions, NoSuchRule where there is
    none.
    """
    rule = _record(snapshot, rule_id)
    if rule is None:
        raise NoSuchRule(f"there is no rule {rule_id}")
    offset = rule.offset if isinstance(rule, InvalidRule) else snapshot.offsets[rule_id]
    if tags is not None and str(offset) not in tags:
        raise RevisionConflict(f"rule {rule_id} has changed since it was read: it is at revision {offset}")
    return rule


def _record(snapshot: Snapshot[R], rule_id: int) -> R | InvalidRule | None:
    rule = snapshot.rules.get(rule_id)
    return snapshot.invalid.get(b"%d" % rule_id) if rule is None else rule


def _unpatchable(rule_id: int, reason: str) -> NoReturn:
    """There is nothing to merge into."""
    raise invalid(
        "", f"rule {rule_id} is invalid and can't be changed in part, only replaced (PUT): {reason}"
    )
