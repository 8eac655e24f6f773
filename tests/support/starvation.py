"""How much a process would have liked to run and wasn't let: what tests of timing allow on a busy machine."""

from contextlib import suppress
from pathlib import Path

from tests.support.processes import Process


def stood_in_line(process: Process) -> float:
    """For how long a thread of the process was ready to run and wasn't let so far (proc(5), schedstat).

    ms, of the one that waited longest. On a machine with nothing else to do it is next to nothing.
    """
    waits = []
    for task in Path(f"/proc/{process.pid}/task").iterdir():
        with suppress(OSError):
            waits.append(int((task / "schedstat").read_text().split()[1]) / 1e6)
    return max(waits, default=0.0)
