"""What a rule's `{ref: …}` may name, looked up where it is used: in the process that sends.

`env:TOCSIN_SECRET_…` is a variable of that process, `file:…` a file inside secrets.directory. Nothing else
can be named, so whoever may write rules can't read the rest of the machine.
"""

from __future__ import annotations

import os
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final, NamedTuple

from processor.rules.errors import SecretError
from processor.rules.values import check_reference

MAX_FILE_BYTES = 65_536

MOST_FILES: Final = 1_024
"""Files whose text is kept; the one longest unused leaves first."""

_SETTLED_NS: Final = 2_000_000_000
"""A file changed twice within a file system's clock tick looks the same both times. So what was read is
trusted only once the file had been left alone for so long when it was read."""


class _Kept(NamedTuple):
    """A file's text, and by what to see that the file has changed since."""

    text: str
    stamp: tuple[int, ...]


class References:
    """Looks references up; use it from any thread. A file is read again when it has changed, so a mounted
    secret that changes is in force at once; as long as it hasn't, a look-up is one stat(2).
    """

    def __init__(
        self,
        environ: Mapping[str, str],
        directory: Path | None = None,
        *,
        most_files: int = MOST_FILES,
        clock_ns: Callable[[], int] = time.time_ns,
    ) -> None:
        """`clock_ns`: ns since 1970, the clock that files are stamped by."""
        self._environ = environ
        self._directory = directory
        self._most = most_files
        self._clock_ns = clock_ns
        self._kept: OrderedDict[str, _Kept] = OrderedDict()
        self._lock = threading.Lock()

    def look_up(self, ref: str) -> str:
        """The text behind `ref`, of a file without one newline at its end; raises SecretError."""
        with self._lock:
            known = self._known(ref)
        if known is not None:
            return known
        try:
            check_reference(ref)
        except ValueError as wrong:
            raise SecretError(str(wrong)) from None
        kind, _, name = ref.partition(":")
        text = self._variable(name) if kind == "env" else self._file(name)
        if not text:
            raise SecretError(f"{ref} is empty")
        return text

    def _variable(self, name: str) -> str:
        text = self._environ.get(name)
        if text is None:
            raise SecretError(f"the environment variable {name} is not set in this process")
        return text

    def _known(self, ref: str) -> str | None:
        """What was read of a file that is as it was; None: read it."""
        kept = self._kept.get(ref)
        if kept is None or self._directory is None:
            return None
        try:
            # Links are followed: one that leads elsewhere now leads to another file, so to another stamp.
            stamp = _stamp(os.stat(self._directory / ref.partition(":")[2]))
        except OSError:
            stamp = ()
        if kept.stamp != stamp:
            del self._kept[ref]
            return None
        self._kept.move_to_end(ref)
        return kept.text

    def _file(self, name: str) -> str:
        if self._directory is None:
            raise SecretError(f"file:{name} can't be read: secrets.directory is not set")
        try:
            # Links are followed first: a mounted Kubernetes secret is made of them, and they must stay
            # inside.
            directory = self._directory.resolve(strict=True)
            path = (directory / name).resolve(strict=True)
            if not path.is_relative_to(directory):
                raise SecretError(f"file:{name} leads out of secrets.directory")
            with path.open("rb") as file:
                now_ns = self._clock_ns()
                found = os.fstat(file.fileno())
                raw = file.read(MAX_FILE_BYTES + 1)
            if len(raw) > MAX_FILE_BYTES:
                raise SecretError(f"file:{name} is larger than {MAX_FILE_BYTES} bytes")
            text = raw.decode()
        except (OSError, RuntimeError) as failure:  # RuntimeError: links that lead in a circle
            why = (
                failure.strerror if isinstance(failure, OSError) and failure.strerror else "can't be resolved"
            )
            raise SecretError(f"file:{name} can't be read: {why}") from None
        except UnicodeDecodeError:
            raise SecretError(f"file:{name} is not UTF-8") from None
        text = text[:-1].removesuffix("\r") if text.endswith("\n") else text
        if text and now_ns - max(found.st_mtime_ns, found.st_ctime_ns) > _SETTLED_NS:
            with self._lock:
                self._kept[f"file:{name}"] = _Kept(text, _stamp(found))
                if len(self._kept) > self._most:
                    self._kept.popitem(last=False)
        return text


def _stamp(found: os.stat_result) -> tuple[int, ...]:
    return (found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns)
