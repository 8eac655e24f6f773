"""One log file, open: told apart from others by what it is, not by its name, which rotation changes."""

from __future__ import annotations

import gzip
import hashlib
import os
import zlib
from pathlib import Path
from typing import Final, Protocol

HEAD: Final = 256
"""Bytes at the beginning by which a file is told from another one that got its inode."""

_STEP: Final = 1 << 18


class OpenLog(Protocol):
    """An open log file."""

    @property
    def inode(self) -> str:
        """Device and inode, as text."""
        ...

    def read(self, offset: int, size: int) -> bytes:
        """Up to `size` bytes from `offset` on, fewer at the end; offsets only grow. Raises OSError."""
        ...

    def size(self) -> int | None:
        """Its size now; None for one that can't shrink."""
        ...

    def modified(self) -> int:
        """When it was last written to, in nanoseconds since the epoch."""
        ...

    def head(self, size: int) -> str:
        """A digest of the first `size` bytes."""
        ...

    def close(self) -> None: ...


def open_log(path: Path) -> OpenLog:
    """Open a log file, compressed by the kubelet or logrotate (.gz) or not. Raises OSError."""
    return _Compressed(path) if path.name.endswith(".gz") else _Plain(path)


def inode_of(stat: os.stat_result) -> str:
    """Device and inode as text."""
    return f"{stat.st_dev}:{stat.st_ino}"


def digest(head: bytes) -> str:
    """What a head is remembered by."""
    return hashlib.blake2s(head, digest_size=12).hexdigest()


class _Plain:
    def __init__(self, path: Path) -> None:
        self._fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
        self.inode = inode_of(os.fstat(self._fd))

    def read(self, offset: int, size: int) -> bytes:
        return os.pread(self._fd, size, offset)

    def size(self) -> int | None:
        return os.fstat(self._fd).st_size

    def modified(self) -> int:
        return os.fstat(self._fd).st_mtime_ns

    def head(self, size: int) -> str:
        return digest(os.pread(self._fd, size, 0))

    def close(self) -> None:
        os.close(self._fd)


class _Compressed:
    """Reads forwards only, and keeps what was read and not taken."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file = gzip.open(path)  # noqa: SIM115  (close() does)
        stat = path.stat()
        self.inode, self._modified = inode_of(stat), stat.st_mtime_ns
        self._start = 0
        self._kept = b""

    def read(self, offset: int, size: int) -> bytes:
        while offset + size > self._start + len(self._kept):
            past = min(max(offset - self._start, 0), len(self._kept))
            self._kept, self._start = self._kept[past:], self._start + past
            if not (more := self._next()):
                break
            self._kept += more
        at = offset - self._start
        return self._kept[at : at + size]

    def size(self) -> int | None:
        return None

    def modified(self) -> int:
        return self._modified

    def head(self, size: int) -> str:
        with gzip.open(self._path) as file:
            try:
                return digest(file.read(size))
            except (EOFError, zlib.error) as error:
                raise OSError(str(error)) from error

    def close(self) -> None:
        self._file.close()

    def _next(self) -> bytes:
        try:
            return self._file.read(_STEP)
        except (EOFError, zlib.error) as error:
            raise OSError(f"{self._path} is damaged: {error}") from error
