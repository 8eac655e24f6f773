"""`tocsin run matcher` and `tocsin run sender` as the demo's processes, and what their telemetry says."""

import asyncio
import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import aiohttp
from prometheus_client.parser import text_string_to_metric_families

from processor.demo.children import Child
from processor.demo.errors import DemoError

READY_TIMEOUT: Final = 30.0
STOP_TIMEOUT: Final = 10.0

_START = "from processor.cli.main import entry_point; entry_point()"
_TIMEOUT = aiohttp.ClientTimeout(total=5)


class Role:
    """One role's process."""

    def __init__(self, child: Child, session: aiohttp.ClientSession) -> None:
        self.child = child
        self._session = session
        self._telemetry: str | None = None

    @classmethod
    async def start(
        cls, role: str, config: Path, environ: Mapping[str, str], session: aiohttp.ClientSession
    ) -> "Role":
        """Start `tocsin run <role>` with the settings file; its directory is the file's."""
        # This interpreter and this code, wherever the command `tocsin` lies; -P: not what lies around there.
        command = [sys.executable, "-P", "-c", _START, "--config", str(config), "run", role]
        return cls(await Child.start(role, command, config.parent, environ), session)

    @property
    def name(self) -> str:
        return self.child.name

    @property
    def telemetry(self) -> str:
        """Its telemetry's base URL; only after wait_ready()."""
        return f"http://{self._telemetry}"

    async def wait_ready(self) -> None:
        """Wait until /readyz says yes; DemoError when it ends or doesn't in time."""
        deadline = asyncio.get_running_loop().time() + READY_TIMEOUT
        reason = "its telemetry does not answer"
        while True:
            self.child.check()
            self._telemetry = self._telemetry or _listening(self.child.log)
            if self._telemetry is not None:
                status, body = await self._get("/readyz")
                if status == 200:
                    return
                reason = body.strip() or reason
            if asyncio.get_running_loop().time() > deadline:
                raise DemoError(f"{self.name} is not ready: {reason}: {self.child.last_words()}")
            await asyncio.sleep(0.05)

    async def totals(self, metric: str, label: str) -> dict[str, float]:
        """The values of a metric by one of its labels, the others summed over; empty when it can't be had."""
        totals: dict[str, float] = {}
        _, body = await self._get("/metrics")
        for family in text_string_to_metric_families(body):
            for sample in family.samples:
                if sample.name == metric:
                    key = sample.labels.get(label, "")
                    totals[key] = totals.get(key, 0.0) + sample.value
        return totals

    async def _get(self, path: str) -> tuple[int, str]:
        try:
            async with self._session.get(self.telemetry + path, timeout=_TIMEOUT) as response:
                return response.status, await response.text()
        except (aiohttp.ClientError, TimeoutError):
            return 0, ""


def child_environment(environ: Mapping[str, str], secrets: Mapping[str, str]) -> dict[str, str]:
    """What the roles get: no settings of the user's, `secrets` (TOCSIN_SECRET_…) added."""
    kept = {
        name: value
        for name, value in environ.items()
        if not name.startswith("TOCSIN_") or name.startswith("TOCSIN_SECRET_")
    }
    return {**kept, **secrets}


def _listening(log: Path) -> str | None:
    """The address that the role has logged as `listening`, if it has."""
    for line in log.read_bytes().splitlines(keepends=True):
        if b'"listening"' in line and line.endswith(b"\n"):
            address = json.loads(line).get("address")
            return str(address) if address else None
    return None
