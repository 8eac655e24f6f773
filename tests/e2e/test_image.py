"""The container image, where one was built: TOCSIN_TEST_IMAGE names its tag."""

import subprocess

import pytest

from processor import __version__
from tests.support.image_processes import IMAGE, WHY_NOT, can_run

pytestmark = pytest.mark.skipif(not can_run(), reason=WHY_NOT)


def run(*command: str, options: tuple[str, ...] = ()) -> str:
    # Nothing may be written and no right is needed: as a cluster with a strict policy runs it.
    strict = ("--read-only", "--cap-drop=ALL", "--security-opt=no-new-privileges")
    done = subprocess.run(
        ["docker", "run", "--rm", *strict, *options, IMAGE, *command],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_image_is_the_command() -> None:
    assert run("--version") == f"tocsin {__version__}\n"


def test_settings_come_from_the_environment() -> None:
    shown = run("config", "show", options=("-e", "TOCSIN_TOPICS__PREFIX=elsewhere."))

    assert "prefix: elsewhere." in shown


def test_it_runs_as_nobody_in_particular() -> None:
    assert run("-u", options=("--entrypoint", "id")) == "10001\n"


def test_it_holds_nothing_to_build_or_install_with() -> None:
    look = "command -v pip gcc cc make; python -c 'import pip' 2>/dev/null && echo the module pip; true"

    assert run("-c", look, options=("--entrypoint", "sh")) == ""
