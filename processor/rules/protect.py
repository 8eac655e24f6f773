"""What becomes of the secrets in a draft: placeholders are filled in, plain values sealed, sealed ones kept.

A value that is the rule's already keeps its sealed text, although sealing it again would give another one:
so whether a draft changes a rule can be seen by comparing. What an older key of the ring sealed is sealed
anew by the first one.
"""

from __future__ import annotations

from typing import Any, TypeVar

from processor.rules.errors import SecretError
from processor.rules.schema import RuleDraft, TriggerRule
from processor.rules.sealing import KeyRing
from processor.rules.target import origin_of
from processor.rules.values import Reference, Secret, SecretTarget, SecretValue, SecretWindow

Value = str | Secret | Reference
Signing = SecretValue | tuple[SecretWindow, ...] | None
_Value = TypeVar("_Value", bound=Value)


def protected(draft: RuleDraft, rule_id: int, current: TriggerRule | None, keys: KeyRing) -> dict[str, Any]:
    """The fields of `draft` that may hold secrets, as they go into the topic for the rule `rule_id`.

    `current` is the rule's standing version. Raises SecretError, which names the field, where there is no
    key to seal with, nothing that the placeholder could keep, or a value that was sealed for another rule.
    """
    worker = _Worker(rule_id, draft.id, keys)
    standing = dict(current.delivery.headers) if current is not None else {}
    headers = {
        name: worker.value(f"delivery.headers.{name}", value, standing.get(name))
        for name, value in draft.delivery.headers.items()
    }
    target = current.action_target if current is not None else None
    signing = current.action_secret if current is not None else None
    return {
        "action_target": worker.value("action_target", draft.action_target, target),
        "action_secret": _signing(worker, draft.action_secret, signing),
        "delivery": draft.delivery.model_copy(update={"headers": headers}),
    }


def _signing(worker: _Worker, wanted: Signing, current: Signing) -> Signing:
    """Of a list, the placeholder keeps what stands at the same place (a single secret stands at the first);
    instead of a list, it keeps the list.
    """
    if isinstance(current, tuple) and isinstance(wanted, Secret) and wanted.is_placeholder:
        wanted = tuple(window.model_copy(update={"value": wanted}) for window in current)
    standing = _values(current)
    if isinstance(wanted, tuple):
        return tuple(
            window.model_copy(
                update={"value": worker.value(f"action_secret[{n}]", window.value, standing.get(n))}
            )
            for n, window in enumerate(wanted)
        )
    return None if wanted is None else worker.value("action_secret", wanted, standing.get(0))


def _values(signing: Signing) -> dict[int, SecretValue]:
    if isinstance(signing, tuple):
        return {n: window.value for n, window in enumerate(signing)}
    return {} if signing is None else {0: signing}


class _Worker:
    def __init__(self, rule_id: int, draft_id: int | None, keys: KeyRing) -> None:
        self._rule_id = rule_id
        self._draft_id = draft_id
        self._keys = keys

    def value(self, place: str, wanted: _Value, current: _Value | None) -> _Value | Secret:
        if not isinstance(wanted, Secret):
            return wanted
        try:
            if wanted.is_placeholder:
                return self._kept(current)
            if wanted.is_sealed:
                return self._sealed(wanted, current)
            return self._plain(wanted, current)
        except SecretError as failure:
            raise failure.at(place) from None

    def _kept(self, current: _Value | None) -> _Value | Secret:
        if current is None:
            raise SecretError(
                "*** means unchanged, but there is nothing yet that could stay: give the secret itself"
            )
        if not isinstance(current, Secret):
            return current
        if current.is_plain:
            return self._seal(current, current.secret)
        if self._keys.seals_like(current.secret):
            return current
        plain = self._opened(current, self._rule_id)
        return current if plain is None else self._seal(current, plain)

    def _plain(self, wanted: Secret, current: Value | None) -> Secret:
        if (
            isinstance(current, Secret)
            and current.is_sealed
            and self._keys.seals_like(current.secret)
            and self._opened(current, self._rule_id) == wanted.secret
        ):
            return current
        return self._seal(wanted, wanted.secret)

    def _sealed(self, wanted: Secret, current: _Value | None) -> _Value | Secret:
        """A sealed value in a draft comes from an export; it belongs to the draft's id, or else to this
        rule's.
        """
        if isinstance(current, Secret) and current.secret == wanted.secret:
            return self._kept(current)
        belongs_to = self._draft_id or self._rule_id
        if not self._keys.knows(wanted.secret) and self._draft_id == self._rule_id:
            return wanted  # sealed for this very rule; whether the key is right shows where it is opened
        plain = self._keys.open(wanted.secret, belongs_to)
        if (
            isinstance(current, Secret)
            and current.is_sealed
            and self._opened(current, self._rule_id) == plain
        ):
            return current
        return wanted if belongs_to == self._rule_id else self._seal(wanted, plain)

    def _opened(self, value: Secret, rule_id: int) -> str | None:
        try:
            return self._keys.open(value.secret, rule_id)
        except SecretError:
            return None

    def _seal(self, like: Secret, plain: str) -> Secret:
        sealed = self._keys.seal(plain, self._rule_id)
        if isinstance(like, SecretTarget):
            return SecretTarget(secret=sealed, origin=origin_of(plain))
        return Secret(secret=sealed)
