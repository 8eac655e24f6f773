"""Containers for tests of the log scanner, on a real Docker engine; always removed."""

from __future__ import annotations

import functools
import os
import shutil
import subprocess
import uuid
from types import TracebackType
from typing import Self

from tests.support.reaper import REAPER

IMAGE = os.environ.get("TOCSIN_TEST_CONTAINER_IMAGE") or "debian:bookworm-slim"
"""Anything with sh, seq, head and sleep."""

LABEL = "tocsin-test"


@functools.cache
def missing() -> str | None:
    """Why tests with real containers can't run here; None when they can."""
    if shutil.which("docker") is None:
        return "docker is not installed"
    for arguments, why in (
        (("version",), "no Docker engine answers"),
        (
            ("image", "inspect", IMAGE),
            f"the image {IMAGE} is not there (TOCSIN_TEST_CONTAINER_IMAGE names another)",
        ),
    ):
        try:
            done = subprocess.run(["docker", *arguments], capture_output=True, timeout=15, check=False)
        except subprocess.TimeoutExpired:
            return "the Docker engine doesn't answer"
        if done.returncode:
            return why
    return None


def docker(*arguments: str, timeout: float = 120) -> str:
    """Runs `docker …`; returns what it printed. Fails loudly."""
    done = subprocess.run(
        ["docker", *arguments], capture_output=True, text=True, timeout=timeout, check=False
    )
    assert done.returncode == 0, f"docker {' '.join(arguments)}: {done.stderr}"
    return done.stdout.strip()


class Containers:
    """Makes containers with a label of this test's own, and removes all of them at its end."""

    def __init__(self) -> None:
        self.run_id = uuid.uuid4().hex[:12]
        self._made: list[str] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        left = docker(
            "ps", "--all", "--quiet", "--no-trunc", "--filter", f"label={LABEL}={self.run_id}"
        ).split()
        if left:
            subprocess.run(["docker", "rm", "--force", "--volumes", *left], capture_output=True, check=False)
        for container in self._made:
            REAPER.release("container", container)

    def name(self, name: str) -> str:
        """`name` as the container of this test is called."""
        return f"{name}-{self.run_id}"

    def create(self, name: str, script: str, *options: str) -> str:
        """A container that will run `sh -c script`; options are those of `docker create`. Returns its id."""
        label = f"{LABEL}={self.run_id}"
        container = docker(
            "create", "--name", self.name(name), "--label", label, "--network", "none", "--stop-timeout", "1",
            *options, IMAGE, "sh", "-c", script,
        )  # fmt: skip
        self._made.append(container)
        REAPER.adopt("container", container)
        return container

    def run(self, name: str, script: str, *options: str) -> str:
        """The same, started."""
        container = self.create(name, script, *options)
        docker("start", container)
        return container
