"""What a test run leaves behind is removed, however it ends."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.waiting import wait_until

ROOT = Path(__file__).resolve().parents[2]

# Starts two children and makes two directories, lets go of one of each, says so, and waits to be killed.
PROGRAM = """
import pathlib, sys, time
from tests.support.child import Child
from tests.support.reaper import REAPER

where = pathlib.Path(sys.argv[1])
for name in ("kept", "released"):
    (where / name / "data").mkdir(parents=True)
    REAPER.adopt("directory", where / name)
REAPER.release("directory", where / "released")
ended = Child(["true"], where / "log")
ended.wait(10)
child = Child(["sh", "-c", "sleep 600 & echo $! >grandchild; wait"], where / "log", cwd=where)
(where / "child.tmp").write_text(str(child.pid))
(where / "child.tmp").rename(where / "child")
time.sleep(600)
"""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL, signal.SIGINT])
def test_processes_and_directories_of_a_killed_run_are_removed(
    tmp_path: Path, number: signal.Signals
) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", PROGRAM, str(tmp_path)], cwd=ROOT, stderr=subprocess.DEVNULL
    ) as process:
        wait_until(lambda: (tmp_path / "child").exists() and (tmp_path / "grandchild").exists(), 20)
        pids = [int((tmp_path / name).read_text() or 0) for name in ("child", "grandchild")]
        assert all(alive(pid) for pid in pids)

        process.send_signal(number)
        try:
            process.wait(10)
        finally:
            process.kill()

    wait_until(lambda: not any(alive(pid) for pid in pids), 10, "the child and what it started are gone")
    wait_until(lambda: not (tmp_path / "kept").exists(), 10, "what was adopted is gone")
    assert (tmp_path / "released").exists()


def alive(pid: int) -> bool:
    """Whether a process runs (a zombie that its new parent hasn't collected yet doesn't)."""
    try:
        os.kill(pid, 0)
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except (ProcessLookupError, FileNotFoundError):
        return False
