"""The CRI source: containers come and go under /var/log/pods, each with its workload."""

import asyncio
from collections.abc import Awaitable
from datetime import UTC, datetime
from pathlib import Path

import pytest

from processor.scanning.sources.cri import CriSource
from processor.scanning.sources.pods import About, PodPath
from tests.support.lines_sink import LinesSink, running, until

NOW = datetime(2026, 11, 25, 18, 0, tzinfo=UTC)
BEGIN = int(NOW.timestamp())


def line(text: str, second: int = 1) -> str:
    return f"2026-11-25T18:00:{second:02}.000000001Z stdout F {text}\n"


def container(root: Path, pod: str = "shop_web-7c5ddbdf54-x2x9k_1-2-3", name: str = "app") -> Path:
    directory = root / pod / name
    directory.mkdir(parents=True)
    return directory


def run(coroutine: Awaitable[None]) -> None:
    async def main() -> None:
        await coroutine

    asyncio.run(main())


def test_containers_are_found_and_finished(tmp_path: Path) -> None:
    async def main() -> None:
        first = container(tmp_path)
        (first / "0.log").write_text(line("one"))
        source, sink = CriSource(tmp_path, BEGIN), LinesSink()
        async with running(source, sink):
            await until(lambda: sink.texts() == [b"one"])
            assert source.trouble == ""
            second = container(tmp_path, "shop_db-0_4-5-6", "postgres")
            (second / "0.log").write_text(line("two"))
            await until(lambda: sink.texts("shop/db") == [b"two"])
            # What is written last and has no end is read before the container is forgotten.
            with (second / "0.log").open("a") as file:
                file.write(line("last words")[:-1])
            (second / "0.log").unlink()
            second.rmdir()
            await until(lambda: sink.ended != [])
        assert sink.texts("shop/db") == [b"two", b"last words"]
        assert [tail.key for tail in sink.ended] == ["cri/shop_db-0_4-5-6/postgres"]
        assert [tail.workload for tail in source.tails] == ["shop/web"]
        assert [tail.container for tail in source.tails] == ["app"]

    run(main())


def test_a_log_without_a_position_begins_when_scanning_began(tmp_path: Path) -> None:
    async def main() -> None:
        directory = container(tmp_path)
        old = f"2026-11-25T17:59:59.9Z stdout F old\n{line('new', 0)}{line('newer')}"
        (directory / "0.log").write_text(old)
        sink = LinesSink()
        async with running(CriSource(tmp_path, BEGIN), sink):
            await until(lambda: len(sink.texts()) == 2)
        assert sink.texts() == [b"new", b"newer"]

    run(main())


def test_a_restarted_scanner_goes_on_where_it_was(tmp_path: Path) -> None:
    async def main() -> None:
        directory = container(tmp_path)
        half = line("half of").replace(" F ", " P ")
        (directory / "0.log").write_text(line("one") + half)
        sink = LinesSink()
        async with running(CriSource(tmp_path, BEGIN), sink):
            await until(lambda: sink.texts() == [b"one"])
        (directory / "0.log").rename(directory / "0.log.20261125-180100")
        (directory / "0.log").write_text(line(" a line") + line("three"))
        again = LinesSink(sink.positions)
        async with running(CriSource(tmp_path, BEGIN), again):
            await until(lambda: len(again.texts()) == 2)
        assert again.texts() == [b"half of a line", b"three"]
        assert again.losses == []

    run(main())


@pytest.mark.parametrize("own_logs", [False, True])
def test_tocsins_own_logs_are_left_out(tmp_path: Path, own_logs: bool) -> None:
    async def main() -> None:
        (container(tmp_path, "ops_tocsin-matcher-0_1", "matcher") / "0.log").write_text(line("own"))
        (container(tmp_path, "ops_web-0_2") / "0.log").write_text(line("other"))
        sink = LinesSink()
        async with running(CriSource(tmp_path, BEGIN, own_logs=own_logs), sink):
            await until(lambda: b"other" in sink.texts())
            await until(lambda: len(sink.texts()) == 1 + own_logs)
        assert set(sink.texts()) == ({b"own", b"other"} if own_logs else {b"other"})

    run(main())


def test_the_api_server_knows_better(tmp_path: Path) -> None:
    async def ask(path: PodPath) -> About | None:
        if path.pod == "by-hand-12345":
            return About("shop/by-hand-12345", "shop/web:1")
        return About("ops/x", "x", {"app.kubernetes.io/name": "tocsin"}) if path.pod == "x-0" else None

    async def main() -> None:
        for pod in ("shop_by-hand-12345_1", "ops_x-0_2", "shop_db-0_3"):
            (container(tmp_path, pod) / "0.log").write_text(line(pod))
        source, sink = CriSource(tmp_path, BEGIN, ask=ask), LinesSink()
        async with running(source, sink):
            await until(lambda: len(sink.texts()) == 2)
            found = {(tail.workload, tail.image) for tail in source.tails}
        assert found == {("shop/by-hand-12345", "shop/web:1"), ("shop/db", "")}

    run(main())


def test_a_directory_that_is_not_there_is_said(tmp_path: Path) -> None:
    async def main() -> None:
        source, sink = CriSource(tmp_path / "pods", BEGIN), LinesSink()
        async with running(source, sink):
            await until(lambda: "can't be listed: No such file" in source.trouble)
            (container(tmp_path / "pods") / "0.log").write_text(line("one"))
            await until(lambda: sink.texts() == [b"one"])
            assert source.trouble == ""

    run(main())


def test_pods_that_went_away_while_nobody_scanned_are_counted_and_forgotten(tmp_path: Path) -> None:
    async def main() -> None:
        here = container(tmp_path)
        (here / "0.log").write_text(line("one"))
        position = {"offset": 1}
        keys = [f"cri/{here.parent.name}/app", "cri/shop_gone-0_9/app", "docker/1"]
        source, sink = CriSource(tmp_path, BEGIN), LinesSink(dict.fromkeys(keys, position))
        async with running(source, sink):
            await until(lambda: sink.ended != [])
        assert [tail.key for tail in sink.ended] == ["cri/shop_gone-0_9/app"]
        assert ("cri/shop_gone-0_9/app", 0) in [(tail.key, size) for tail, size in sink.losses]

    run(main())
