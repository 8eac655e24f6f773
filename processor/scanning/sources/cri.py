"""The logs of a node's pods, as the kubelet keeps them: <namespace>_<pod>_<uid>/<container>/<restart>.log.

A container's log is a series of files: for each restart those that the kubelet has rotated away (N.log.TIME,
later N.log.TIME.gz), then N.log. They are followed as one log.
"""

from __future__ import annotations

import logging
import os
import re
import time
from collections.abc import Callable, Sequence
from datetime import datetime
from pathlib import Path
from typing import Final

from processor.scanning.lines import Sink, Tail
from processor.scanning.own import is_own
from processor.scanning.sources.cri_lines import CriLog, Parsed
from processor.scanning.sources.following import Follower
from processor.scanning.sources.pods import About, Asked, PodPath, from_path
from processor.scanning.sources.polling import FileTail, follow

LOG = logging.getLogger(__name__)

_PREFIX: Final = "cri/"

_FILE: Final = re.compile(r"(\d+)\.log(?:\.(\d{8}-\d{6}))?(?:\.gz)?")
_PATIENCE: Final = 0.2


class CriSource:
    """A `lines.Source`.

    root: scanner.cri_path. begin: as of DockerSource: logs without a position are read from this second on.
    own_logs: whether Tocsin's own containers are read. ask: what the API server knows of a pod; None where it
    can't be asked.
    """

    def __init__(
        self,
        root: Path,
        begin: int,
        *,
        own_logs: bool = False,
        ask: Asked | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._root = root
        self._begin = begin
        self._own_logs = own_logs
        self._ask = ask
        self._clock = clock
        self._tails: dict[Path, FileTail] = {}
        self._left_out: set[Path] = set()
        self._is_first = True
        self._trouble = f"{root} has not been looked at yet"

    @property
    def tails(self) -> Sequence[Tail]:
        """See `lines.Source`."""
        return [each.tail for each in self._tails.values()]

    @property
    def trouble(self) -> str:
        """See `lines.Source`."""
        return self._trouble

    async def run(self, sink: Sink) -> None:
        """See `lines.Source`; runs until it is cancelled."""
        await follow(self._tails, lambda: self._compare(sink), sink, self._clock)

    async def _compare(self, sink: Sink) -> None:
        """Begin with new containers, finish those that have gone."""
        try:
            there = set(_containers(self._root))
        except OSError as error:
            trouble = f"{self._root} can't be listed: {error.strerror or error}"
            if trouble != self._trouble:
                LOG.error("%s (scanner.cri_path)", trouble)
            self._trouble = trouble
            return
        self._trouble = ""
        if self._is_first:
            self._is_first = False
            self._forget(there, sink)
        self._left_out &= there
        for directory in sorted(there - self._tails.keys() - self._left_out):
            await self._begin_with(directory, sink)
        for directory in list(self._tails.keys() - there):
            await self._tails[directory].finish(sink)
            del self._tails[directory]

    def _forget(self, there: set[Path], sink: Sink) -> None:
        """Pods that have gone while nobody scanned, perhaps with lines that nobody had read."""
        keys = {_key(directory) for directory in there}
        for key in sink.known(_PREFIX):
            if key not in keys:
                tail = Tail(key, "")
                sink.lost(tail, 0)
                sink.gone(tail)

    async def _begin_with(self, directory: Path, sink: Sink) -> None:
        path = from_path(directory)
        if path is None:
            self._left_out.add(directory)
            return
        about = await self._about(path)
        owner = about.workload.rpartition("/")[2]
        if not self._own_logs and any(
            is_own(about.labels, about.image, name) for name in (path.container, owner)
        ):
            LOG.info("left out: the logs of %s/%s are Tocsin's own", about.workload, path.container)
            self._left_out.add(directory)
            return
        tail = Tail(
            key=_key(directory),
            workload=about.workload,
            container=path.container,
            image=about.image,
        )
        follower = Follower(
            directory,
            lambda: _series(directory, self._begin),
            lambda why: self._say_lost(tail, sink, why),
            patience=_PATIENCE,
            clock=self._clock,
        )
        self._tails[directory] = FileTail(tail, follower, CriLog(), _Since(self._begin))

    async def _about(self, path: PodPath) -> About:
        if self._ask is not None and (about := await self._ask(path)) is not None:
            return about
        return path.guess()

    def _say_lost(self, tail: Tail, sink: Sink, why: str) -> None:
        LOG.warning("%s/%s: %s", tail.workload, tail.container, why)
        sink.lost(tail, 0)


class _Since:
    """Leaves out lines from before a second since the epoch, until one is not; lines are in order."""

    def __init__(self, begin: int) -> None:
        self._begin = begin
        self._reached = False

    def __call__(self, parsed: Parsed) -> Parsed:
        if self._reached or not parsed.texts:
            return parsed
        keep = len(parsed.texts)
        if self._is_after(parsed.times[-1]):
            keep = next(n for n, time in enumerate(parsed.times) if self._is_after(time))
            self._reached = True
        return Parsed(parsed.texts[keep:], parsed.streams[keep:], parsed.times[keep:], 0)

    def _is_after(self, moment: bytes) -> bool:
        try:
            return datetime.fromisoformat(moment.decode()).timestamp() >= self._begin
        except ValueError:  # a line without a time
            return True


def _key(directory: Path) -> str:
    """The key of the tail of a container's directory."""
    return f"{_PREFIX}{directory.parent.name}/{directory.name}"


def _containers(root: Path) -> list[Path]:
    """The directories of all containers. Raises OSError where the root can't be listed."""
    found: list[Path] = []
    with os.scandir(root) as pods:
        for pod in pods:
            try:
                with os.scandir(pod.path) as containers:
                    found += [Path(each.path) for each in containers if each.is_dir()]
            except OSError:  # gone, or not a directory
                continue
    return found


def _series(directory: Path, begin: int) -> Sequence[Path]:
    """The files of a container, the oldest first, without those that end before `begin`."""
    found: list[tuple[tuple[int, str], Path]] = []
    try:
        names = os.listdir(directory)
    except OSError:
        return ()
    for name in names:
        if match := _FILE.fullmatch(name):
            path = directory / name
            try:
                if path.stat().st_mtime < begin:
                    continue
            except OSError:
                continue
            # The one that is written to is the last of its restart.
            found.append(((int(match[1]), match[2] or "~"), path))
    return [path for _, path in sorted(found)]
