"""Tocsin's processes from its image, in containers: as a cluster with a strict policy runs them."""

import itertools
import os
import shutil
import time
import urllib.request
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

import yaml

from tests.support.reaper import REAPER
from tests.support.waiting import wait_until

if TYPE_CHECKING:
    from docker.models.containers import Container  # type: ignore[import-untyped]

_numbers = itertools.count(1)

IMAGE = os.environ.get("TOCSIN_TEST_IMAGE", "")

WHY_NOT = "needs Docker and an image: docker build -t tocsin . && TOCSIN_TEST_IMAGE=tocsin make test"


def can_run() -> bool:
    """Whether there are an image and an engine to run it."""
    return bool(IMAGE) and shutil.which("docker") is not None


class ImageProcess:
    """`tocsin …` in a container on the host's network, which the receivers of the tests listen in.

    A context manager; starts at once. The root can't be written to, nothing may be gained, and there is no
    user but the image's own.
    """

    def __init__(self, *arguments: str, settings: Mapping[str, Any], directory: Path) -> None:
        """`directory`: the container has it as /given, read-only; the settings are written into it."""
        os.environ.setdefault("TESTCONTAINERS_RYUK_DISABLED", "true")
        from testcontainers.core.container import DockerContainer

        self.settings = settings
        self._definition = DockerContainer(IMAGE).with_command(list(arguments))
        self._definition.with_kwargs(
            network_mode="host", read_only=True, cap_drop=["ALL"], security_opt=["no-new-privileges"]
        )
        name = f"settings-{next(_numbers)}.yaml"
        (directory / name).write_text(yaml.safe_dump(dict(settings)))
        self._definition.with_env("TOCSIN_CONFIG", f"/given/{name}")
        self._definition.with_volume_mapping(str(directory), "/given", "ro")
        self._container: Container = self._definition.start().get_wrapped_container()
        REAPER.adopt("container", self._container.id)

    def wait(self, timeout: float = 60.0) -> tuple[int, str, str]:
        """Wait for its end: exit code, standard output, standard error."""
        code = int(self._container.wait(timeout=timeout)["StatusCode"])
        out = bytes(self._container.logs(stdout=True, stderr=False)).decode()
        return code, out, bytes(self._container.logs(stdout=False, stderr=True)).decode()

    def wait_ready(self) -> Self:
        """Wait until /readyz answers 200."""
        url = f"http://{self.settings['telemetry']['listen']}/readyz"

        def ready() -> bool:
            self._container.reload()
            assert self._container.status in ("created", "running"), self._log()
            try:
                with urllib.request.urlopen(url, timeout=5.0) as answer:
                    return int(answer.status) == 200
            except OSError:
                return False

        wait_until(ready, 40.0, lambda: f"{url} is ready\n{self._log()}")
        return self

    def stop(self) -> tuple[int, float]:
        """SIGTERM as a cluster sends it; the exit code, and how many seconds it took."""
        began = time.monotonic()
        self._container.stop(timeout=40)
        return int(self._container.wait(timeout=5)["StatusCode"]), time.monotonic() - began

    def _log(self) -> str:
        return bytes(self._container.logs(tail=40)).decode("utf-8", "replace")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._container.remove(force=True, v=True)
        REAPER.release("container", self._container.id)
        self._definition.get_docker_client().client.close()
