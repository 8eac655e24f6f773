"""A child process in a session of its own, adopted by the reaper, its output in a file."""

import contextlib
import os
import signal
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from tests.support.reaper import REAPER, kill_group


class Child:
    """Starts at once. stdout and stderr are appended to `log`. `close()` or `kill()` it when done."""

    def __init__(
        self,
        command: Sequence[str],
        log: Path,
        *,
        env: Mapping[str, str] | None = None,
        cwd: Path | None = None,
        stdout: Path | None = None,
    ) -> None:
        """`stdout`, when given, takes the standard output, and `log` only the standard error."""
        with contextlib.ExitStack() as files:
            err = files.enter_context(log.open("ab"))
            out = err if stdout is None else files.enter_context(stdout.open("ab"))
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=err,
                env=env,
                cwd=cwd,
                start_new_session=True,
            )
        self.pid = self._process.pid
        REAPER.adopt("group", self.pid)
        self._released = False

    @property
    def returncode(self) -> int | None:
        """None while it runs; negative is the signal that ended it."""
        code = self._process.poll()
        if code is not None:
            self._release()
        return code

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to the process itself (not to its group); one that has ended is left alone."""
        self._process.send_signal(number)

    def wait(self, timeout: float) -> int:
        """Its exit code. subprocess.TimeoutExpired after `timeout` seconds."""
        code = self._process.wait(timeout)
        self._release()
        return code

    def kill(self) -> None:
        """SIGKILL to it and all it started, and wait for the end. Works on a stopped (SIGSTOP) one, too."""
        if not self._released:
            kill_group(self.pid)
            self._process.wait(30)
            self._release()

    def terminate(self, grace: float) -> int:
        """SIGTERM, and SIGKILL if it still runs after `grace` seconds; its exit code."""
        self.signal(signal.SIGTERM)
        try:
            return self.wait(grace)
        except subprocess.TimeoutExpired:
            self.kill()
            return self._process.wait(0)

    def _release(self) -> None:
        if not self._released:
            self._released = True
            kill_group(self.pid)  # what it started and left behind
            REAPER.release("group", self.pid)


def tail(path: Path, characters: int = 4000) -> str:
    """The end of a text file; empty when there is none."""
    try:
        with path.open("rb") as file:
            file.seek(max(0, os.fstat(file.fileno()).st_size - characters))
            return file.read().decode("utf-8", "replace")
    except FileNotFoundError:
        return ""
