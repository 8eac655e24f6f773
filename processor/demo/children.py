"""The processes that the demo starts, and how they end: always, and in order.

Each is in a session of its own, so that Ctrl-C reaches the demo alone, which then stops them one after the
other.
"""

import asyncio
import contextlib
import json
import os
import signal
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final, Self

from processor.demo.errors import DemoError

MAX_WORDS: Final = 300
"""Characters of a log that an error quotes."""


class Child:
    """A running process. Standard output and error are in `log`."""

    def __init__(self, name: str, process: asyncio.subprocess.Process, log: Path) -> None:
        self.name = name
        self.log = log
        self._process = process

    @classmethod
    async def start(
        cls, name: str, command: Sequence[str], directory: Path, environ: Mapping[str, str]
    ) -> Self:
        """Start `command` in `directory`, where its log is `<name>.log`. Raises DemoError."""
        log = directory / f"{name}.log"
        with log.open("ab") as output:
            try:
                process = await asyncio.create_subprocess_exec(
                    *command,
                    stdin=asyncio.subprocess.DEVNULL,
                    stdout=output,
                    stderr=output,
                    cwd=directory,
                    env=dict(environ),
                    start_new_session=True,
                )
            except OSError as failure:
                raise DemoError(f"{name} can't be started: {failure.strerror or failure}") from None
        return cls(name, process, log)

    @property
    def pid(self) -> int:
        return self._process.pid

    def check(self) -> None:
        """Return if it runs; DemoError with the end of its log if it has ended."""
        code = self._process.returncode
        if code is not None:
            raise DemoError(f"{self.name} ended by itself with exit code {code}: {self.last_words()}")

    async def wait(self) -> None:
        """Wait for its own end."""
        await self._process.wait()

    def last_words(self) -> str:
        """What its log says about a failure: the last error of a JSON log, else the last line."""
        return last_words(self.log.read_text("utf-8", "replace"))

    async def stop(self, grace: float) -> None:
        """SIGTERM, and SIGKILL to it and all it started if it still runs after `grace` seconds."""
        with contextlib.suppress(ProcessLookupError):
            self._process.terminate()
        try:
            await asyncio.wait_for(self._process.wait(), grace)
        except TimeoutError:
            self._kill()
            await self._process.wait()
        else:
            self._kill()  # what it may have left behind

    def _kill(self) -> None:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, signal.SIGKILL)


def last_words(log: str) -> str:
    """The last error of a log in JSON, or the last line of any other, cut to MAX_WORDS. Pure."""
    lines = log.strip().splitlines()
    words = lines[-1] if lines else "it wrote nothing"
    for line in reversed(lines):
        try:
            said = json.loads(line)
        except ValueError:
            break  # a traceback, for instance: then its last line says it
        if isinstance(said, dict) and said.get("level") in ("error", "critical"):
            parts = (said.get("message"), said.get("error") or said.get("reason"))
            words = ": ".join(str(part) for part in parts if part)
            break
    return words if len(words) <= MAX_WORDS else words[: MAX_WORDS - 1] + "…"
