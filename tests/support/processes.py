"""`tocsin …` as a real process: started, asked, stopped, killed, frozen."""

import http.client
import itertools
import json
import os
import re
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

import yaml

from tests.support.child import Child, tail
from tests.support.waiting import wait_until

_numbers = itertools.count(1)


class Process:
    """Starts at once. Its settings go into a YAML file, its output into `<name>.log` and `<name>.out`.

    The environment holds no TOCSIN_ variable but those given. `settings` is what settings_for() makes;
    without it the command runs without a file. `wrapper` is a command that becomes the one behind it.
    """

    def __init__(
        self,
        *arguments: str,
        directory: Path,
        settings: Mapping[str, Any] | None = None,
        env: Mapping[str, str] | None = None,
        name: str | None = None,
        wrapper: Sequence[str] = (),
    ) -> None:
        self.arguments = arguments
        self.name = name or f"{next(_numbers)}-{'-'.join(a for a in arguments if a.isalnum())}"[:60]
        self.settings = settings or {}
        self._log = directory / f"{self.name}.log"
        self._out = directory / f"{self.name}.out"
        environment = {key: value for key, value in os.environ.items() if not key.startswith("TOCSIN_")}
        if settings is not None:
            file = directory / f"{self.name}.yaml"
            file.write_text(yaml.safe_dump(dict(settings)))
            environment["TOCSIN_CONFIG"] = str(file)
        environment.update(env or {})
        program = Path(sys.executable).parent / "tocsin"
        self._child = Child(
            [*wrapper, str(program), *arguments], self._log, env=environment, stdout=self._out
        )

    @property
    def pid(self) -> int:
        return self._child.pid

    @property
    def returncode(self) -> int | None:
        """None while it runs; negative is the signal that ended it."""
        return self._child.returncode

    @property
    def telemetry(self) -> str:
        """The base URL of its telemetry, without a slash at the end."""
        return f"http://{self.settings['telemetry']['listen']}"

    def log(self) -> str:
        """What it has written to stderr so far."""
        return tail(self._log, 50_000_000)

    def output(self) -> str:
        """What it has written to stdout so far."""
        return tail(self._out, 50_000_000)

    def get(self, path: str, timeout: float = 5.0) -> tuple[int, str]:
        """Status and body of GET `path` on its telemetry; (0, reason) when nothing answers."""
        try:
            with urllib.request.urlopen(self.telemetry + path, timeout=timeout) as response:
                return int(response.status), response.read().decode()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.read().decode()
        except (OSError, http.client.HTTPException) as error:
            return 0, str(error)

    def status(self) -> Any:
        """What /status says, decoded."""
        return json.loads(self.get("/status")[1])

    def metric(self, name: str, **labels: str) -> float:
        """The sum of a metric's samples that carry these labels; 0 when there is none."""
        wanted = [f'{key}="{value}"' for key, value in labels.items()]
        sample = re.compile(rf"^{re.escape(name)}(?:\{{(?P<labels>.*)\}})? (?P<value>\S+)", re.MULTILINE)
        found = sample.finditer(self.get("/metrics")[1])
        return sum(float(m["value"]) for m in found if all(label in (m["labels"] or "") for label in wanted))

    def wait_ready(self, timeout: float = 40.0) -> "Process":
        """Wait until /readyz answers 200. AssertionError with its log when it ends or doesn't in time."""
        last = (0, "")

        def ready() -> bool:
            nonlocal last
            self._check_running("before it was ready")
            last = self.get("/readyz")
            return last[0] == 200

        wait_until(ready, timeout, lambda: f"{self.name} is ready; /readyz says {last}\n{tail(self._log)}")
        return self

    def wait_log(self, pattern: str, timeout: float = 30.0) -> str:
        """Wait until a line of stderr matches the regular expression; returns the first that does."""
        expression = re.compile(pattern)

        def line() -> str | None:
            found = next((text for text in self.log().splitlines() if expression.search(text)), None)
            if found is None:
                self._check_running(f"before it logged {pattern!r}")
            return found

        return wait_until(line, timeout, lambda: f"{self.name} logs {pattern!r}\n{tail(self._log)}") or ""

    def wait(self, timeout: float = 40.0) -> int:
        """Wait for its own end; the exit code. AssertionError with its log after `timeout` seconds."""
        try:
            return self._child.wait(timeout)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"{self.name} still runs after {timeout:g} s\n{tail(self._log)}") from None

    def terminate(self) -> None:
        """SIGTERM: it drains."""
        self._child.signal(signal.SIGTERM)

    def interrupt(self) -> None:
        """SIGINT, as from a terminal."""
        self._child.signal(signal.SIGINT)

    def stop(self, timeout: float = 40.0) -> int:
        """SIGTERM and wait; the exit code."""
        self.terminate()
        return self.wait(timeout)

    def kill(self) -> None:
        """SIGKILL, and wait until it is gone. Fine on one that has ended or is frozen."""
        self._child.kill()

    def freeze(self) -> None:
        """SIGSTOP: it is a zombie to everyone who waits for it."""
        self._child.signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """SIGCONT."""
        self._child.signal(signal.SIGCONT)

    def _check_running(self, when: str) -> None:
        code = self.returncode
        assert code is None, f"{self.name} ended with exit code {code} {when}\n{tail(self._log)}"


class Spawn(Protocol):
    """The `spawn` fixture."""

    def __call__(
        self,
        *arguments: str,
        settings: Mapping[str, Any] | None = None,
        env: Mapping[str, str] | None = None,
        name: str | None = None,
        wrapper: Sequence[str] = (),
    ) -> Process: ...


def run_tocsin(
    *arguments: str,
    directory: Path,
    settings: Mapping[str, Any] | None = None,
    env: Mapping[str, str] | None = None,
    timeout: float = 60.0,
) -> tuple[int, str, str]:
    """Run a one-shot command to its end: (exit code, stdout, stderr)."""
    process = Process(*arguments, directory=directory, settings=settings, env=env)
    try:
        return process.wait(timeout), process.output(), process.log()
    finally:
        process.kill()
