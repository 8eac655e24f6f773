"""What becomes of lines: streams, cooldowns, buckets, rules that change."""

from typing import Any

from processor.scanning.cooldown import Cooldowns
from processor.scanning.engine import Engine, Judged, Now, when
from processor.scanning.finder import Finder
from processor.scanning.lines import STDERR, STDOUT, Lines, Tail
from processor.scanning.rule import ScanRule

NOW = Now("2026-11-25T18:00:00.000Z", 1_795_629_600_000)
TAIL = Tail("cri/1", "shop/web", "web", "shop:1")


def rule(number: int, pattern: str, **fields: Any) -> ScanRule:
    return ScanRule(id=number, name=f"r{number}", pattern=pattern, **fields)


def engine(*rules: ScanRule, rate: int = 50, burst: int = 200) -> Engine:
    made = Engine(Finder(), "n", rate, burst, Cooldowns())
    made.update(rules)
    return made


def lines(*texts: bytes, stream: int = STDOUT, time: bytes = b"", tail: Tail = TAIL) -> Lines:
    return Lines(tail, texts, bytes([stream]) * len(texts), [time] * len(texts), {"offset": 1})


def made(judged: Judged) -> list[tuple[str, str, int]]:
    return [(one.metadata.rule, one.message, one.metadata.suppressed) for one in judged.events]


def test_events_come_in_the_order_of_the_lines_and_of_the_rules_ids() -> None:
    rules = (rule(2, "b"), rule(1, "b|c"), rule(3, "a", workload="blog"))
    judged = engine(*rules).judge(lines(b"a", b"c", b"b"), NOW)
    assert made(judged) == [("r1", "c", 0), ("r1", "b", 0), ("r2", "b", 0)]
    assert judged.changes.hits == {1: 2, 2: 1}


def test_a_rule_hears_its_streams_alone() -> None:
    asked = engine(rule(1, "x", streams="stdout"), rule(2, "x", streams="stderr"), rule(3, "x"))
    assert [name for name, _, _ in made(asked.judge(lines(b"x"), NOW))] == ["r1", "r3"]
    assert [name for name, _, _ in made(asked.judge(lines(b"x", stream=STDERR), NOW))] == ["r2", "r3"]


def test_one_cooldown_holds_for_all_containers_of_a_workload_and_no_other() -> None:
    asked = engine(rule(1, "x", cooldown="1m"))
    other = Tail("cri/2", "shop/web")
    assert made(asked.judge(lines(b"x1", b"x2"), NOW)) == [("r1", "x1", 0)]
    assert made(asked.judge(lines(b"x3", tail=other), NOW)) == []
    assert made(asked.judge(lines(b"x4", tail=Tail("cri/3", "blog/web")), NOW)) == [("r1", "x4", 0)]
    later = asked.judge(lines(b"x5", time=b"2026-11-25T18:01:00.5Z"), NOW)
    assert made(later) == [("r1", "x5", 2)]
    assert later.events[0].created_at == "2026-11-25T18:01:00.5Z"


def test_a_bucket_counts_events_and_what_it_drops_starts_no_cooldown() -> None:
    asked = engine(rule(1, "x"), rule(2, "y", cooldown="1m"), rate=1, burst=2)
    judged = asked.judge(lines(b"x", b"x", b"x", b"y"), NOW)
    assert [name for name, _, _ in made(judged)] == ["r1", "r1"]
    assert judged.changes.dropped == {1: 1, 2: 1}
    assert not judged.changes.suppressed
    assert [name for name, _, _ in made(asked.judge(lines(b"x", tail=Tail("cri/2", "w")), NOW))] == ["r1"]
    again = asked.judge(lines(b"y", time=b"2026-11-25T18:00:01Z"), NOW)
    assert made(again) == [("r2", "y", 0)]


def test_rules_change_as_a_whole_and_at_once() -> None:
    asked = engine(rule(1, "x"))
    assert len(asked.judge(lines(b"x y"), NOW).events) == 1
    asked.update([rule(2, "y"), rule(3, "x", workload="shop/web", enabled=False)])
    assert [name for name, _, _ in made(asked.judge(lines(b"x y"), NOW))] == ["r2"]
    asked.update([])
    assert asked.judge(lines(b"x y"), NOW).events == ()


def test_a_line_of_any_bytes_is_judged() -> None:
    judged = engine(rule(1, "^.x.$")).judge(lines(b"\xffx\xc3", "äxö".encode(), b"x"), NOW)
    assert [message for _, message, _ in made(judged)] == ["\ufffdx\ufffd", "äxö"]


def test_what_is_no_time_is_now() -> None:
    for stamp in (b"", b"2026-13-45T00:00:00Z", b"\xff", b"2026-11-25T18:00:61Z"):
        assert when(stamp, NOW) == NOW
    assert when(b"2026-11-25T19:00:00.123456789+01:00", NOW) == (
        "2026-11-25T19:00:00.123456789+01:00",
        NOW.ms + 123,
    )
