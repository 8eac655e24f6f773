"""The cache of databases: whole or nothing, within bounds, in a directory that can be trusted."""

import logging
import os
import random
from pathlib import Path

import pytest

from processor.patterns import CacheError, DatabaseCache

FORMS = [("a", "a"), ("b^c", "bc")]


def only_file(directory: Path) -> Path:
    (path,) = directory.iterdir()
    return path


def test_what_was_put_is_got_by_the_same_key_only(tmp_path: Path) -> None:
    cache = DatabaseCache(tmp_path / "new" / "one")
    key = cache.key(FORMS)
    assert cache.get(key) is None
    cache.put(key, b"database", {1: "why"})
    assert DatabaseCache(tmp_path / "new" / "one").get(key) == (b"database", {1: "why"})
    for other in ([("b^c", "bc"), ("a", "a")], FORMS[:1], [("a", "a"), ("b^c", "bd")]):
        assert cache.key(other) != key
        assert cache.get(cache.key(other)) is None


def test_the_key_depends_on_library_and_processor(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cache = DatabaseCache(tmp_path)
    key = cache.key(FORMS)
    monkeypatch.setattr("processor.patterns.cache.hyperscan_build", lambda: "Version: 5.4.2 Features: other")
    assert cache.key(FORMS) != key


def test_a_new_directory_is_for_this_user_only(tmp_path: Path) -> None:
    cache = DatabaseCache(tmp_path / "cache")
    cache.put(cache.key(FORMS), b"x", {})
    assert (tmp_path / "cache").stat().st_mode & 0o777 == 0o700
    assert only_file(tmp_path / "cache").stat().st_mode & 0o077 == 0


@pytest.mark.parametrize("mode", [0o777, 0o720, 0o702])
def test_a_directory_that_others_may_write_to_is_refused(tmp_path: Path, mode: int) -> None:
    (tmp_path / "open").mkdir()
    (tmp_path / "open").chmod(mode)
    with pytest.raises(CacheError, match="chmod 700"):
        DatabaseCache(tmp_path / "open")


def test_a_directory_of_someone_else_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: tmp_path.stat().st_uid + 1)
    with pytest.raises(CacheError, match="belongs to another user"):
        DatabaseCache(tmp_path)


def test_a_directory_that_can_not_be_made_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(CacheError, match="file"):
        DatabaseCache(tmp_path / "file" / "cache")


def test_no_damaged_file_is_used_and_each_costs_one_line(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    cache = DatabaseCache(tmp_path)
    key = cache.key(FORMS)
    pick = random.Random(11)
    cache.put(key, pick.randbytes(500), {1: "why", 7: "x"})
    whole = only_file(tmp_path).read_bytes()
    damages = [whole[:cut] for cut in (0, 1, 20, 50, 53, 54, 60, len(whole) - 1)] + [whole + b"\x00"]
    for place in [*range(70), *(pick.randrange(len(whole)) for _ in range(100))]:
        changed = bytearray(whole)
        changed[place] ^= 1 << pick.randrange(8)
        damages.append(bytes(changed))
    damages += [pick.randbytes(pick.randrange(200)) for _ in range(100)]
    for damaged in damages:
        (tmp_path / f"{key}.hyperscan").write_bytes(damaged)
        caplog.clear()
        with caplog.at_level(logging.WARNING):
            assert cache.get(key) is None
        assert len(caplog.records) == 1
        assert list(tmp_path.iterdir()) == []
    cache.put(key, b"again", {})
    assert cache.get(key) == (b"again", {})


def test_a_link_is_not_followed(tmp_path: Path) -> None:
    cache = DatabaseCache(tmp_path / "cache")
    key = cache.key(FORMS)
    cache.put(key, b"x", {})
    only_file(tmp_path / "cache").rename(tmp_path / "elsewhere")
    (tmp_path / "cache" / f"{key}.hyperscan").symlink_to(tmp_path / "elsewhere")
    assert cache.get(key) is None


def test_the_one_not_used_for_longest_makes_room(tmp_path: Path) -> None:
    cache = DatabaseCache(tmp_path, max_bytes=4_000)
    keys = [cache.key([(str(number), "")]) for number in range(4)]
    for age, key in enumerate(keys[:3]):
        cache.put(key, bytes(1_000), {})
        os.utime(tmp_path / f"{key}.hyperscan", ns=(age, age))
    assert cache.get(keys[0]) is not None  # now the youngest
    cache.put(keys[3], bytes(1_500), {})
    assert [cache.get(key) is not None for key in keys] == [True, False, True, True]
    assert sum(path.stat().st_size for path in tmp_path.iterdir()) <= 4_000


def test_what_is_larger_than_the_cache_is_not_kept(tmp_path: Path) -> None:
    cache = DatabaseCache(tmp_path, max_bytes=1_000)
    cache.put(cache.key(FORMS), bytes(1_001), {})
    assert list(tmp_path.iterdir()) == []


def test_what_a_dead_process_left_half_written_is_removed(tmp_path: Path) -> None:
    left = tmp_path / ".new-abc"
    left.write_bytes(bytes(900))
    os.utime(left, ns=(1, 1))
    cache = DatabaseCache(tmp_path, max_bytes=1_000)
    cache.put(cache.key(FORMS), bytes(200), {})
    assert not left.exists()
    assert cache.get(cache.key(FORMS)) is not None


def test_a_disk_that_refuses_costs_a_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    cache = DatabaseCache(tmp_path)
    monkeypatch.setattr(os, "replace", full)
    cache.put(cache.key(FORMS), b"x", {})
    assert "No space left" in caplog.text
    assert list(tmp_path.iterdir()) == []
