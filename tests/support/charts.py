"""The Helm chart rendered by helm, where there is one: `$HELM`, or `helm` on the path."""

import json
import os
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

CHART = Path(__file__).parents[2] / "helm" / "tocsin"
CASES = sorted(path.name for path in (CHART / "ci").glob("*.yaml"))
"""The chart's examples of values."""

HELM = os.environ.get("HELM") or shutil.which("helm")

needs_helm = pytest.mark.skipif(HELM is None, reason="helm is not installed ($HELM, or on the path)")

Object = dict[str, Any]


class RenderError(Exception):
    """helm refused; the text is what it said."""


def render(
    values: Mapping[str, Any] | None = None,
    *,
    files: tuple[str, ...] = (),
    release: str = "tocsin",
    namespace: str = "tocsin",
) -> list[Object]:
    """The objects that `helm template` makes of `values`, over those of the chart's `files`."""
    command = [str(HELM), "template", release, str(CHART), "--namespace", namespace]
    for file in files:
        command += ["-f", str(CHART / file)]
    done = subprocess.run(
        [*command, "-f", "-"],
        input=json.dumps(values or {}),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    if done.returncode:
        raise RenderError(done.stderr)
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    return [one for one in yaml.load_all(done.stdout, Loader=loader) if one]


def named(objects: list[Object], kind: str, suffix: str = "") -> Object:
    """The only object of this kind whose name ends so."""
    (found,) = [o for o in objects if o["kind"] == kind and o["metadata"]["name"].endswith(suffix)]
    return found


def pod_spec(one: Object) -> Object | None:
    """The pod that an object is or makes, None for others."""
    if one["kind"] == "Pod":
        return dict(one["spec"])
    template = one.get("spec", {}).get("template")
    return dict(template["spec"]) if isinstance(template, dict) else None
