"""Lines out of the Docker engine: how many a second of CPU, beside a loop that only reads the bytes.

A container has printed the lines before; they are read from the engine's log into a sink that counts. The
engine's own work isn't in the CPU figure, and bounds the rate that there can be: it shares the cores.
"""

import asyncio
import shutil
import subprocess
import time
import uuid
from collections.abc import Callable, Coroutine, Mapping
from contextlib import aclosing, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import uvloop

from benchmarks.ground import Ground, say
from benchmarks.report import Report, Target, count, us
from benchmarks.scale import Scale
from processor.patterns import Compiler
from processor.patterns.sets import SetCompiler
from processor.scanning.cooldown import Cooldowns
from processor.scanning.engine import Engine as ScanEngine
from processor.scanning.engine import Now
from processor.scanning.finder import Finder, build
from processor.scanning.lines import Lines, Position, Tail
from processor.scanning.rule import ScanRule
from processor.scanning.sources.docker import DockerSource
from processor.scanning.sources.docker_engine import Engine

SOCKET = Path("/var/run/docker.sock")
IMAGE = "debian:bookworm-slim"
LINES = 300_000
LABEL = "tocsin-bench"
TARGET = 50_000.0
"""Lines a second of one core."""
RULES = 100
LIMIT = 120.0
"""Seconds that one reading may take."""

Reader = Callable[[str], Coroutine[None, None, int]]


@dataclass(frozen=True, slots=True)
class Reading:
    """Seconds of this process's CPU, and of the clock, for each line."""

    cpu: float
    wall: float


class Counting:
    """A `lines.Sink` that counts to LINES and lets go."""

    def __init__(self) -> None:
        self.lines = 0
        self.done = asyncio.Event()

    def position(self, key: str) -> Position | None:
        """Always from the start."""
        del key
        return None

    def known(self, prefix: str) -> list[str]:
        """Nothing."""
        del prefix
        return []

    async def take(self, lines: Lines) -> None:
        """Counts."""
        self.lines += len(lines.texts)
        if self.lines >= LINES:
            self.done.set()

    def lost(self, tail: Tail, size: int) -> None:
        """Would make the figure worthless."""
        raise RuntimeError(f"the engine lost {size or 'a part'} of {tail.workload}'s log")

    def gone(self, tail: Tail) -> None:
        """Not before the end."""


def run(ground: Ground, scale: Scale, report: Report) -> None:
    """Needs a Docker engine and an image with `seq`; says so where there is none."""
    del ground
    if reason := _missing():
        say(f"scanner from Docker: skipped, {reason}")
        return
    name = f"tocsin-bench-{uuid.uuid4().hex[:8]}"
    compiler = Compiler()
    try:
        for kind, options in (("without a terminal", ()), ("with a terminal", ("--tty",))):
            say(f"scanner from Docker, {kind}: {LINES:,} lines")
            _print_lines(name, options)
            ours, bare = list[Reading](), list[Reading]()
            judged = list[Reading]()
            for _ in range(scale.rounds):
                bare.append(_measured(_bare, name))
                ours.append(_measured(_source, name))
                judged.append(_measured(partial(_judged, compiler), name))
            _docker("rm", "--force", "--volumes", name)
            what = f"{LINES:,} lines of 100 bytes, json-file, {kind}"
            report.alone(
                "lines from the Docker API",
                f"{what}, {RULES} scan rules, 1 % hits",
                "lines read and judged per second of CPU",
                [1 / each.cpu for each in judged],
                count,
                target=Target("≥", TARGET, count),
            )
            report.paired(
                "lines from the Docker API",
                what,
                "CPU per line, beside only reading the bytes",
                [each.cpu for each in ours],
                [each.cpu for each in bare],
                us,
            )
            report.paired(
                "lines from the Docker API",
                what,
                "lines per second, the engine on the same cores",
                [1 / each.wall for each in ours],
                [1 / each.wall for each in bare],
                count,
            )
    finally:
        compiler.close()
        with suppress(subprocess.SubprocessError):
            _docker("rm", "--force", "--volumes", name)


def _measured(read: Reader, container: str) -> Reading:
    began, cpu = time.monotonic(), time.process_time()
    lines = uvloop.run(asyncio.wait_for(read(container), LIMIT))
    if lines != LINES:
        raise RuntimeError(f"{lines:,} lines came instead of {LINES:,}")
    return Reading((time.process_time() - cpu) / LINES, (time.monotonic() - began) / LINES)


class Judging(Counting):
    """Judges the lines by RULES scan rules, of which one fires on every hundredth line."""

    def __init__(self, compiler: Compiler) -> None:
        super().__init__()
        finder = Finder()
        self._engine = ScanEngine(finder, "bench", LINES, LINES, Cooldowns())
        patterns = ["line [0-9]*00 of", *(rf"order-{n} failed: code (\d+)" for n in range(1, RULES))]
        rules = [{"id": n + 1, "name": f"rule-{n}", "pattern": each} for n, each in enumerate(patterns)]
        self._engine.update(ScanRule.model_validate(rule) for rule in rules)
        job = finder.next_job()
        if job is not None:
            finder.install(build(job, SetCompiler(compiler)))
        self.events = 0

    async def take(self, lines: Lines) -> None:
        """Judges, and counts."""
        self.events += len(self._engine.judge(lines, Now("", 0)).events)
        await super().take(lines)


async def _judged(compiler: Compiler, container: str) -> int:
    sink = Judging(compiler)
    lines = await _read(container, sink)
    if sink.events != LINES // 100:
        raise RuntimeError(f"{sink.events:,} events of {LINES // 100:,} hits")
    return lines


async def _source(container: str) -> int:
    return await _read(container, Counting())


async def _read(container: str, sink: Counting) -> int:
    def others(labels: Mapping[str, str], image: str, name: str) -> bool:
        del labels, image
        return name != container

    task = asyncio.create_task(DockerSource(SOCKET, others, 0).run(sink))
    await sink.done.wait()
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task
    return sink.lines


async def _bare(container: str) -> int:
    lines = 0
    async with Engine(SOCKET) as engine, aclosing(engine.logs(container)) as chunks:
        async for chunk in chunks:
            lines += chunk.count(b"\n")
    return lines


def _print_lines(name: str, options: tuple[str, ...]) -> None:
    script = f"seq -f 'line %09.0f {'of about as much text as there is in real logs, ' * 2}' 1 {LINES}"
    started = ("run", "--detach", "--name", name, "--network", "none", "--log-driver", "json-file")
    _docker(*started, *options, IMAGE, "sh", "-c", script)
    _docker("wait", name)


def _missing() -> str:
    if shutil.which("docker") is None:
        return "docker is not installed"
    try:
        _docker("image", "inspect", IMAGE)
    except subprocess.SubprocessError:
        return f"no Docker engine answers, or the image {IMAGE} is not there"
    return ""


def _docker(*arguments: str) -> None:
    subprocess.run(["docker", *arguments], capture_output=True, check=True, timeout=LIMIT)
