"""Follows one log through its files: what is appended, renamed, compressed, truncated, and made anew.

A log is a series of files, the oldest first; the last one is written to. A file is read to its end, and left
only when there is a later one, which the writer has then gone over to.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

from processor.scanning.lines import MAX_LINE, Position
from processor.scanning.sources.log_file import HEAD, OpenLog, open_log

LOG = logging.getLogger(__name__)

_LONGEST: Final = MAX_LINE + 128
"""Bytes that are read at most to find the end of a line: of a text that is too long, time and stream
included.
"""


_TELLING: Final = 30
"""Bytes of a head that are enough to tell a file by, without its inode: a container's line has more, and
begins with its own nanosecond.
"""

_SETTLED: Final = 100_000_000
"""Nanoseconds: a directory that changed less than this before it was listed may have changed since, with the
same time (file systems count in ticks of a few milliseconds).
"""


class Follower:
    """Reads the series of files that `listed` gives, anew whenever their directory has changed.

    lost: called when something may have gone away unread. patience: seconds for which a writer may go on with
    a file that has a successor. clock: monotonic seconds.
    """

    def __init__(
        self,
        directory: Path,
        listed: Callable[[], Sequence[Path]],
        lost: Callable[[str], None],
        *,
        patience: float,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._directory = directory
        self._listed = listed
        self._lost = lost
        self._patience = patience
        self._clock = clock
        self._changed = -1
        self._series: Sequence[Path] = ()
        self._start: Sequence[Path] | None = None
        self._before: set[str] = set()
        self._file: OpenLog | None = None
        self._offset = 0
        self._head_size = 0
        self._head = ""
        self._at_end = False
        self._succeeded: float | None = None
        self._said = ""

    def save(self) -> dict[str, str | int]:
        """Where to go on, as a part of a position; empty before the first file."""
        if self._file is None:
            return {}
        self._remember_head(self._file)
        return {
            "inode": self._file.inode,
            "offset": self._offset,
            "head": self._head,
            "head_size": self._head_size,
            "modified": self._file.modified(),
        }

    def restore(self, position: Position) -> None:
        """Go on where save() was. If that file is gone, begin with what was written later, and say so."""
        offset, size = position.get("offset"), position.get("head_size")
        if not isinstance(offset, int) or not isinstance(size, int):
            return
        self._look()
        # Numbers of devices and inodes may change when a machine starts anew; a long head is enough then.
        for by_head in (False, True):
            for path in self._series:
                file = self._open(path)
                if file is None:
                    continue
                known = file.inode == position.get("inode") or (by_head and size >= _TELLING)
                if known and _holds(file, offset, size, position.get("head")):
                    self._take(file, offset)
                    return
                file.close()
        modified = position.get("modified")
        self._start = self._later_than(modified if isinstance(modified, int) else 0)
        self._lost("the file that was read last is gone, and with it what had not been read")

    def skip_to_end(self) -> None:
        """Begin with what will be appended to the newest file."""
        self._look()
        if self._series and (file := self._open(self._series[-1])) is not None:
            self._take(file, file.size() or 0)

    def read(self, size: int) -> bytes:
        """Whole lines that come next, about `size` bytes; b"" when there are none now.

        A line that is too long comes in pieces, of which all but the last have no end of line.
        """
        while True:
            file = self._file or self._first()
            if file is None:
                return b""
            try:
                data = self._next(file, size)
                if not data and not self._may_go_on(file):
                    return b""
                if data := data or self._last(file):
                    return data
            except OSError as error:
                self._lost(f"a file could not be read to its end: {error}")
            if self._leave_for_next(file) is None:
                return b""

    def rest(self) -> bytes:
        """An unfinished line at the end, when nothing more will come; b"" without one."""
        try:
            return b"" if self._file is None else self._last(self._file)
        except OSError:
            return b""

    def close(self) -> None:
        """Close the file; reading begins anew afterwards."""
        self._leave()

    def _next(self, file: OpenLog, size: int) -> bytes:
        length = file.size()
        if length is not None:
            if length == self._offset and self._at_end:
                return b""
            if length < self._offset or (self._at_end and not self._has_my_head(file)):
                self._lost("a file was truncated, perhaps before it had been read to its end")
                self._take(file, 0)
        data = file.read(self._offset, size)
        end = data.rfind(b"\n") + 1
        if not end and len(data) == size:
            data = file.read(self._offset, _LONGEST)
            end = data.find(b"\n") + 1 or (len(data) if len(data) == _LONGEST else 0)
        self._offset += end
        self._remember_head(file)
        self._at_end = end == len(data) and len(data) < size
        return data[:end]

    def _may_go_on(self, file: OpenLog) -> bool:
        """At the end of a file: whether there has been a later one so long that nobody writes here now."""
        if self._look() and self._succeeded is None:
            after = self._series_after(file)
            if after if after is not None else self._unknown():
                self._succeeded = self._clock()
        return self._succeeded is not None and self._clock() - self._succeeded >= self._patience

    def _last(self, file: OpenLog) -> bytes:
        """What is left in a file, its last line ended."""
        data = file.read(self._offset, _LONGEST)
        self._offset += len(data)
        return data if data.endswith(b"\n") or len(data) == _LONGEST or not data else data + b"\n"

    def _leave_for_next(self, file: OpenLog) -> OpenLog | None:
        """Go over to the next file; None if there is none that can be opened."""
        while True:
            self._list()
            after = self._series_after(file)
            gap = after is None and self._offset > 0
            if after is None:
                after = self._unknown()
            listed = self._series
            opened = next((there for path in after if (there := self._open(path)) is not None), None)
            self._list()
            if self._series == listed:
                break
            # Renamed in between: a name may have led to a later file than it did.
            if opened is not None:
                opened.close()
        if gap:
            self._lost("files that followed each other may have gone away before they were read")
        self._leave()
        if opened is not None:
            self._take(opened, 0)
        return opened

    def _first(self) -> OpenLog | None:
        self._look()
        file = self._go_to(self._series if self._start is None else self._start)
        self._start = None if file is not None else self._start
        return file

    def _series_after(self, file: OpenLog) -> Sequence[Path] | None:
        """The files behind this one; None if it is not among those that there are."""
        for number, path in enumerate(self._series):
            if self._is_same(path, file):
                self._before = {_stem(older) for older in self._series[:number]}
                return self._series[number + 1 :]
        return None

    def _unknown(self) -> Sequence[Path]:
        """The files that were not there before the one that is read, now that it can't be found itself."""
        return [path for path in self._series if _stem(path) not in self._before]

    def _later_than(self, modified: int) -> Sequence[Path]:
        """The files that were written to after a moment: those behind one that is gone."""
        later: list[Path] = []
        for path in self._series:
            try:
                if path.stat().st_mtime_ns > modified:
                    later.append(path)
            except OSError:
                continue
        return later

    def _is_same(self, path: Path, file: OpenLog) -> bool:
        other = self._open(path)
        if other is None:
            return False
        try:
            if other.inode == file.inode:
                return True
            # Compressing makes another file of it.
            compressed = path.name.endswith(".gz") and self._head_size >= _TELLING
            return compressed and other.head(self._head_size) == self._head
        except OSError:
            return False
        finally:
            other.close()

    def _look(self) -> bool:
        """List the files if the directory has changed; whether it has."""
        try:
            changed = self._directory.stat().st_mtime_ns
        except OSError:
            changed = 0
        if changed == self._changed:
            return False
        self._changed = changed if time.time_ns() - changed > _SETTLED else -1
        self._list()
        return True

    def _list(self) -> None:
        self._series = self._listed()

    def _go_to(self, paths: Sequence[Path]) -> OpenLog | None:
        for path in paths:
            if (file := self._open(path)) is not None:
                self._take(file, 0)
                return file
        self._changed = -1
        return None

    def _open(self, path: Path) -> OpenLog | None:
        try:
            return open_log(path)
        except FileNotFoundError:
            self._changed = -1  # renamed since it was listed
        except OSError as error:
            what = f"{path} can't be opened: {error.strerror or error}"
            if what != self._said:
                LOG.warning("%s", what)
            self._said = what
        return None

    def _take(self, file: OpenLog, offset: int) -> None:
        self._file, self._offset, self._at_end = file, offset, False
        self._head_size, self._head, self._succeeded = 0, "", None
        self._changed = -1
        self._remember_head(file)

    def _leave(self) -> None:
        if self._file is not None:
            self._file.close()
        self._file = None

    def _remember_head(self, file: OpenLog) -> None:
        size = min(HEAD, self._offset)
        if size > self._head_size:
            self._head_size, self._head = size, file.head(size)

    def _has_my_head(self, file: OpenLog) -> bool:
        return not self._head_size or file.head(self._head_size) == self._head


def _stem(path: Path) -> str:
    """A file's name whether it is compressed or not."""
    return path.name.removesuffix(".gz")


def _holds(file: OpenLog, offset: int, head_size: int, head: object) -> bool:
    """Whether a file is long enough and begins as remembered."""
    length = file.size()
    try:
        return (length is None or length >= offset) and (not head_size or file.head(head_size) == head)
    except OSError:
        return False
