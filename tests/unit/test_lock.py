"""The lock files: as complete as pyproject.toml, and good for any package index."""

import re
import tomllib
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
LOCKS = ["requirements.lock", "requirements-otel.lock", "requirements-build.lock", "requirements-dev.lock"]


def locked(name: str) -> dict[str, str]:
    """The versions that a lock file pins, by normalised name."""
    found = re.findall(r"^([A-Za-z0-9._-]+)==(\S+)", (ROOT / name).read_text(), re.MULTILINE)
    return {normalised(package): version for package, version in found}


def normalised(requirement: str) -> str:
    return re.sub(r"[-_.]+", "-", re.split(r"[ ;\[<>=!~]", requirement, maxsplit=1)[0]).lower()


def project() -> Any:
    return tomllib.loads((ROOT / "pyproject.toml").read_text())


def test_every_dependency_is_locked() -> None:
    groups = project()["dependency-groups"]
    runtime = {normalised(r) for r in project()["project"]["dependencies"]}
    extras = {normalised(r) for rs in project()["project"]["optional-dependencies"].values() for r in rs}
    build = {normalised(r) for r in groups["build"]}
    dev = {normalised(r) for r in groups["dev"] if isinstance(r, str)}

    otel = {normalised(r) for r in project()["project"]["optional-dependencies"]["otel"]}

    assert runtime <= set(locked("requirements.lock"))
    assert runtime | otel <= set(locked("requirements-otel.lock"))
    assert build <= set(locked("requirements-build.lock"))
    assert runtime | extras | build | dev <= set(locked("requirements-dev.lock"))


def test_what_is_tested_is_what_runs() -> None:
    tested = locked("requirements-dev.lock")

    for name in ("requirements.lock", "requirements-otel.lock", "requirements-build.lock"):
        assert {package: tested[package] for package in locked(name)} == locked(name)


@pytest.mark.parametrize("name", LOCKS)
def test_a_lock_has_hashes_and_names_no_index(name: str) -> None:
    text = (ROOT / name).read_text()

    assert not re.search(r"://|^-", text, re.MULTILINE)
    assert text.count("--hash=sha256:") >= len(locked(name)) > 0
