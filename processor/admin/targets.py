"""Whether the sender would call the target of a rule about to be written, with the sender's own words.

A name is looked up, and refused only where every address it has now would be: what it means later is judged
when it is called. One that has no address now is written all the same, with a warning.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Callable
from typing import Final, NamedTuple

from aiohttp.abc import AbstractResolver

from processor.egress import EgressPolicy
from processor.egress.target import Target, TargetError, read_target
from processor.rules.errors import FieldError
from processor.rules.reach import target_refusal
from processor.rules.schema import RuleFields
from processor.rules.values import Reference, SecretTarget

PATIENCE: Final = 1.0
"""Seconds a name server may take before the write goes on without it."""

KEPT_FOR: Final = 30.0
"""Seconds an answer is kept, so that rules for one host cost one look-up."""

MOST_KEPT: Final = 1_000

FIELD: Final = "action_target"


class Verdict(NamedTuple):
    """What was found: an error, or warnings, or neither."""

    error: FieldError | None = None
    warnings: tuple[FieldError, ...] = ()


_FINE: Final = Verdict()


class TargetCheck:
    """Judges targets on one event loop."""

    def __init__(
        self,
        policy: EgressPolicy,
        resolver: AbstractResolver,
        clock: Callable[[], float],
        *,
        by_proxy: bool = False,
    ) -> None:
        """`clock` in seconds, never going back. by_proxy: names are looked up by a proxy, so not here."""
        self._policy = policy
        self._resolver = resolver
        self._clock = clock
        self._by_proxy = by_proxy
        self._kept: OrderedDict[str, tuple[float, tuple[str, ...] | str]] = OrderedDict()

    async def judge(self, target: str | SecretTarget | Reference) -> Verdict:
        """What the sender would say of it. Waits up to PATIENCE seconds for a name server."""
        if refusal := target_refusal(target, self._policy):
            return Verdict(FieldError(FIELD, refusal.message))
        read = _read(target)
        if read is None or read.address is not None or self._by_proxy:
            return _FINE
        addresses = await self._addresses(read.host)
        if isinstance(addresses, str):
            return Verdict(warnings=(FieldError(FIELD, f"{read.host} {addresses}"),))
        refusals = [self._policy.check_address(one, read.port, read.host) for one in addresses]
        refused = [one for one in refusals if one is not None]
        if refused and len(refused) == len(refusals):
            return Verdict(FieldError(FIELD, refused[0].message))
        return _FINE

    async def _addresses(self, host: str) -> tuple[str, ...] | str:
        """Those of a name; text where there are none: why."""
        now = self._clock()
        kept = self._kept.get(host)
        if kept is not None and now - kept[0] < KEPT_FOR:
            return kept[1]
        found: tuple[str, ...] | str
        try:
            async with asyncio.timeout(PATIENCE):
                answer = await self._resolver.resolve(host, 0, 0)  # type: ignore[arg-type]  # AF_UNSPEC
            found = tuple(one["host"] for one in answer) or "has no address now"
        except TimeoutError:
            found = f"could not be looked up within {PATIENCE:g} s"
        except OSError:
            found = "does not resolve now"
        self._kept[host] = (now, found)
        self._kept.move_to_end(host)
        if len(self._kept) > MOST_KEPT:
            self._kept.popitem(last=False)
        return found


def _read(target: str | SecretTarget | Reference) -> Target | None:
    """The URL, as far as it is known."""
    if isinstance(target, Reference):
        return None
    if isinstance(target, SecretTarget):
        target = target.secret if target.is_plain else target.origin
    try:
        return read_target(target) if target else None
    except TargetError:
        return None


def same_target(draft: RuleFields, standing: RuleFields | None) -> bool:
    """Whether a rule keeps the target it has."""
    if isinstance(draft.action_target, SecretTarget) and draft.action_target.is_placeholder:
        return True
    return standing is not None and draft.action_target == standing.action_target
