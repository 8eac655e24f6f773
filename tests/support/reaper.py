"""Ends what a test run leaves behind, however the run ends.

A broker or a role under test is a process of its own session, so that Ctrl-C reaches pytest alone and its
fixtures can finish in order. A pytest that is killed runs no fixture; then this helper, whose standard input
is a pipe that only pytest holds, reads the end of file and removes what was adopted and not released: process
groups, containers, directories. (The idea is testcontainers' Ryuk, for processes.)

Run as a script it is the helper; imported, `REAPER` is the handle to it.
"""

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import IO, Literal

Thing = Literal["group", "container", "directory"]


class Reaper:
    """A handle to the helper process, started with the first adoption; safe to call from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._helper: subprocess.Popen[str] | None = None

    def adopt(self, thing: Thing, name: object) -> None:
        """Have `name` (the id of a group or container, a directory) removed when this process ends."""
        self._say("+", thing, name)

    def release(self, thing: Thing, name: object) -> None:
        """Forget what was adopted: it is gone. Process ids are used again, so this is not optional."""
        self._say("-", thing, name)

    def close(self) -> None:
        """Remove what is still adopted, and wait until that is done."""
        with self._lock:
            helper, self._helper = self._helper, None
        if helper is not None and helper.stdin is not None:
            helper.stdin.close()
            helper.wait(timeout=60)

    def _say(self, sign: str, thing: Thing, name: object) -> None:
        with self._lock:
            if self._helper is None:
                self._helper = subprocess.Popen(
                    [sys.executable, "-I", str(Path(__file__).resolve())],
                    stdin=subprocess.PIPE,
                    text=True,
                    start_new_session=True,
                )
            assert self._helper.stdin is not None
            self._helper.stdin.write(f"{sign}{thing} {name}\n")
            self._helper.stdin.flush()


def kill_group(group: int) -> None:
    """SIGKILL to every process of a group; a group that is gone is fine."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(group, signal.SIGKILL)


def _reap(lines: IO[str]) -> None:
    adopted: dict[str, list[str]] = {"group": [], "container": [], "directory": []}
    for line in lines:
        thing, _, name = line.rstrip("\n")[1:].partition(" ")
        if line[0] == "+":
            adopted[thing].append(name)
        elif name in adopted[thing]:
            adopted[thing].remove(name)
    for name in adopted["group"]:
        kill_group(int(name))
    if adopted["container"]:
        command = ["docker", "rm", "--force", "--volumes", *adopted["container"]]
        subprocess.run(command, check=False, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    for name in adopted["directory"]:
        shutil.rmtree(name, ignore_errors=True)


REAPER = Reaper()

if __name__ == "__main__":
    for ignored in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(ignored, signal.SIG_IGN)
    _reap(sys.stdin)
