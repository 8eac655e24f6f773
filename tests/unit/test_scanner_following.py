"""A log is read once and whole through everything that rotation does to its files."""

import gzip
import itertools
import os
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from processor.scanning.lines import MAX_LINE
from processor.scanning.sources.cri import _series
from processor.scanning.sources.following import Follower


class Kubelet:
    """Writes one container's log, and rotates it as the kubelet does."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.written: list[bytes] = []
        self._numbers = itertools.count(1)
        self._restart = 0
        self._moments = itertools.count(100_000)

    @property
    def active(self) -> Path:
        return self.directory / f"{self._restart}.log"

    def write(self, count: int = 1, size: int = 10) -> None:
        with self.active.open("ab") as file:
            for _ in range(count):
                line = b"2026-11-25T18:40:00.%09dZ stdout F %d %s" % (
                    next(self._numbers),
                    os.getpid(),
                    b"x" * size,
                )
                self.written.append(line)
                file.write(line + b"\n")

    def rotate(self) -> None:
        """Rename, let the runtime open a new file, compress those that were rotated before."""
        if not self.active.exists():
            return
        for older in self.directory.glob("*.log.*"):
            if older.suffix != ".gz":
                temporary = older.with_name(older.name + ".tmp")
                temporary.write_bytes(gzip.compress(older.read_bytes()))
                temporary.rename(older.with_name(older.name + ".gz"))
                older.unlink()
        self.active.rename(self.directory / f"{self._restart}.log.20261125-{next(self._moments)}")
        self.active.touch()

    def remove_oldest(self) -> None:
        files = _series(self.directory, 0)
        if len(files) > 1:
            files[0].unlink()

    def restart(self) -> None:
        self._restart += 1
        self.active.touch()


class Reader:
    """Follows it; may be started anew from its position."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.lines: list[bytes] = []
        self.lost: list[str] = []
        self.now = 0.0
        self._follower = self._new()
        self._position: dict[str, str | int] = {}

    def _new(self) -> Follower:
        return Follower(
            self.directory,
            lambda: _series(self.directory, 0),
            self.lost.append,
            patience=0.2,
            clock=lambda: self.now,
        )

    def read(self, portions: int = 1_000, size: int = 256) -> None:
        quiet = 0
        for _ in range(portions):
            data = self._follower.read(size)
            self.lines += data.splitlines()
            self._position = self._follower.save()
            quiet = 0 if data else quiet + 1
            self.now += 0.15
            if quiet > 12:
                return

    def restart(self) -> None:
        self._follower.close()
        self._follower = self._new()
        if self._position:
            self._follower.restore(self._position)


@pytest.fixture
def kubelet(tmp_path: Path) -> Kubelet:
    return Kubelet(tmp_path)


def test_lines_are_read_as_they_come(kubelet: Kubelet) -> None:
    reader = Reader(kubelet.directory)
    reader.read()
    for _ in range(3):
        kubelet.write(20)
        reader.read()

    assert reader.lines == kubelet.written
    assert reader.lost == []


def test_rotation_while_reading_loses_nothing(kubelet: Kubelet) -> None:
    reader = Reader(kubelet.directory)
    for _ in range(5):
        kubelet.write(30)
        reader.read(portions=2)
        kubelet.rotate()
        kubelet.write(3)
    reader.read()

    assert reader.lines == kubelet.written
    assert reader.lost == []


def test_rotations_while_away_are_read_from_the_compressed_files_too(kubelet: Kubelet) -> None:
    reader = Reader(kubelet.directory)
    kubelet.write(30)
    reader.read(portions=2)
    for _ in range(3):
        kubelet.rotate()
        kubelet.write(30)
    reader.restart()
    reader.read()

    assert [path.suffix for path in kubelet.directory.iterdir()].count(".gz") == 2
    assert reader.lines == kubelet.written
    assert reader.lost == []


def test_files_that_went_away_unread_are_told(kubelet: Kubelet) -> None:
    reader = Reader(kubelet.directory)
    kubelet.write(30)
    reader.read(portions=2)
    for _ in range(2):
        kubelet.rotate()
        kubelet.write(5)
        kubelet.remove_oldest()
    reader.restart()
    reader.read()

    assert reader.lines == [*kubelet.written[: len(reader.lines) - 5], *kubelet.written[-5:]]
    assert len(reader.lost) == 1


def test_a_file_truncated_in_place_is_read_from_its_start(tmp_path: Path) -> None:
    kubelet = Kubelet(tmp_path)
    reader = Reader(tmp_path)
    kubelet.write(10)
    reader.read()
    os.truncate(kubelet.active, 0)
    kubelet.write(20)  # longer than before already
    reader.read()

    assert reader.lines == kubelet.written
    assert len(reader.lost) == 1


def test_another_file_with_the_same_inode_is_another_file(kubelet: Kubelet) -> None:
    reader = Reader(kubelet.directory)
    kubelet.write(10)
    reader.read()
    # What it comes to when a file system gives an inode away again: the same numbers, other bytes.
    kubelet.active.write_bytes(b"")
    kubelet.write(20)
    reader.restart()
    reader.read()

    assert reader.lines == kubelet.written
    assert len(reader.lost) == 1


def test_a_symbolic_link_is_followed(tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    kubelet = Kubelet(elsewhere)
    kubelet.write(5)
    pod = tmp_path / "pod"
    pod.mkdir()
    (pod / "0.log").symlink_to(kubelet.active)
    reader = Reader(pod)
    reader.read()
    kubelet.write(5)
    reader.read()

    assert reader.lines == kubelet.written


def test_a_line_is_read_when_it_is_whole(kubelet: Kubelet) -> None:
    reader = Reader(kubelet.directory)
    with kubelet.active.open("ab") as file:
        file.write(b"2026 half")
        file.flush()
        reader.read()
        assert reader.lines == []
        file.write(b" whole\n")
        file.flush()
        reader.read()

    assert reader.lines == [b"2026 half whole"]


def test_a_line_without_an_end_is_read_in_pieces(kubelet: Kubelet) -> None:
    reader = Reader(kubelet.directory)
    kubelet.active.write_bytes(b"y" * (3 * MAX_LINE) + b"\nnext\n")
    reader.read(size=1 << 18)

    assert b"".join(reader.lines) == b"y" * (3 * MAX_LINE) + b"next"
    assert max(map(len, reader.lines)) <= MAX_LINE + 128


OPERATIONS = [
    "write",
    "write",
    "burst",
    "rotate",
    "restart container",
    "read",
    "read a bit",
    "restart reader",
]


@settings(max_examples=40)
@given(st.lists(st.sampled_from(OPERATIONS), max_size=25))
def test_any_course_of_things_is_read_once_and_in_order(
    tmp_path_factory: pytest.TempPathFactory, operations: Sequence[str]
) -> None:
    directory = tmp_path_factory.mktemp("pod")
    kubelet, reader = Kubelet(directory), Reader(directory)
    for operation in operations:
        match operation:
            case "write":
                kubelet.write()
            case "burst":
                kubelet.write(40)
            case "rotate":
                kubelet.rotate()
            case "restart container":
                kubelet.restart()
            case "read":
                reader.read()
            case "read a bit":
                reader.read(portions=2)
            case "restart reader":
                reader.restart()
    reader.read()

    assert reader.lines == kubelet.written
    assert reader.lost == []
