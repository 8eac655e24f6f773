"""A Docker engine of a test's own, to be stopped, killed and started again; needs root and dockerd."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.support.docker_containers import IMAGE
from tests.support.reaper import REAPER
from tests.support.waiting import wait_until


def missing() -> str | None:
    """Why there can't be one; None when there can."""
    if os.geteuid() != 0:
        return "an engine of its own needs root"
    return None if shutil.which("dockerd") else "dockerd is not installed"


class OwnEngine:
    """Runs containers on through its own death (live restore). `socket`: where it listens."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self.socket = directory / "docker.sock"
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        REAPER.adopt("directory", self._directory)
        try:
            self.start()
            image = subprocess.run(["docker", "save", IMAGE], capture_output=True, check=True, timeout=120)
            self.docker("load", data=image.stdout)
        except BaseException as error:
            self.__exit__(type(error), error, None)
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._process is not None:
            with contextlib.suppress(subprocess.SubprocessError):
                left = self.docker("ps", "--all", "--quiet").split()
                self.docker("rm", "--force", "--volumes", *left)
            self.stop(signal.SIGTERM)
        # The engine mounts its data directory on itself, and its containers' networks; a directory that is
        # mounted can't be removed.
        for mounted in [*self._directory.glob("exec/netns/*"), self._directory / "root"]:
            subprocess.run(["umount", "--lazy", mounted], capture_output=True, check=False)
        REAPER.release("directory", self._directory)

    def start(self) -> None:
        """Waits until it answers, trying again as a supervisor does: after a SIGKILL the engine's containerd
        may be about to end, and then the first try waits for it in vain.
        """
        self._launch()
        wait_until(self._answers, 90, lambda: (self._directory / "log").read_text()[-2000:], every=0.1)

    def _launch(self) -> None:
        (self._directory / "pid").unlink(missing_ok=True)
        options = {
            "--host": f"unix://{self.socket}",
            "--data-root": self._directory / "root",
            "--exec-root": self._directory / "exec",
            "--pidfile": self._directory / "pid",
            "--bridge": "none",
        }
        switches = ["--iptables=false", "--ip6tables=false", "--live-restore"]
        with (self._directory / "log").open("ab") as log:
            self._process = subprocess.Popen(
                ["dockerd", *(f"{name}={value}" for name, value in options.items()), *switches],
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        REAPER.adopt("group", self._process.pid)

    def stop(self, number: signal.Signals) -> None:
        """Its containers go on."""
        assert self._process is not None
        self._process.send_signal(number)
        self._process.wait(timeout=60)
        REAPER.release("group", self._process.pid)
        self._process = None

    def docker(self, *arguments: str, data: bytes | None = None) -> str:
        """Runs `docker …` with this engine."""
        command = ["docker", "--host", f"unix://{self.socket}", *arguments]
        return subprocess.run(
            command, input=data, capture_output=True, check=True, timeout=120
        ).stdout.decode()

    def _answers(self) -> bool:
        assert self._process is not None
        if self._process.poll() is not None:
            REAPER.release("group", self._process.pid)
            self._launch()
        try:
            self.docker("version")
        except subprocess.CalledProcessError:
            return False
        return True
