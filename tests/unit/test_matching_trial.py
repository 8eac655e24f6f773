"""Rules tried on events: the engine's verdict, and which filter said no; the two agree."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from processor.events import Event, EventDecoder, EventFields, Unreadable
from processor.matching import trial as trial_module
from processor.matching.explain import Explainer, Refusal
from processor.matching.trial import DisagreementError, Trial, as_rules
from processor.rules import InvalidRule, read_record
from tests.support.event_patterns import Maker
from tests.support.matching_table import MATCHING, PLAIN_EVENT
from tests.support.rules import draft, record

DECODER = EventDecoder(EventFields())


def event(**members: Any) -> Event:
    read = DECODER.decode(json.dumps({**PLAIN_EVENT, **members}).encode())
    assert not isinstance(read, Unreadable)
    return read


@pytest.mark.parametrize(
    ("rule", "refusal"),
    [
        ({}, None),
        ({"enabled": False, "filter_severity": "x"}, Refusal("enabled", "the rule is disabled")),
        (
            {"filter_severity": ["fatal", "warn"], "filter_source": ["x"]},
            Refusal("filter_severity", 'the severity is "error", accepted: "fatal", "warn"'),
        ),
        (
            {"filter_severity": "error", "filter_source": [str(n) for n in range(12)]},
            Refusal(
                "filter_source",
                'the source is "shop", accepted: "0", "1", "2", "3", "4", "5", "6", "7", "8", "9" and 2 more',
            ),
        ),
        (
            {"filter_message_regex": "^shop", "filter_pattern": {"a": [1]}},
            Refusal("filter_message_regex", 'not found in the message "deploy of shop failed: exit 1"'),
        ),
        (
            {"filter_pattern": {"a": [1], "detail": {"n": [{"numeric": ["<", 5]}]}}},
            Refusal("filter_pattern", "detail.n: is 7, expected a number < 5"),
        ),
        ({"filter_pattern": {"a": [1], "detail": {"n": [{"numeric": ["<", 8]}]}}}, None),
    ],
)
def test_the_first_filter_that_says_no_is_named(rule: dict[str, Any], refusal: Refusal | None) -> None:
    tried = Trial(as_rules([draft(**rule)]))

    [verdict] = tried.verdicts(event(a=1, detail={"n": 7}))

    assert verdict.refusal == refusal
    assert verdict.fires is (refusal is None)


def test_a_reason_is_one_short_line_whatever_the_event_says() -> None:
    long = event(severity="\x1b[2J\n" * 1_000, message="\u2028x\x00" * 1_000)
    for rule in ({"filter_severity": "a" * 1_000}, {"filter_message_regex": "^a"}):
        refusal = Explainer(as_rules([draft(**rule)])[0]).refusal(long)

        assert refusal is not None
        assert refusal.reason.isprintable()
        assert len(refusal.reason) < 1_000


@pytest.mark.parametrize(
    ("rule", "members", "fires"), [pytest.param(*row[1:], id=row[0].replace(" ", "_")) for row in MATCHING]
)
def test_explanations_agree_with_the_rules_of_matching(
    rule: dict[str, Any], members: dict[str, Any], fires: bool
) -> None:
    read = read_record(b"7", record(**rule), None, 0)
    if isinstance(read, InvalidRule):
        return

    assert Trial([read]).verdicts(event(**members))[0].fires is fires


TEXTS = st.sampled_from(["", "a", "b", "error", "Error", "größe", "a b", "\U0001f600"])
REGEXES = st.sampled_from(["", "a", "^$", "(?i)ERR", "b$", "[a-z]+ß", ".", "^a b$"])


@settings(max_examples=500)
@given(
    rules=st.lists(
        st.fixed_dictionaries(
            {
                "enabled": st.booleans(),
                "filter_severity": st.lists(TEXTS, max_size=3),
                "filter_source": st.lists(TEXTS, max_size=3),
                "filter_message_regex": REGEXES,
            }
        ),
        min_size=1,
        max_size=5,
    ),
    texts=st.tuples(TEXTS, TEXTS, TEXTS),
    seed=st.integers(0, 2**40),
)
def test_engine_and_explanation_agree(
    rules: list[dict[str, Any]], texts: tuple[str, str, str], seed: int
) -> None:
    make = Maker(seed)
    with_patterns = [
        rule | ({"filter_pattern": make.pattern()} if n % 2 else {}) for n, rule in enumerate(rules)
    ]
    tried = Trial(as_rules(draft(f"r{n}", **rule) for n, rule in enumerate(with_patterns)))
    members = dict(zip(("severity", "source", "message"), texts, strict=True))

    verdicts = tried.verdicts(event(**members, **make.event()))  # raises where they don't

    assert [verdict.rule.name for verdict in verdicts] == [f"r{n}" for n in range(len(rules))]


def test_a_disagreement_would_be_said(monkeypatch: pytest.MonkeyPatch) -> None:
    class Contrary(Explainer):
        def refusal(self, event: Event) -> Refusal | None:
            return Refusal("filter_source", "for no reason")

    monkeypatch.setattr(trial_module, "Explainer", Contrary)

    with pytest.raises(DisagreementError, match="rule 'a' fires, but filter_source: for no reason"):
        Trial(as_rules([draft()])).verdicts(event())
