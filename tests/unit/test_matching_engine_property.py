"""The engine answers as a plain loop over all rules does, whatever changes and whatever is being compiled."""

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from processor.events import Event, EventDecoder, EventFields, Texts, document
from processor.matching.building import build
from processor.matching.engine import RuleSet
from processor.matching.shards import Built, Job
from processor.patterns import compile_pattern
from processor.rules import TriggerRule
from tests.support.rules import fields
from tests.support.set_compiler import CompilerHere

DECODER = EventDecoder(EventFields())

REGEXES = (
    *(
        "",
        "",
        "failed",
        "(?i)FAILED",
        r"code=\d+",
        "^a.*z$",
        "(a*)*b",
        ".{1000}",
        r"\d\d",
        "[^a-z]",
        "é",
        "ſ",
    ),
    *(
        "(?i)k",
        "(?i)ſtop",
        "connection (?:refused|reset).*code=1",
        r"\x00",
        "(|x)",
        "a|b|c",
        r"\bid\b",
        "x{40}",
    ),
    *(r"\pL+ failed", "(?m)^failed", "(?s)a.b", r"\s", "[[:alpha:]]+=1", "failed|", "FAILED"),
)
SEVERITIES, SOURCES = ("error", "warn", "", "Error"), ("shop", "pay", "", "größe")
FILTERS: tuple[dict[str, Any] | None, ...] = (
    *(None, None, None, {"user": ["ann"]}, {"user": [{"prefix": "b"}]}, {"n": [{"numeric": [">", 3]}]}),
    *({"source": ["shop"], "user": [{"exists": False}]}, {"$or": [{"user": ["ann"]}, {"n": [4]}]}),
)

_WORDS = st.sampled_from(
    [
        "failed",
        "FAILED",
        "code=1",
        "code=17",
        "é",
        "ſtop",
        "K",
        " ",
        "connection reset ",
        "id",
        "\n",
        "\0",
        "a",
        "b",
    ]
)
_MESSAGES = st.one_of(st.lists(_WORDS, max_size=6).map("".join), st.text(max_size=30), st.just("ax" * 3_000))
_EVENTS = st.fixed_dictionaries(
    {"severity": st.sampled_from(SEVERITIES), "source": st.sampled_from(SOURCES), "message": _MESSAGES},
    optional={"user": st.sampled_from(["ann", "bob", ["ann", "bob"]]), "n": st.integers(0, 6)},
)
_RULES = st.fixed_dictionaries(
    {
        "filter_message_regex": st.sampled_from(REGEXES),
        "filter_severity": st.lists(st.sampled_from(SEVERITIES), max_size=2),
        "filter_source": st.lists(st.sampled_from(SOURCES), max_size=2),
        "filter_pattern": st.sampled_from(FILTERS),
        "enabled": st.sampled_from([True, True, True, False]),
    }
)
_STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("put"), st.integers(1, 12), _RULES),
        st.tuples(st.just("delete"), st.integers(1, 12), st.none()),
        st.tuples(st.just("tend"), st.none(), st.none()),
        st.tuples(st.just("finish"), st.none(), st.none()),
        st.tuples(st.just("ask"), st.none(), st.lists(_EVENTS, min_size=1, max_size=5)),
    ),
    min_size=3,
    max_size=40,
)


class Slow:
    """A builder that is done when it is told so."""

    def __init__(self) -> None:
        self.job: Job | None = None
        self.built: Built | None = None

    def submit(self, job: Job) -> None:
        assert self.job is None
        self.job = job

    def finish(self) -> None:
        if self.job is not None:
            self.built = build(self.job, CompilerHere())

    def finished(self) -> Built | None:
        built, self.built = self.built, None
        if built is not None:
            self.job = None
        return built


def plainly(rules: dict[int, TriggerRule], event: Event) -> set[int]:
    """The rules of matching, as they are written down."""

    def fires(rule: TriggerRule) -> bool:
        event_filter = rule.event_filter()
        return (
            rule.enabled
            and (not rule.filter_severity or event.severity in rule.filter_severity)
            and (not rule.filter_source or event.source in rule.filter_source)
            and (
                not rule.filter_message_regex
                or compile_pattern(rule.filter_message_regex).search(event.message)
            )
            and (event_filter is None or event_filter.matches(document(event.body)))
        )

    return {rule_id for rule_id, rule in rules.items() if fires(rule)}


def ask(engine: RuleSet, rules: dict[int, TriggerRule], events: list[dict[str, Any]]) -> None:
    decoded = [DECODER.decode(msgspec.json.encode(event)) for event in events]
    given = [event for event in decoded if isinstance(event, Event)]
    assert len(given) == len(events)
    expected = [plainly(rules, event) for event in given]
    alone = [[compiled.id for compiled in engine.match(event)] for event in given]
    assert [sorted(ids) for ids in alone] == [sorted(ids) for ids in expected]
    texts = [Texts(event.severity, event.source, event.message) for event in given]
    together = {
        place: [compiled.id for compiled in fired]
        for place, fired in engine.among(texts, [event.body for event in given])
    }
    assert [sorted(together.get(place, [])) for place in range(len(given))] == [
        sorted(ids) for ids in expected
    ]


@given(_STEPS)
@settings(deadline=None)
def test_engine_equals_the_plain_loop(steps: list[tuple[str, Any, Any]]) -> None:
    compare(steps)


@pytest.mark.soak
@given(_STEPS)
@settings(deadline=None, max_examples=5_000)
def test_engine_equals_the_plain_loop_in_thousands_of_cases(steps: list[tuple[str, Any, Any]]) -> None:
    compare(steps)


def compare(steps: list[tuple[str, Any, Any]]) -> None:
    """Take the steps, with the engine and with the plain loop."""
    builder, rules = Slow(), dict[int, TriggerRule]()
    engine = RuleSet(builder=builder)
    for what, rule_id, given_value in steps:
        if what == "put":
            rule = TriggerRule.model_validate({**fields(f"r{rule_id}", **given_value), "id": rule_id})
            rules[rule_id] = rule
            engine.update(rule_id, rule)
        elif what == "delete":
            rules.pop(rule_id, None)
            engine.update(rule_id, None)
        elif what == "tend":
            engine.tend()
        elif what == "finish":
            builder.finish()
        else:
            ask(engine, rules, given_value)
    for _ in range(6):  # until everything is compiled that can be
        engine.tend()
        builder.finish()
    engine.tend()
    assert engine.waiting == 0
    last: list[dict[str, Any]] = [{"message": "failed code=17"}, {"severity": "error", "message": "FAILED"}]
    ask(engine, rules, last)


@given(
    st.lists(
        st.one_of(_EVENTS.map(json.dumps).map(str.encode), st.binary(max_size=40), st.just(b"{}")),
        min_size=1,
        max_size=8,
    )
)
def test_events_read_together_are_those_read_one_by_one(values: list[bytes]) -> None:
    together = DECODER.texts_of(values)
    if together is None:
        return
    for texts, value in zip(together, values, strict=True):
        event = DECODER.decode(value)
        assert isinstance(event, Event)
        assert (event.severity, event.source, event.message) == (texts.severity, texts.source, texts.message)
        assert event.body == value
