"""Plain files: those that globs name, followed through rotation."""

from __future__ import annotations

import glob
import logging
import re
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

from processor.scanning.lines import Sink, Tail
from processor.scanning.sources.following import Follower
from processor.scanning.sources.plain_lines import PlainLog
from processor.scanning.sources.polling import FileTail, follow

LOG = logging.getLogger(__name__)

_ROTATED: Final = re.compile(r"(?:[.-]\d[\d.T:_-]*)(?:\.gz)?|\.old|\.\d+\.gz")
"""What logrotate and its like put behind a name."""

_PATIENCE: Final = 5.0
"""Seconds: a program goes on with the renamed file until somebody has told it."""


class FileSource:
    """A `lines.Source` of the files that match globs; the path is the workload.

    first: whether this machine is scanned for the first time: then files that are there already are read from
    their end on. Later ones are read whole. patience: as of Follower.
    """

    def __init__(
        self,
        globs: Sequence[str],
        *,
        first: bool,
        patience: float = _PATIENCE,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._globs = globs
        self._skip = first
        self._patience = patience
        self._clock = clock
        self._tails: dict[Path, FileTail] = {}

    @property
    def tails(self) -> Sequence[Tail]:
        """See `lines.Source`."""
        return [each.tail for each in self._tails.values()]

    @property
    def trouble(self) -> str:
        """See `lines.Source`: a file that isn't there yet is none."""
        return ""

    async def run(self, sink: Sink) -> None:
        """See `lines.Source`; runs until it is cancelled."""
        await follow(self._tails, lambda: self._compare(sink), sink, self._clock)

    async def _compare(self, sink: Sink) -> None:
        """Begin with new files. One that is gone stays: it may only be between two names."""
        named = {Path(name) for pattern in self._globs for name in glob.glob(pattern, recursive=True)}
        files = {path for path in named if path.is_file() and not _is_rotation(path, named)}
        for path in sorted(files - self._tails.keys()):
            tail = Tail(key=f"file/{path}", workload=str(path))
            follower = Follower(
                path.parent,
                lambda path=path: _series(path),  # type: ignore[misc]
                lambda why, tail=tail: self._say_lost(tail, sink, why),  # type: ignore[misc]
                patience=self._patience,
                clock=self._clock,
            )
            if sink.position(tail.key) is None and self._skip:
                follower.skip_to_end()
            self._tails[path] = FileTail(tail, follower, PlainLog())
        self._skip = False

    def _say_lost(self, tail: Tail, sink: Sink, why: str) -> None:
        LOG.warning("%s: %s", tail.workload, why)
        sink.lost(tail, 0)


def _is_rotation(path: Path, others: set[Path]) -> bool:
    """Whether a file is an older part of another one that is named too."""
    for end in range(len(path.name) - 1, 0, -1):
        if path.with_name(path.name[:end]) in others and _ROTATED.fullmatch(path.name[end:]):
            return True
    return False


def _series(path: Path) -> Sequence[Path]:
    """A file and the parts that were rotated away, the oldest first."""
    parts: list[tuple[float, Path]] = []
    try:
        siblings = list(path.parent.iterdir())
    except OSError:
        return ()
    for other in siblings:
        suffix = other.name.removeprefix(path.name)
        if other.name != suffix and suffix and _ROTATED.fullmatch(suffix):
            try:
                parts.append((other.stat().st_mtime, other))
            except OSError:
                continue
    return [*(other for _, other in sorted(parts)), *([path] if path.exists() else [])]
