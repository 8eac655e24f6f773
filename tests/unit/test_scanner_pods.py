"""Whose pod it is: by its name, or by what an API server says."""

import asyncio
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from processor.scanning.sources.pods import About, ApiServer, PodPath, api_server, from_path, owner_by_name


@pytest.mark.parametrize(
    ("pod", "owner"),
    [
        ("web-7c5ddbdf54-x2x9k", "web"),
        ("shop-web-6d4cf56db6-zk2fl", "shop-web"),
        ("agent-k8x2p", "agent"),
        ("db-0", "db"),
        ("kafka-controller-12", "kafka-controller"),
        ("backup-29381760-q7w5z", "backup"),
        ("migrate-bx7d9", "migrate"),
        ("lonely", "lonely"),
        ("etcd-node-a", "etcd-node-a"),
        ("web-aeiou", "web-aeiou"),
    ],
)
def test_the_owner_by_the_pods_name(pod: str, owner: str) -> None:
    assert owner_by_name(pod) == owner


def test_a_path_of_the_kubelet() -> None:
    assert from_path(Path("/var/log/pods/shop_web-0_1-2/app")) == PodPath("shop", "web-0", "1-2", "app")
    assert from_path(Path("/var/log/pods/lost+found/app")) is None


def owned(kind: str, name: str) -> dict[str, Any]:
    return {
        "ownerReferences": [{"kind": "Other", "name": "no"}, {"kind": kind, "name": name, "controller": True}]
    }


PODS: dict[str, dict[str, Any]] = {
    "web-7c5ddbdf54-x2x9k": {
        "metadata": {
            **owned("ReplicaSet", "web-7c5ddbdf54"),
            "labels": {"pod-template-hash": "7c5ddbdf54", "app": "web"},
            "annotations": {"note": "x"},
        },
        "spec": {"containers": [{"name": "app", "image": "shop/web:1"}]},
    },
    "backup-1-abcde": {"metadata": owned("Job", "backup-1"), "spec": {}},
    "once-abcde": {"metadata": owned("Job", "once"), "spec": {}},
    "db-0": {"metadata": owned("StatefulSet", "db"), "spec": {}},
    "etcd-node-a": {"metadata": owned("Node", "node-a"), "spec": {}},
    "bare": {"metadata": {}, "spec": {}},
}
JOBS = {"backup-1": {"metadata": owned("CronJob", "backup")}, "once": {"metadata": {}}}


def test_what_the_api_server_says(tmp_path: Path) -> None:
    (tmp_path / "token").write_text("t0\n")

    async def pod(request: web.Request) -> web.Response:
        assert request.headers["Authorization"] == "Bearer t0"
        found = PODS.get(request.match_info["name"])
        return web.json_response(found) if found else web.Response(status=404)

    async def job(request: web.Request) -> web.Response:
        return web.json_response(JOBS[request.match_info["name"]])

    async def main() -> dict[str, About | None]:
        app = web.Application()
        app.router.add_get("/api/v1/namespaces/shop/pods/{name}", pod)
        app.router.add_get("/apis/batch/v1/namespaces/shop/jobs/{name}", job)
        runner = web.AppRunner(app)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        host, port = runner.addresses[0]
        try:
            async with ApiServer(f"http://{host}:{port}", tmp_path) as server:
                return {
                    name: await server.about(PodPath("shop", name, "1", "app")) for name in [*PODS, "gone"]
                }
        finally:
            await runner.cleanup()

    about = asyncio.run(main())

    assert about["web-7c5ddbdf54-x2x9k"] == About(
        "shop/web", "shop/web:1", {"note": "x", "pod-template-hash": "7c5ddbdf54", "app": "web"}
    )
    found = {name: each and each.workload for name, each in about.items()}
    assert found == {
        "web-7c5ddbdf54-x2x9k": "shop/web",
        "backup-1-abcde": "shop/backup",
        "once-abcde": "shop/once",
        "db-0": "shop/db",
        "etcd-node-a": "shop/etcd",
        "bare": "shop/bare",
        "gone": None,
    }


def test_it_is_asked_only_from_within_a_cluster_and_with_a_token(tmp_path: Path) -> None:
    inside = {"KUBERNETES_SERVICE_HOST": "10.96.0.1", "KUBERNETES_SERVICE_PORT": "443"}

    assert api_server({}, tmp_path) is None
    assert api_server(inside, tmp_path) is None
    (tmp_path / "token").write_text("t")
    assert api_server(inside, tmp_path) is not None
