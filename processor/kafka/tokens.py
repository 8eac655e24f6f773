"""Tokens for OAUTHBEARER from a function of the user's own (`kafka.oauth_callback`).

The function is what the Kafka client itself takes as its `oauth_cb`, so that one written for any program in
Python works here: it gets the text of the property `sasl.oauthbearer.config` (empty if there is none), and
returns the token and when it ends, in seconds since 1970; if the broker wants them also the principal, and
the extensions (RFC 7628, 3.1) as a mapping:

    def token(config: str) -> tuple[str, float]: ...

The first token is asked for before the first client is made, so that a function that can't give one ends the
process with what it raised; later ones on a thread of the client, when four fifths of a token's time are
over. It may block. What it raises then is logged, and the client asks again after ten seconds.
"""

from __future__ import annotations

import importlib
import logging
import threading
import time
from collections.abc import Callable
from functools import cache
from typing import Any, Final

from processor.lifecycle import Refused
from processor.settings import SettingsError

log = logging.getLogger(__name__)

RENEWED_AT: Final = 0.8
"""The share of a token's time after which a client asks for the next one."""


class TokenCallback:
    """A client's `oauth_cb`. All clients of a process share the tokens."""

    def __init__(self, name: str, function: Callable[[str], tuple[Any, ...]]) -> None:
        """`name` is for logs."""
        self._name = name
        self._function = function
        self._lock = threading.Lock()
        self._made: dict[str, tuple[float, tuple[Any, ...]]] = {}

    def __call__(self, config: str) -> tuple[Any, ...]:
        """A token, its end in seconds since 1970, and what else the function gave."""
        with self._lock:
            renew_at, token = self._made.get(config, (0.0, ()))
            if time.time() < renew_at:
                return token
            try:
                made, ends_at, *more = self._function(config)
                token = (str(made), float(ends_at), *more)
            except Exception as failure:
                # The client only says that the function has failed.
                fields = {"callback": self._name, "reason": _said(failure)}
                log.warning("no token for Kafka", extra={"fields": fields})
                raise
            now = time.time()
            self._made[config] = now + RENEWED_AT * (token[1] - now), token
            return token

    def require(self, config: str) -> None:
        """Have a token; raises Refused where there is none."""
        try:
            self(config)
        except Exception as failure:  # noqa: BLE001 - the function is the user's
            raise Refused(f"kafka.oauth_callback: {self._name} gives no token: {_said(failure)}") from None


@cache
def token_callback(name: str) -> TokenCallback:
    """The one for `module:function`; raises SettingsError where there is no such function."""
    module, _, function = name.partition(":")
    try:
        found = getattr(importlib.import_module(module), function)
    except ImportError as failure:
        remedy = "; install tocsin[msk]" if module == "processor.kafka.msk" else ""
        raise SettingsError(f"kafka.oauth_callback: {module} can't be imported: {failure}{remedy}") from None
    except AttributeError:
        raise SettingsError(f"kafka.oauth_callback: {module} has no {function}") from None
    if not callable(found):
        raise SettingsError(f"kafka.oauth_callback: {name} is not a function")
    return TokenCallback(name, found)


def _said(failure: Exception) -> str:
    return f"{type(failure).__name__}: {str(failure).partition(chr(10))[0]}"
