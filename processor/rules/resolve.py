"""The values behind a rule's target, signing secret and headers, for whoever sends.

Everything here raises SecretError, which names the field and the remedy and never a value.
"""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass

from processor.rules.errors import SecretError
from processor.rules.headers import check_header_value
from processor.rules.references import References
from processor.rules.schema import TriggerRule
from processor.rules.sealing import KeyRing
from processor.rules.target import parse_target
from processor.rules.values import Reference, Secret

_WHSEC = "whsec_"


@dataclass(frozen=True, slots=True)
class Resolver:
    """Opens sealed values with `keys` and looks references up in `references`; use it from any thread.

    A `file:` reference is read from disk at each call.
    """

    keys: KeyRing
    references: References

    def target(self, rule: TriggerRule) -> str:
        """The URL to call, checked as any target is."""
        url = self._text(rule.action_target, rule.id, "action_target")
        try:
            parse_target(url)
        except ValueError as wrong:
            raise SecretError(f"what it stands for is no target: {wrong}", "action_target") from None
        return url

    def signing_key(self, rule: TriggerRule) -> bytes | None:
        """The key that signs the rule's webhooks; None when they aren't signed."""
        if rule.action_secret is None:
            return None
        return signing_key(self._text(rule.action_secret, rule.id, "action_secret"))

    def headers(self, rule: TriggerRule) -> dict[str, str]:
        """The rule's own headers."""
        headers = {}
        for name, value in rule.delivery.headers.items():
            place = f"delivery.headers.{name}"
            headers[name] = text = self._text(value, rule.id, place)
            try:
                check_header_value(text)
            except ValueError as wrong:
                raise SecretError(str(wrong), place) from None
        return headers

    def _text(self, value: str | Secret | Reference, rule_id: int, place: str) -> str:
        if isinstance(value, str):
            return value
        try:
            if isinstance(value, Reference):
                return self.references.look_up(value.ref)
            if value.is_placeholder:
                raise SecretError("holds the placeholder, not a secret")
            return self.keys.open(value.secret, rule_id) if value.is_sealed else value.secret
        except SecretError as failure:
            raise failure.at(place) from None


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
