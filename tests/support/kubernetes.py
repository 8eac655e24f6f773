"""A Kubernetes namespace of a test's own, through kubectl and helm, as a user works with it."""

import json
import os
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Self

import yaml

from tests.support.waiting import wait_until

CONTEXT = os.environ.get("TOCSIN_TEST_KUBERNETES", "")
IMAGE = os.environ.get("TOCSIN_TEST_IMAGE", "tocsin:latest")
NEXT_IMAGE = os.environ.get("TOCSIN_TEST_NEXT_IMAGE", IMAGE)
KAFKA_IMAGE = os.environ.get("TOCSIN_TEST_KAFKA_IMAGE") or "apache/kafka:4.1.1"

RESTRICTED: Mapping[str, Any] = {
    "allowPrivilegeEscalation": False,
    "capabilities": {"drop": ["ALL"]},
    "runAsNonRoot": True,
    "seccompProfile": {"type": "RuntimeDefault"},
}


def why_not() -> str | None:
    """Why there is no cluster to use; None when there is."""
    if not CONTEXT:
        return "needs a Kubernetes that may be changed: make test-kubernetes says how"
    missing = [tool for tool in ("kubectl", "helm") if shutil.which(tool) is None]
    return f"needs {' and '.join(missing)}" if missing else None


class CommandError(AssertionError):
    """A command ended with another code than 0; the message is the command and what it said."""


def run(*command: str, text: str = "", timeout: float = 120.0) -> str:
    """Standard output of a command; raises CommandError."""
    done = subprocess.run(
        command, input=text, capture_output=True, text=True, timeout=timeout + 30, check=False
    )
    if done.returncode != 0:
        raise CommandError(f"{' '.join(command)}\n{done.stdout[-4000:]}{done.stderr[-4000:]}")
    return done.stdout


class Namespace:
    """A context manager: made on entering, deleted with all that is in it on leaving."""

    def __init__(self, name: str, *, security: str = "restricted") -> None:
        """`security`: the Pod Security level that is enforced."""
        self.name = name
        self._security = security

    def kubectl(self, *arguments: str, text: str = "", timeout: float = 120.0) -> str:
        """Run kubectl in this namespace."""
        return run("kubectl", "--context", CONTEXT, "-n", self.name, *arguments, text=text, timeout=timeout)

    def helm(self, *arguments: str, timeout: float = 300.0) -> str:
        """Run helm in this namespace."""
        return run("helm", "--kube-context", CONTEXT, "-n", self.name, *arguments, timeout=timeout)

    def apply(self, *objects: Mapping[str, Any]) -> None:
        """Create or change objects."""
        self.kubectl("apply", "-f", "-", text=yaml.safe_dump_all(dict(each) for each in objects))

    def get(self, *arguments: str) -> Any:
        """`kubectl get … -o json`, decoded."""
        return json.loads(self.kubectl("get", *arguments, "-o", "json"))

    def names(self, kinds: str, selector: str = "") -> list[str]:
        """The names of the objects of these kinds."""
        return [each["metadata"]["name"] for each in self.get(kinds, "-l", selector)["items"]]

    def python(self, pod: str, code: str, *arguments: str, timeout: float = 60.0) -> str:
        """What a program prints that runs inside a pod of Tocsin's image."""
        return self.kubectl("exec", pod, "--", "python", "-c", code, *arguments, timeout=timeout)

    def run_pod(
        self,
        name: str,
        *,
        image: str = "",
        script: Path | None = None,
        arguments: Sequence[str] = (),
        env: Mapping[str, str] | None = None,
        port: int = 0,
        restart: bool = True,
    ) -> None:
        """Start a pod, with a Service of the same name for its port: a Python script in Tocsin's image, or an
        image as it is.
        """
        container: dict[str, Any] = {
            "name": "main",
            "image": image or IMAGE,
            "imagePullPolicy": "IfNotPresent",
            "env": [{"name": key, "value": value} for key, value in (env or {}).items()],
            "securityContext": {**RESTRICTED, "runAsUser": 1000},
        }
        volumes = []
        if script is not None:
            self.apply(
                {
                    "apiVersion": "v1",
                    "kind": "ConfigMap",
                    "metadata": {"name": name},
                    "data": {script.name: script.read_text()},
                }
            )
            volumes.append({"name": "script", "configMap": {"name": name}})
            container["volumeMounts"] = [{"name": "script", "mountPath": "/script"}]
            container["command"] = ["python", "-u", f"/script/{script.name}", *arguments]
        if port:
            container["readinessProbe"] = {"tcpSocket": {"port": port}, "periodSeconds": 1}
        self.apply(
            {
                "apiVersion": "v1",
                "kind": "Pod",
                "metadata": {"name": name, "labels": {"app": name}},
                "spec": {
                    "restartPolicy": "Always" if restart else "Never",
                    "terminationGracePeriodSeconds": 2,
                    "enableServiceLinks": False,
                    "containers": [container],
                    "volumes": volumes,
                },
            }
        )
        if port:
            self.apply(
                {
                    "apiVersion": "v1",
                    "kind": "Service",
                    "metadata": {"name": name},
                    "spec": {"selector": {"app": name}, "ports": [{"port": port}]},
                }
            )
            self.kubectl("wait", "--for=condition=Ready", f"pod/{name}", "--timeout=120s")

    def wait_completed(self, pod: str, timeout: float = 120.0) -> str:
        """Wait until a pod has succeeded; what it logged."""
        self.kubectl(
            "wait",
            "--for=jsonpath={.status.phase}=Succeeded",
            f"pod/{pod}",
            f"--timeout={timeout:.0f}s",
            timeout=timeout,
        )
        return self.kubectl("logs", pod)

    def __enter__(self) -> Self:
        run("kubectl", "--context", CONTEXT, "create", "namespace", self.name)
        label = f"pod-security.kubernetes.io/enforce={self._security}"
        run("kubectl", "--context", CONTEXT, "label", "namespace", self.name, label)
        wait_until(
            lambda: "default" in self.names("serviceaccounts"), 30, "the namespace has its service account"
        )
        return self

    def __exit__(self, *_: object) -> None:
        run("kubectl", "--context", CONTEXT, "delete", "namespace", self.name, "--timeout=120s")
