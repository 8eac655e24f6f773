"""What a process has used, from /proc (Linux)."""

import os
from pathlib import Path

_TICKS = os.sysconf("SC_CLK_TCK")


def cpu_seconds(pid: int) -> float:
    """User and system time of all the process's threads, those that have ended included; children aren't."""
    return _times(Path(f"/proc/{pid}/stat").read_text())


def resident_mib(pid: int) -> float:
    """Resident memory now, MiB."""
    return _status(pid, "VmRSS")


def _times(stat: str) -> float:
    # Behind the name, which may hold spaces: state is field 3 of proc(5), utime and stime are 14 and 15.
    fields = stat[stat.rindex(")") + 2 :].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS


def _status(pid: int, name: str) -> float:
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith(f"{name}:"):
            return int(line.split()[1]) / 1024
    raise LookupError(f"process {pid} tells no {name}")
