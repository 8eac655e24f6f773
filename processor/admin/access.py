"""Who asks: bearer tokens (RFC 6750) of the settings and of a file, and what each may do. Pure."""

from __future__ import annotations

import hmac
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256

from processor.settings_admin import AdminToken, Role

_SCHEME = "bearer"


@dataclass(frozen=True, slots=True)
class Caller:
    """Whose token was given, and what it may do."""

    name: str
    role: Role

    def may(self, role: Role) -> bool:
        """Whether what needs `role` is open to the caller."""
        return role == "read" or self.role == "write"


class Tokens:
    """A set of tokens. Immutable; holds digests only."""

    def __init__(self, tokens: Mapping[str, AdminToken]) -> None:
        self._callers = [
            (_digest(token.token.get_secret_value()), Caller(name, token.role))
            for name, token in tokens.items()
        ]

    def caller(self, token: str) -> Caller | None:
        """Whose it is, None for nobody's.

        It takes the same time whatever is wrong with it: all are compared, digests of equal length.
        """
        digest = _digest(token)
        found = None
        for known, caller in self._callers:
            if hmac.compare_digest(known, digest):
                found = caller
        return found


def bearer(header: str | None) -> str | None:
    """The token in an Authorization header; None where there is none."""
    scheme, _, token = (header or "").partition(" ")
    token = token.strip(" ")
    return token if scheme.lower() == _SCHEME and token else None


def _digest(token: str) -> bytes:
    return sha256(token.encode("utf-8", "surrogateescape")).digest()
