"""The tokens that hold now: those of the settings, and those of admin.tokens_file, as it is now."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Final

import yaml

from processor.admin.access import Tokens
from processor.lifecycle import Refused
from processor.settings_admin import AdminSettings, AdminToken, read_tokens

log = logging.getLogger(__name__)

LOOK_EVERY: Final = 1.0
"""Seconds between looks at the file: a token taken out of it is refused this much later at most."""

SHORT: Final = 16
"""Characters below which a token can be guessed; said once, in the log."""

MAX_FILE: Final = 1 << 20

_Seen = tuple[int, int, int] | None


class CurrentTokens:
    """One thread asks. While the file can't be read none of its tokens hold."""

    def __init__(self, settings: AdminSettings, clock: Callable[[], float]) -> None:
        """`clock` in seconds, never going back. Raises Refused when the file can't be used."""
        self._own = dict(settings.tokens)
        self._path = settings.tokens_file
        self._clock = clock
        self._looked_at = clock()
        self._seen = self._look()
        more: dict[str, AdminToken] = {}
        if self._path is not None:
            try:
                more = _read(self._path, self._own)
            except ValueError as failure:
                raise Refused(f"admin.tokens_file: {failure}") from None
        if not self._own and not more:
            raise Refused(f"admin.tokens_file: {self._path} holds no token, and admin.tokens is not set")
        _warn_of_short(self._own | more)
        self._tokens = Tokens(self._own | more)

    def now(self) -> Tokens:
        """Those that hold now."""
        if self._path is not None and self._clock() - self._looked_at >= LOOK_EVERY:
            self._looked_at = self._clock()
            seen = self._look()
            if seen != self._seen:
                self._seen = seen
                self._reload(self._path)
        return self._tokens

    def _look(self) -> _Seen:
        """What tells one version of the file from another; a replaced one has another inode."""
        try:
            status = self._path.stat() if self._path is not None else None
        except OSError:
            return None
        return (status.st_mtime_ns, status.st_size, status.st_ino) if status is not None else None

    def _reload(self, path: Path) -> None:
        more: dict[str, AdminToken] = {}
        try:
            more = _read(path, self._own)
        except ValueError as failure:
            log.error(
                "admin.tokens_file can't be used, none of its tokens hold",
                extra={"fields": {"reason": str(failure)}},
            )
        else:
            log.info("admin.tokens_file was read again", extra={"fields": {"tokens": len(more)}})
            _warn_of_short(more)
        self._tokens = Tokens(self._own | more)


def _read(path: Path, own: dict[str, AdminToken]) -> dict[str, AdminToken]:
    """The file's tokens. Raises ValueError, which never repeats what stands in it."""
    try:
        with path.open(encoding="utf-8") as file:
            text = file.read(MAX_FILE + 1)
        if len(text) > MAX_FILE:
            raise ValueError(f"{path} is larger than {MAX_FILE} characters")
        found = yaml.safe_load(text)
    except OSError as error:
        raise ValueError(f"can't read {path}: {error.strerror}") from None
    except (yaml.YAMLError, UnicodeError, RecursionError):
        raise ValueError(f"{path} is neither YAML nor JSON in UTF-8") from None
    tokens = read_tokens({} if found is None else found)
    if twice := sorted(tokens.keys() & own.keys()):
        raise ValueError(f"{path}: {twice[0]} is in admin.tokens as well; give it another name")
    read_tokens({**own, **tokens})  # no token under two names
    return tokens


def _warn_of_short(tokens: dict[str, AdminToken]) -> None:
    for name, token in tokens.items():
        if len(token.token.get_secret_value()) < SHORT:
            log.warning(
                "an admin token is short enough to be guessed; `openssl rand -hex 32` makes a better one",
                extra={"fields": {"name": name}},
            )
