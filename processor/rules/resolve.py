"""The values behind a rule's target, signing secrets and headers, for whoever sends.

Everything here raises SecretError, which names the field and the remedy and never a value.
"""

from __future__ import annotations

import base64
import binascii
import threading
import time
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final

from processor.rules.errors import SecretError
from processor.rules.headers import check_header_value
from processor.rules.references import References
from processor.rules.schema import TriggerRule
from processor.rules.sealing import KeyRing
from processor.rules.target import parse_target
from processor.rules.values import Reference, Secret, SecretWindow

_WHSEC = "whsec_"

MOST_RULES: Final = 4_096
"""Rules whose opened values are kept; the one longest unused leaves first."""


@dataclass(slots=True)
class _Opened:
    """What is known of one version of a rule: its values in plain, and what has been checked."""

    rule: TriggerRule
    texts: dict[str, str] = field(default_factory=dict)
    target: str | None = None
    headers: Mapping[str, str] | None = None
    keys: dict[str, tuple[str, bytes]] = field(default_factory=dict)


class Resolver:
    """Opens sealed values with `keys` and looks references up in `references`; use it from any thread.

    What was opened is kept as long as the rule is this very object, so a rule that fires all the time costs
    no decryption. References are looked up at each call (a file is read again when it has changed).
    """

    def __init__(self, keys: KeyRing, references: References, most_rules: int = MOST_RULES) -> None:
        self._keys = keys
        self._references = references
        self._most = most_rules
        self._rules: OrderedDict[int, _Opened] = OrderedDict()
        self._lock = threading.Lock()

    def target(self, rule: TriggerRule) -> str:
        """The URL to call, checked as any target is."""
        opened = self._opened(rule)
        url = self._text(opened, rule.action_target, "action_target")
        if url != opened.target:
            try:
                parse_target(url)
            except ValueError as wrong:
                raise SecretError(f"what it stands for is no target: {wrong}", "action_target") from None
            opened.target = url
        return url

    def signing_keys(self, rule: TriggerRule, now_ms: int) -> tuple[bytes, ...]:
        """The keys that sign the rule's webhooks at that time (ms since 1970); none: they aren't signed.

        The newest is first: the one whose time began last, and of those that began together the one that
        stands first in the list. Where a list has no secret for this time there is nothing to sign with, and
        nothing may go out unsigned: that is a SecretError.
        """
        if rule.action_secret is None:
            return ()
        opened = self._opened(rule)
        if not isinstance(rule.action_secret, tuple):
            return (self._key(opened, rule.action_secret, "action_secret"),)
        valid = [(n, window) for n, window in enumerate(rule.action_secret) if window.holds(now_ms)]
        if not valid:
            raise SecretError("none of its secrets is valid at this time", "action_secret")
        valid.sort(key=lambda placed: _began(placed[1]), reverse=True)
        return tuple(self._key(opened, window.value, f"action_secret[{n}]") for n, window in valid)

    def signing_key(self, rule: TriggerRule) -> bytes | None:
        """The newest key that signs the rule's webhooks now; None when they aren't signed."""
        return next(iter(self.signing_keys(rule, time.time_ns() // 1_000_000)), None)

    def headers(self, rule: TriggerRule) -> Mapping[str, str]:
        """The rule's own headers."""
        opened = self._opened(rule)
        if opened.headers is not None:
            return opened.headers
        headers = {}
        for name, value in rule.delivery.headers.items():
            place = f"delivery.headers.{name}"
            headers[name] = text = self._text(opened, value, place)
            try:
                check_header_value(text)
            except ValueError as wrong:
                raise SecretError(str(wrong), place) from None
        if not any(isinstance(value, Reference) for value in rule.delivery.headers.values()):
            opened.headers = MappingProxyType(headers)
        return headers

    def _opened(self, rule: TriggerRule) -> _Opened:
        with self._lock:
            opened = self._rules.get(rule.id)
            if opened is None or opened.rule is not rule:
                opened = self._rules[rule.id] = _Opened(rule)
                if len(self._rules) > self._most:
                    self._rules.popitem(last=False)
            self._rules.move_to_end(rule.id)
            return opened

    def _key(self, opened: _Opened, value: Secret | Reference, place: str) -> bytes:
        text = self._text(opened, value, place)
        known = opened.keys.get(place)
        if known is None or known[0] != text:
            known = opened.keys[place] = (text, signing_key(text))
        return known[1]

    def _text(self, opened: _Opened, value: str | Secret | Reference, place: str) -> str:
        if isinstance(value, str):
            return value
        try:
            if isinstance(value, Reference):
                return self._references.look_up(value.ref)
            if value.is_placeholder:
                raise SecretError("holds the placeholder, not a secret")
            if not value.is_sealed:
                return value.secret
            text = opened.texts.get(place)
            if text is None:
                text = opened.texts[place] = self._keys.open(value.secret, opened.rule.id)
            return text
        except SecretError as failure:
            raise failure.at(place) from None


def _began(window: SecretWindow) -> float:
    return float("-inf") if window.not_before is None else window.not_before.timestamp()


def signing_key(secret: str) -> bytes:
    """Standard Webhooks: `whsec_<base64>` is the bytes behind the base64, any other text its own bytes in
    UTF-8.
    """
    if secret.startswith(_WHSEC):
        try:
            key = base64.b64decode(secret.removeprefix(_WHSEC), validate=True)
        except (binascii.Error, ValueError):
            key = b""
        if key:
            return key
    return secret.encode()
