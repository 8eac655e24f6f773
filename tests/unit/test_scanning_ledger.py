"""What is done with, and what a scanner remembers over a restart."""

from pathlib import Path

import pytest

from processor.lifecycle import Refused
from processor.scanning.cooldown import Changes, Cooldowns, Started
from processor.scanning.ledger import Ledger, Portion, Totals
from processor.scanning.lines import Position, Tail
from processor.scanning.state import FILE, encode, load, save

TAIL, OTHER = Tail("a", "w"), Tail("b", "w")


def ledger() -> Ledger:
    return Ledger({"a": {"offset": 0}}, Cooldowns(), Totals())


def portion(offset: int, events: int, tail: Tail = TAIL, read_at: float = 0.0) -> Portion:
    changes = Changes()
    if events:
        changes.hits[1] = events
    return Portion(tail, {"offset": offset}, changes, events, read_at)


def test_a_position_moves_only_behind_what_is_acknowledged_in_order() -> None:
    kept = ledger()
    first, second = kept.add(portion(1, 1)), kept.add(portion(2, 2))
    assert kept.positions == {"a": {"offset": 0}}
    kept.acknowledged(second)
    kept.acknowledged(second)
    assert kept.positions == {"a": {"offset": 0}}
    assert kept.totals.hits == {}
    kept.acknowledged(first)
    assert kept.positions == {"a": {"offset": 2}}
    assert kept.totals.hits == {1: 3}
    assert not kept.waits()


def test_lines_without_events_wait_for_those_before_them_and_pile_up_nowhere() -> None:
    kept = ledger()
    first = kept.add(portion(1, 1))
    for offset in range(2, 100):
        assert kept.add(portion(offset, 0)) is first
    assert kept.positions == {"a": {"offset": 0}}
    kept.acknowledged(first)
    assert kept.positions == {"a": {"offset": 99}}
    kept.add(portion(100, 0))
    assert kept.positions == {"a": {"offset": 100}}


def test_tails_do_not_wait_for_each_other() -> None:
    kept = ledger()
    first = kept.add(portion(1, 1, read_at=3.0))
    kept.acknowledged(kept.add(portion(7, 1, OTHER, read_at=5.0)))
    assert kept.positions == {"a": {"offset": 0}, "b": {"offset": 7}}
    assert kept.oldest() == 3.0
    kept.acknowledged(first)
    assert kept.oldest() is None


def test_a_tail_that_is_gone_is_forgotten_when_all_of_it_is_acknowledged() -> None:
    kept = ledger()
    first = kept.add(portion(1, 1))
    kept.add(Portion(TAIL, None, Changes(), 0, 0.0))
    assert kept.positions == {"a": {"offset": 0}}
    kept.acknowledged(first)
    assert kept.positions == {}


def test_what_is_saved_is_what_is_loaded(tmp_path: Path) -> None:
    directory = tmp_path / "deep" / "state"
    new = load(directory, 1_700_000_000)
    assert (new.begun, new.new, new.positions) == (1_700_000_000, True, {})
    cooldowns, totals = Cooldowns(), Totals()
    cooldowns.start(Started(("w", 1), 5_000, 0))
    cooldowns.suppress(("w", 1), 3)
    totals.hits[1], totals.suppressed[1], totals.dropped[2] = 4, 5, 6
    positions: dict[str, Position] = {"a": {"offset": 7, "head": "é"}}
    for _ in range(2):
        save(directory, encode(1_700_000_000, positions, cooldowns, totals))
    again = load(directory, 1_800_000_000)
    assert (again.begun, again.new, again.positions) == (1_700_000_000, False, positions)
    assert again.cooldowns.waiting(("w", 1)) == 3
    assert again.cooldowns.holds_back(("w", 1), 5_999, 1_000)
    assert (again.totals.hits, again.totals.suppressed, again.totals.dropped) == ({1: 4}, {1: 5}, {2: 6})
    assert [path.name for path in directory.iterdir()] == [FILE]


@pytest.mark.parametrize(
    "content",
    [b"", b"{", b"[]", b'{"version":2}', b'{"version":1}', b'{"version":1,"begun":1,"positions":[]}'],
)
def test_a_file_that_is_none_of_ours_is_refused_with_the_remedy(tmp_path: Path, content: bytes) -> None:
    (tmp_path / FILE).write_bytes(content)
    with pytest.raises(Refused, match="remove it to start"):
        load(tmp_path, 0)


def test_a_directory_that_cannot_be_used_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(Refused, match="state_directory"):
        load(tmp_path / "file", 0)
