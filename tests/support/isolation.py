"""The sender's attempts where no packet can get out: in a process in a network namespace of its own.

It has the loopback interface only, and on that every address there is. So an address that the sender should
not call would answer, and be seen to have been called.
"""

import json
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Self

from tests.support.child import tail

ROOT = Path(__file__).parents[2]
_WAYS = (["unshare", "-n", "-m"], ["unshare", "-r", "-n", "-m"])
"""As root, and as a user who may make user namespaces."""


@dataclass(frozen=True)
class Attempted:
    """One outcome for each URL, and the addresses that were connected to, in order."""

    outcomes: list[dict[str, Any]]
    reached: list[str]

    @property
    def kinds(self) -> list[str]:
        """`delivered`, `failed` or, where it was refused, `blocked`."""
        return [outcome["reason"] or outcome["kind"] for outcome in self.outcomes]

    @property
    def only(self) -> dict[str, Any]:
        """The outcome of a single URL."""
        (outcome,) = self.outcomes
        return outcome


class UnavailableError(Exception):
    """There is no such namespace to be had; the text says why."""


class Isolation:
    """A context manager; `attempt` blocks until all outcomes are there. Raises UnavailableError."""

    def __init__(self, directory: Path) -> None:
        way = _way()
        self._log = directory / "isolated.log"
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                [*way, sys.executable, "-m", "tests.support.isolated", str(directory)],
                cwd=ROOT,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
            )

    def attempt(
        self,
        *urls: str,
        policy: Mapping[str, Sequence[str]] | None = None,
        names: Mapping[str, Sequence[Sequence[str]]] | None = None,
        listen: Sequence[tuple[str, int]] = (),
        in_turn: bool = False,
        connect_timeout: float = 5.0,
    ) -> Attempted:
        """One attempt for each URL: all at once, or in turn, each by a sender that knows of no other.

        policy: the arguments of EgressPolicy; names: what the name server says (name_server.py); listen:
        addresses and ports beside port 80, on which all answer.
        """
        command = {
            "urls": urls,
            "policy": policy or {},
            "names": names or {},
            "listen": listen,
            "in_turn": in_turn,
            "connect_timeout": connect_timeout,
        }
        stdin = self._process.stdin
        assert stdin is not None
        stdin.write(json.dumps(command) + "\n")
        stdin.flush()
        return Attempted(**self._answer())

    def __enter__(self) -> Self:
        answer = self._answer()
        if "refused" in answer:
            self.__exit__()
            raise UnavailableError(f"this machine makes no network namespace to test in: {answer['refused']}")
        assert answer == {"ready": True}
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.communicate()

    def _answer(self) -> dict[str, Any]:
        out: IO[str] | None = self._process.stdout
        assert out is not None
        line = out.readline()
        assert line, f"the process in the namespace has ended:\n{tail(self._log)}"
        answer: dict[str, Any] = json.loads(line)
        return answer


def _way() -> Sequence[str]:
    why = "unshare (util-linux) is not installed"
    for way in _WAYS:
        try:
            done = subprocess.run([*way, "true"], capture_output=True, text=True, timeout=30, check=False)
        except OSError:
            continue
        if done.returncode == 0:
            return way
        why = done.stderr.strip()
    raise UnavailableError(f"no network namespace can be had here: {why}")
