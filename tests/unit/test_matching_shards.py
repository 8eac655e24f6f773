"""What is compiled when, and what happens when it can't be."""

from collections.abc import Sequence

from processor.events import Event
from processor.matching.building import BuilderHere, ShardBuilder
from processor.matching.engine import RuleSet
from processor.matching.rule import CompiledRule
from processor.matching.shards import MOST_RULES, Gate, Job, Kind, Shard, Whole, next_job
from processor.patterns import DatabaseError
from processor.rules import TriggerRule
from tests.support.rules import fields
from tests.support.set_compiler import CompilerHere
from tests.support.waiting import wait_until


def rule(number: int, regex: str = "failed: [a-z]+") -> TriggerRule:
    said = {**fields(f"r{number}"), "filter_message_regex": regex, "id": number}
    return TriggerRule.model_validate(said)


def rules(count: int, start: int = 1) -> list[CompiledRule]:
    return [CompiledRule(rule(number), 0) for number in range(start, start + count)]


class NoGate:
    def scan(self, text: bytes) -> Sequence[tuple[int, ...]]:
        return ()

    def scan_joined(self, texts: bytes, most: int) -> Sequence[tuple[int, tuple[int, ...]]]:
        return ()


def shard(count: int, start: int = 1) -> Shard:
    return Shard(rules(count, start), NoGate(), None)


def job(fresh: int, *shards: Shard) -> Job | None:
    return next_job(rules(fresh, 100_000), shards, Kind.SEGMENTS, ())


def test_nothing_is_compiled_for_nothing() -> None:
    assert job(0, shard(10)) is None


def test_a_small_change_leaves_large_shards_alone() -> None:
    large, small = shard(1_000), shard(1, start=5_000)
    found = job(1, large, small)
    assert found is not None
    assert (list(found.replaced), len(found.rules)) == ([small], 2)


def test_shards_are_few_after_many_changes() -> None:
    shards: list[Shard] = []
    for _ in range(2_000):
        found = job(1, *shards)
        assert found is not None
        shards = [one for one in shards if one not in found.replaced]
        shards.append(Shard(found.rules, NoGate(), None))
    assert sum(map(len, shards)) == 2_000
    assert len(shards) < 12


def test_a_shard_of_which_most_has_gone_is_compiled_anew() -> None:
    half_empty = shard(100)
    for number in range(51):
        half_empty.replace(number, None)
    found = job(1, half_empty)
    assert found is not None
    assert len(found.rules) == 1 + 49


def test_no_shard_outgrows_its_limit() -> None:
    found = job(10_000, shard(10))
    assert found is not None
    assert len(found.rules) == MOST_RULES[Kind.SEGMENTS]


def test_searches_in_vain_lead_to_better_segments_and_then_to_whole_expressions() -> None:
    wasteful = shard(10)
    wasteful.wasted = 6_000
    first = next_job([], [wasteful], Kind.SEGMENTS, [b"a message"])
    assert first is not None
    assert (first.sample, first.also_whole) == ([b"a message"], False)

    sampled = Shard(rules(10), NoGate(), None, sampled=True)
    sampled.wasted = 6_000
    assert next_job([], [sampled], Kind.SEGMENTS, [b"a message"]) is None
    sampled.wasted = 60_000
    second = next_job([], [sampled], Kind.SEGMENTS, [b"a message"])
    assert second is not None
    assert second.also_whole


class Broken:
    """A compiler whose child dies over whatever it is given."""

    def segments(self, sources: Sequence[str], sample: Sequence[bytes]) -> tuple[Gate | None, frozenset[int]]:
        raise DatabaseError("made for another processor")

    def wholes(self, sources: Sequence[str], numbers: Sequence[int]) -> Whole:
        raise OSError("no more processes")


def test_rules_that_cannot_be_compiled_together_fire_all_the_same() -> None:
    builder = ShardBuilder(Broken())
    builder.start()
    engine = RuleSet({1: rule(1), 2: rule(2, "other")}, builder=builder)

    def given_up() -> bool:
        engine.tend()
        return engine.waiting == 0

    wait_until(given_up, 10, "everything was tried")
    builder.stop()
    assert engine.alone == 2
    assert [one.id for one in engine.match(_event("it failed: badly"))] == [1]


def test_what_was_found_in_vain_is_remembered_as_a_sample() -> None:
    built = CompilerHere()
    engine = RuleSet({1: rule(1, "connection refused.*tenant-7")}, builder=BuilderHere(built))
    engine.tend()
    engine.tend()
    assert engine.alone == 0
    for _ in range(5_100):
        assert not engine.match(_event("connection refused by host"))
    for _ in range(3):
        engine.tend()  # compiles anew, for these messages
    assert engine._shards[0].sampled
    assert [one.id for one in engine.match(_event("connection refused: tenant-7"))] == [1]
    before = engine._shards[0].wasted
    engine.match(_event("connection refused by host"))
    assert engine._shards[0].wasted == before


def _event(message: str) -> Event:
    return Event("error", "shop", message, b"{}", False, 0)
