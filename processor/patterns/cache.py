"""Compiled databases on disk, so that a process with thousands of patterns starts in no time.

What is read back is checked against its digest before Hyperscan sees it, which finds damage, not malice:
whoever can write to the directory can have this process do anything. So only a directory is used that belongs
to this user and that nobody else may write to. A file that can't be used is as good as none.
"""

import contextlib
import hashlib
import json
import logging
import os
import stat
import struct
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from processor.patterns.database import hyperscan_build
from processor.patterns.errors import CacheError

DEFAULT_BYTES: Final = 256 << 20
_MAGIC: Final = b"tocsin-patterns-1\n"
_DIGEST: Final = hashlib.sha256().digest_size
_HEAD: Final = struct.Struct(">I")  # length of the JSON that comes before the database
_SUFFIX: Final = ".hyperscan"

_log = logging.getLogger(__name__)


class DatabaseCache:
    """Databases by a key of what they are made from; the ones not asked for longest go when it is full.

    Several processes may share a directory. Usable from any thread.
    """

    def __init__(self, directory: Path, max_bytes: int = DEFAULT_BYTES) -> None:
        """Makes the directory, for this user only, if it isn't there.

        Raises CacheError if it can't be made, belongs to someone else, or others may write to it.
        """
        try:
            directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            about = directory.stat()
        except OSError as error:
            raise CacheError(f"{directory}: {error.strerror}") from None
        if about.st_uid != os.geteuid():
            raise CacheError(f"{directory} belongs to another user: whoever writes to it can run code here")
        if about.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
            raise CacheError(f"{directory} can be written to by others: make it `chmod 700`")
        self._directory = directory
        self._max_bytes = max_bytes

    def key(self, forms: Sequence[tuple[str, str]]) -> str:
        """What a database over these forms, in this order, is kept under, for this library and processor."""
        made_from = json.dumps([hyperscan_build(), forms]).encode()
        return hashlib.sha256(made_from).hexdigest()

    def get(self, key: str) -> tuple[bytes, dict[int, str]] | None:
        """The serialised database and the reasons of what is not in it; None if there is no whole one."""
        path = self._path(key)
        try:
            descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
        except FileNotFoundError:
            return None
        except OSError as error:
            _log.warning("can't read a compiled database from the cache: %s", error)
            return None
        try:
            with open(descriptor, "rb") as file:
                if os.fstat(descriptor).st_size > self._max_bytes:
                    raise ValueError("too large")
                known = _opened(file.read())
            os.utime(path)
            return known
        except (OSError, ValueError) as error:
            _log.warning("a compiled database in the cache is damaged and will be made again: %s", error)
            with contextlib.suppress(OSError):
                path.unlink()
            return None

    def put(self, key: str, serialised: bytes, refused: dict[int, str]) -> None:
        """Keeps a database, whole or not at all; a disk that is full costs a line in the log."""
        head = json.dumps(refused).encode()
        rest = _HEAD.pack(len(head)) + head + serialised
        data = _MAGIC + hashlib.sha256(rest).digest() + rest
        if len(data) > self._max_bytes:
            return
        try:
            self._make_room(len(data))
            with tempfile.NamedTemporaryFile(dir=self._directory, prefix=".new-", delete=False) as file:
                try:
                    file.write(data)
                    file.close()
                    os.replace(file.name, self._path(key))
                except BaseException:
                    with contextlib.suppress(OSError):
                        os.unlink(file.name)
                    raise
        except OSError as error:
            _log.warning("can't keep a compiled database in the cache: %s", error)

    def _path(self, key: str) -> Path:
        return self._directory / f"{key}{_SUFFIX}"

    def _make_room(self, size: int) -> None:
        """Removes the oldest files, and what a process left that died while writing."""
        files = []
        for entry in os.scandir(self._directory):
            if entry.name.endswith(_SUFFIX) or entry.name.startswith(".new-"):
                with contextlib.suppress(FileNotFoundError):
                    about = entry.stat(follow_symlinks=False)
                    files.append((about.st_mtime_ns, about.st_size, entry.path))
        total = size + sum(length for _, length, _ in files)
        for _, length, path in sorted(files):
            if total <= self._max_bytes:
                break
            with contextlib.suppress(FileNotFoundError):
                os.unlink(path)
            total -= length


def _opened(data: bytes) -> tuple[bytes, dict[int, str]]:
    """Raises ValueError for anything but what put() wrote."""
    start = len(_MAGIC) + _DIGEST
    if len(data) < start + _HEAD.size or not data.startswith(_MAGIC):
        raise ValueError("not a compiled database")
    rest = memoryview(data)[start:]
    if hashlib.sha256(rest).digest() != data[len(_MAGIC) : start]:
        raise ValueError("its digest differs")
    (length,) = _HEAD.unpack_from(rest)
    refused = json.loads(bytes(rest[_HEAD.size : _HEAD.size + length]))
    return bytes(rest[_HEAD.size + length :]), {int(at): reason for at, reason in refused.items()}
