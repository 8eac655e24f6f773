"""Sealed secrets: AES-256-GCM under a ring of keys, bound to the rule they belong to.

`sealed:<key id>:<base64 of nonce and ciphertext>`; the rule's id in decimal is the associated data, so a
sealed value moved to another rule can't be opened there. The first key seals, all of them open: a key is
rotated by putting the new one in front, sealing everything anew (reseal.py), and taking the old one away.
"""

from __future__ import annotations

import base64
import binascii
import os
from collections.abc import Callable, Iterable, Mapping

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from processor.rules.errors import SecretError
from processor.rules.values import SEALED_PREFIX
from processor.settings import Settings

KEY_BYTES = 32
NONCE_BYTES = 12

NO_KEYS = (
    "a plain secret can't be stored: there is no key in secrets.keys; make one with `tocsin secrets new-key`"
)


class KeyRing:
    """The keys of secrets.keys. Holds them in memory only; its repr shows their ids."""

    def __init__(self, keys: Mapping[str, bytes], randomness: Callable[[int], bytes] = os.urandom) -> None:
        """`keys` by id, 32 bytes each, the sealing one first; `randomness(n)` gives n bytes for nonces."""
        self._ciphers = {key_id: AESGCM(key) for key_id, key in keys.items()}
        self._randomness = randomness

    @classmethod
    def parse(cls, entries: Iterable[str], randomness: Callable[[int], bytes] = os.urandom) -> KeyRing:
        """From `id:base64-of-32-bytes` entries, which the settings have checked; raises SecretError."""
        keys: dict[str, bytes] = {}
        for place, entry in enumerate(entries, 1):
            key_id, _, encoded = entry.partition(":")
            try:
                key = base64.b64decode(encoded, validate=True)
            except (binascii.Error, ValueError):
                key = b""
            if not key_id or key_id in keys or len(key) != KEY_BYTES:
                raise SecretError(
                    "is not id:base64-of-32-bytes, or its id is there twice", f"secrets.keys entry {place}"
                )
            keys[key_id] = key
        return cls(keys, randomness)

    @classmethod
    def of(cls, settings: Settings) -> KeyRing:
        """From secrets.keys."""
        return cls.parse(key.get_secret_value() for key in settings.secrets.keys)

    @property
    def can_seal(self) -> bool:
        """Whether there is a key at all."""
        return bool(self._ciphers)

    def knows(self, sealed: str) -> bool:
        """Whether the key that sealed it is here."""
        return _key_id(sealed) in self._ciphers

    def seals_like(self, sealed: str) -> bool:
        """Whether it was sealed by the key that seals now, or there is none that could do it anew."""
        return not self._ciphers or _key_id(sealed) == next(iter(self._ciphers))

    def seal(self, plain: str, rule_id: int) -> str:
        """`plain` sealed for that rule, different each time; raises SecretError without a key."""
        if not self._ciphers:
            raise SecretError(NO_KEYS)
        key_id, cipher = next(iter(self._ciphers.items()))
        nonce = self._randomness(NONCE_BYTES)
        sealed = nonce + cipher.encrypt(nonce, plain.encode(), str(rule_id).encode())
        return f"{SEALED_PREFIX}{key_id}:{base64.b64encode(sealed).decode()}"

    def open(self, sealed: str, rule_id: int) -> str:
        """What was sealed for that rule; raises SecretError when the key is missing or the value isn't that
        rule's.
        """
        key_id, _, encoded = sealed.removeprefix(SEALED_PREFIX).partition(":")
        cipher = self._ciphers.get(key_id)
        if cipher is None:
            raise SecretError(
                f"is sealed with key {key_id}, which is not in secrets.keys: add it, or set the secret anew"
            )
        try:
            raw = base64.b64decode(encoded, validate=True)
            return cipher.decrypt(raw[:NONCE_BYTES], raw[NONCE_BYTES:], str(rule_id).encode()).decode()
        except (InvalidTag, ValueError, binascii.Error):
            raise SecretError(
                f"can't be opened with key {key_id}: the key is another one of that id, or the value was"
                " sealed for another rule; set the secret anew"
            ) from None

    def __repr__(self) -> str:
        return f"KeyRing({', '.join(self._ciphers)})"


def _key_id(sealed: str) -> str:
    return sealed.removeprefix(SEALED_PREFIX).partition(":")[0]


def new_key(key_id: str, randomness: Callable[[int], bytes] = os.urandom) -> str:
    """A fresh entry for secrets.keys."""
    return f"{key_id}:{base64.b64encode(randomness(KEY_BYTES)).decode()}"
