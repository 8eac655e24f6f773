"""Whose log a directory under /var/log/pods is: from its path alone, or from the API server."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import re
import ssl
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Self

import aiohttp

LOG = logging.getLogger(__name__)

# Names that controllers give their pods. Kubernetes takes random parts from characters that can't form words
# (apimachinery, util/rand); of a ReplicaSet's hash, which is made of decimal digits, only ten can occur.
_RANDOM: Final = re.compile(r"(.+)-[bcdfghjklmnpqrstvwxz2456789]{5}")
_HASH: Final = re.compile(r"(.+)-[456789bcdf]{6,10}")
_MINUTES: Final = re.compile(r"(.+)-\d{7,12}")
_ORDINAL: Final = re.compile(r"(.+)-\d{1,5}")

_ACCOUNT: Final = Path("/var/run/secrets/kubernetes.io/serviceaccount")
_PATIENCE: Final = aiohttp.ClientTimeout(total=3.0)


@dataclass(frozen=True, slots=True)
class About:
    """What is known of a container. labels: the pod's labels and annotations."""

    workload: str
    image: str = ""
    labels: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class PodPath:
    """What a path says."""

    namespace: str
    pod: str
    uid: str
    container: str

    def guess(self) -> About:
        """The workload by the pod's name: what a controller adds to its own name is taken off."""
        return About(f"{self.namespace}/{owner_by_name(self.pod)}")


Asked = Callable[[PodPath], Awaitable[About | None]]
"""What the API server knows; None when it doesn't answer, or not this."""


def from_path(directory: Path) -> PodPath | None:
    """What a container's directory is called after; None if it is none of the kubelet's."""
    parts = directory.parent.name.split("_")
    if len(parts) != 3 or not all(parts):
        return None
    namespace, pod, uid = parts
    return PodPath(namespace, pod, uid, directory.name)


def owner_by_name(pod: str) -> str:
    """The name of the Deployment, StatefulSet, DaemonSet, Job or CronJob that a pod's name begins with.

    web-7c5ddbdf54-x2x9k is web, db-0 is db, agent-k8x2p is agent, backup-29381760-q7w5z is backup. A pod
    that was named by hand and ends like one of these loses its end too; the API server knows better.
    """
    if match := _RANDOM.fullmatch(pod):
        owner = match[1]
        for made in (_HASH, _MINUTES):
            if further := made.fullmatch(owner):
                return further[1]
        return owner
    ordinal = _ORDINAL.fullmatch(pod)
    return ordinal[1] if ordinal else pod


class ApiServer:
    """Asks the API server, with the account's token, for pods and the owners of Jobs. A context manager."""

    def __init__(self, base: str, account: Path = _ACCOUNT) -> None:
        """`base`: such as https://10.96.0.1:443."""
        self._base = base
        self._account = account
        self._session: aiohttp.ClientSession | None = None
        self._said = ""

    async def __aenter__(self) -> Self:
        authorities = self._account / "ca.crt"
        trust = await asyncio.to_thread(
            ssl.create_default_context, cafile=str(authorities) if authorities.exists() else None
        )
        self._session = aiohttp.ClientSession(
            self._base, connector=aiohttp.TCPConnector(ssl=trust, limit=8), timeout=_PATIENCE
        )
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._session is not None:
            await self._session.close()

    async def about(self, path: PodPath) -> About | None:
        """Image, labels and owner of a container; None, said once, when they can't be had."""
        try:
            pod = await self._get(f"/api/v1/namespaces/{path.namespace}/pods/{path.pod}")
            owner = await self._owner(path, pod["metadata"])
            return About(f"{path.namespace}/{owner}", _image(pod, path.container), _labels(pod["metadata"]))
        except (aiohttp.ClientError, OSError, TimeoutError, KeyError, TypeError, ValueError) as error:
            what = f"{type(error).__name__}: {error}"
            if what != self._said:
                LOG.warning("workloads are told by the names of their pods, the API server says: %s", what)
            self._said = what
            return None

    async def _owner(self, path: PodPath, metadata: Mapping[str, Any]) -> str:
        owner = _controller(metadata)
        if owner is None:
            return path.pod
        kind, name = owner
        if kind == "ReplicaSet":
            return name.removesuffix(f"-{metadata.get('labels', {}).get('pod-template-hash', '')}")
        if kind == "Job":
            job = await self._get(f"/apis/batch/v1/namespaces/{path.namespace}/jobs/{name}")
            above = _controller(job["metadata"])
            return above[1] if above else name
        if kind == "Node":  # a static pod, whose name ends in that of its node
            return path.pod.removesuffix(f"-{name}")
        return name

    async def _get(self, path: str) -> Any:
        if self._session is None:
            raise OSError("not connected")
        token = (self._account / "token").read_text().strip()  # it is replaced every hour
        async with self._session.get(path, headers={"Authorization": f"Bearer {token}"}) as answer:
            answer.raise_for_status()
            return json.loads(await answer.read())


def api_server(environ: Mapping[str, str] = os.environ, account: Path = _ACCOUNT) -> ApiServer | None:
    """The API server that this pod may ask: None outside a cluster and without a token."""
    host, port = environ.get("KUBERNETES_SERVICE_HOST"), environ.get("KUBERNETES_SERVICE_PORT", "443")
    if not host or not (account / "token").exists():
        return None
    return ApiServer(f"https://[{host}]:{port}" if ":" in host else f"https://{host}:{port}", account)


def _controller(metadata: Mapping[str, Any]) -> tuple[str, str] | None:
    for owner in metadata.get("ownerReferences", ()):
        if owner.get("controller"):
            return owner["kind"], owner["name"]
    return None


def _image(pod: Mapping[str, Any], container: str) -> str:
    spec = pod.get("spec", {})
    for each in (*spec.get("containers", ()), *spec.get("initContainers", ())):
        if each.get("name") == container:
            return str(each.get("image", ""))
    return ""


def _labels(metadata: Mapping[str, Any]) -> dict[str, str]:
    return {**(metadata.get("annotations") or {}), **(metadata.get("labels") or {})}
