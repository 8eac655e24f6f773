"""Lines out of a node's log files: how many a second of CPU, with a hundred rules, and in how much memory.

A scanner process finds the logs of two hundred containers written, and works them off; hits go to Kafka.
Beside it, a loop that only reads the same files and splits them into lines.
"""

import json
import os
import random
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from shutil import rmtree

from benchmarks import workload
from benchmarks.ground import TIMEOUT, Ground, Installation, produce, say
from benchmarks.report import Report, Target, count, mib, us
from benchmarks.scale import Scale
from benchmarks.usage import cpu_seconds, resident_mib
from processor.kafka import topic_admin
from processor.scanning.cooldown import Cooldowns
from processor.scanning.ledger import Totals
from processor.scanning.state import encode, save
from tests.support.processes import Process

LOGS = 200
RULES = 100
HITS = 1
"""Of a thousand lines."""

PORTION = 256 << 10
LIMIT = 180.0
"""Seconds that one reading may take."""

LINES_TARGET = Target("≥", 100_000.0, count)
MEMORY_TARGET = Target("≤", 150.0, mib)


def run(ground: Ground, scale: Scale, report: Report) -> None:
    """Three million lines; a tenth of them with --quick."""
    lines = 15_000 if scale.rounds > 1 else 3_000
    pods = ground.directory / "pods"
    say(f"scanner from files: {LOGS} logs of {lines:,} lines")
    _write_logs(pods, lines)
    ours, memory, bare = list[float](), list[float](), list[float]()
    for number in range(scale.rounds):
        bare.append(_only_read(pods, LOGS * lines))
        cpu, resident = _scanned(ground, number, pods, LOGS * lines)
        ours.append(cpu)
        memory.append(resident)
    rmtree(pods)
    what = f"{LOGS} logs of {lines:,} lines of {SIZE} bytes, {RULES} rules, {HITS / 10} % hits"
    figures = [1 / cpu for cpu in ours]
    scenario = "lines from CRI files"
    report.alone(scenario, what, "lines per second of CPU", figures, count, target=LINES_TARGET)
    report.alone(scenario, what, "resident memory", memory, mib, target=MEMORY_TARGET)
    report.paired(scenario, what, "CPU per line, beside only reading them", ours, bare, us)


SIZE = 130


def _line(number: int, chance: random.Random) -> bytes:
    message = json.loads(workload.event(number, chance.randrange(1_000) < HITS, chance))["message"]
    stream = "stderr" if number % 10 == 0 else "stdout"
    at = f"2026-11-25T18:{number // 60 % 60:02d}:{number % 60:02d}.{number:09d}Z"
    return f"{at} {stream} F {message}\n".encode()


def _write_logs(pods: Path, lines: int) -> None:
    """All logs hold the same lines, begun at different places."""
    chance = random.Random(workload.SEED)
    made = [_line(number, chance) for number in range(lines)]
    for number in range(LOGS):
        directory = pods / f"bench_app-{number}_{number}" / "app"
        directory.mkdir(parents=True)
        start = number * 7 % lines
        (directory / "0.log").write_bytes(b"".join([*made[start:], *made[:start]]))


def _logs(pods: Path) -> Iterator[Path]:
    yield from sorted(pods.glob("*/app/0.log"))


def _only_read(pods: Path, lines: int) -> float:
    """Seconds of CPU a line."""
    began, seen = time.process_time(), 0
    for path in _logs(pods):
        file = os.open(path, os.O_RDONLY)
        offset = 0
        while data := os.pread(file, PORTION, offset):
            end = data.rfind(b"\n") + 1
            seen += len(data[:end].split(b"\n")) - 1
            offset += end
        os.close(file)
    if seen != lines:
        raise RuntimeError(f"{seen:,} lines were read instead of {lines:,}")
    return (time.process_time() - began) / lines


def _scanned(ground: Ground, number: int, pods: Path, lines: int) -> tuple[float, float]:
    """Seconds of CPU a line, of the whole process with all its threads, and MiB at the end."""
    state = ground.directory / f"state-{number}"
    state.mkdir()
    # As if this machine had been scanned for ever: what is there is read.
    save(state, encode(0, {}, Cooldowns(), Totals()))
    events = ground.topic(f"scanned-{number}")
    scanner = {
        "event_topic": events,
        "sources": ["cri"],
        "cri_path": str(pods),
        "state_directory": str(state),
        "bucket_rate": 1_000_000,
        "bucket_burst": 1_000_000,
    }
    site = ground.installation(f"scanner-{number}", scanner=scanner)
    topic_admin.apply(site.settings, site.cluster, TIMEOUT)
    _put_rules(ground, site)
    with site.run("scanner") as process:
        first, before = _waited(process, lines // 20)
        last, after = _waited(process, lines)
        resident = resident_mib(process.pid)
    if last != lines:
        raise RuntimeError(f"{last:,} lines were read instead of {lines:,}")
    site.remove()
    with suppress(OSError):
        rmtree(state)
    return (after - before) / (last - first), resident


def _put_rules(ground: Ground, site: Installation) -> None:
    def records() -> Iterator[tuple[str, bytes, bytes, tuple[()]]]:
        for number in range(RULES):
            rule = {
                "id": number + 1,
                "name": f"rule-{number}",
                "pattern": workload.pattern(number, RULES),
                "severity": "error",
            }
            yield site.settings.topics.scan_rules, b"%d" % (number + 1), json.dumps(rule).encode(), ()

    produce(ground.bootstrap, records())


def _waited(process: Process, lines: int) -> tuple[float, float]:
    """Wait until so many lines are read: how many are, and the CPU used by then."""
    until = time.monotonic() + LIMIT
    while time.monotonic() < until:
        seen = process.metric("tocsin_scanner_lines_total")
        if seen >= lines:
            return seen, cpu_seconds(process.pid)
        time.sleep(0.05)
    raise RuntimeError(f"{lines:,} lines were not read in {LIMIT:g} s\n{process.log()[-2_000:]}")
