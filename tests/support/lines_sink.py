"""A sink that keeps what it is given: for sources alone, without engine and Kafka."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager

from processor.scanning.lines import Lines, Position, Source, Tail


class LinesSink:
    """A `lines.Sink` in memory; positions are kept as soon as lines are taken."""

    def __init__(self, positions: Mapping[str, Position] | None = None) -> None:
        self.taken: list[Lines] = []
        self.positions: dict[str, Position] = dict(positions or {})
        self.losses: list[tuple[Tail, int]] = []
        self.ended: list[Tail] = []

    def position(self, key: str) -> Position | None:
        return self.positions.get(key)

    def known(self, prefix: str) -> list[str]:
        return [key for key in self.positions if key.startswith(prefix)]

    async def take(self, lines: Lines) -> None:
        assert lines.texts
        assert len(lines.texts) == len(lines.streams) == len(lines.times)
        self.taken.append(lines)
        self.positions[lines.tail.key] = lines.after

    def lost(self, tail: Tail, size: int) -> None:
        self.losses.append((tail, size))

    def gone(self, tail: Tail) -> None:
        self.ended.append(tail)

    def texts(self, workload: str | None = None) -> list[bytes]:
        """All texts so far, of a workload or of all."""
        return [
            text for lines in self.taken if workload in (None, lines.tail.workload) for text in lines.texts
        ]


@asynccontextmanager
async def running(source: Source, sink: LinesSink) -> AsyncIterator[None]:
    """The source runs in here, and is cancelled at the end as at the end of a process."""
    task = asyncio.create_task(source.run(sink))
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def until(condition: Callable[[], bool]) -> None:
    """Wait until the condition holds, 20 s at most."""
    async with asyncio.timeout(20):
        while not condition():  # noqa: ASYNC110  (what is waited for knows no events)
            await asyncio.sleep(0.01)
