"""Filters against a plain reading of patterns, and against event-ruler, the library behind EventBridge."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from processor.filters import compile_filter
from tests.support.event_patterns import NAMES, Maker, passes

VERDICTS = Path(__file__).parents[1] / "support" / "eventruler" / "verdicts.ndjson"

# event-ruler says no, although it says yes to the third alternative alone, as it should.
SLIP: dict[str, Any] = {
    "$or": [
        {"b": [{"cidr": "2001:db8::/32"}, {"anything-but": 0.1}]},
        {"b": {"c": [True]}},
        {"b": [{"exists": False}, {"cidr": "2001:db8::/32"}]},
    ]
}


def with_dots(event: Any, joined: st.DataObject) -> Any:
    """The event, some of its nested objects written as names with dots."""
    if isinstance(event, list):
        return [with_dots(one, joined) for one in event]
    if not isinstance(event, dict):
        return event
    written: dict[str, Any] = {}
    for name, value in event.items():
        value = with_dots(value, joined)
        if isinstance(value, dict) and joined.draw(st.integers(0, 3)) == 0:
            written |= {f"{name}.{inner}": held for inner, held in value.items()}
            if joined.draw(st.booleans()):
                continue
        written[name] = value
    return written


@settings(max_examples=1_000)
@given(seed=st.integers(0, 2**40), data=st.data())
def test_matches_as_a_plain_reading_does(seed: int, data: st.DataObject) -> None:
    make = Maker(seed)
    pattern = make.pattern()
    if data.draw(st.integers(0, 4)) == 0:
        pattern = {**make.pattern(), "$or": [make.pattern(), make.pattern()]}  # names a field twice at times
    compiled = compile_filter(pattern)
    for _ in range(5):
        event = make.event()
        if data.draw(st.booleans()):
            event = with_dots(event, data)
        expected = passes(pattern, event)

        assert compiled.matches(event) is expected
        assert (compiled.explain(event) is None) is expected
        if expected:
            for path, texts in compiled.required:
                assert any(leaf in texts for leaf in path.leaves(event) if isinstance(leaf, str))


def test_matches_as_event_ruler_does() -> None:
    cases = [json.loads(line) for line in VERDICTS.read_text(encoding="utf-8").splitlines()]
    assert {case["verdict"] for case in cases} == {"yes", "no"}
    assert len(cases) == 1_000

    differing = [
        case
        for case in cases
        if compile_filter(case["pattern"]).matches(case["event"]) is not (case["verdict"] == "yes")
    ]

    assert [case["pattern"] for case in differing] == [SLIP]


def test_generated_events_pass_and_fail_often_enough_to_mean_something() -> None:
    make = Maker(1)
    verdicts = [passes(make.pattern(), make.event()) for _ in range(2_000)]

    assert 100 < sum(verdicts) < 1_900
    assert {name for _ in range(20) for name in make.event()} == set(NAMES)
