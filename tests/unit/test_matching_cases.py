"""Cases: what a file of them may say, and what comes of each."""

from __future__ import annotations

import json

import pytest

from processor.events import EventDecoder, EventFields
from processor.matching.cases import CaseFileError, Result, check_names, read_cases, run_cases, to_json
from processor.matching.trial import Trial, as_rules
from tests.support.rules import draft

TRIAL = Trial(
    as_rules(
        [
            draft("errors", filter_severity="error"),
            draft("from-shop", filter_source="shop"),
            draft("off", enabled=False),
        ]
    )
)
DECODER = EventDecoder(EventFields())


def results(text: str) -> list[Result]:
    cases = read_cases("c.yaml", text)
    check_names(cases, TRIAL)
    return list(run_cases(cases, TRIAL, DECODER))


def test_cases_pass_when_exactly_the_expected_rules_fire() -> None:
    text = """
cases:
  - name: both
    event: {severity: error, source: shop}
    fires: [from-shop, errors]
  - event: {severity: info}
    fires: []
  - event: '{"severity": "error"}'
    fires: [errors, errors]
---
cases:
  - {event: {}, fires: []}
"""
    found = results(text)

    assert [(result.passed, result.place) for result in found] == [
        (True, "c.yaml, document 1, cases[0]"),
        (True, "c.yaml, document 1, cases[1]"),
        (True, "c.yaml, document 1, cases[2]"),
        (True, "c.yaml, document 2, cases[0]"),
    ]
    assert found[0].case.name == "both"


def test_a_failed_case_says_what_is_missing_and_why_and_what_fired_besides() -> None:
    [failed] = results("cases: [{name: n, event: {severity: info, source: shop}, fires: [errors, off]}]")

    assert not failed.passed
    assert to_json(failed) == {
        "place": "c.yaml, cases[0]",
        "name": "n",
        "passed": False,
        "missing": [
            {
                "name": "errors",
                "filter": "filter_severity",
                "reason": 'the severity is "info", accepted: "error"',
            },
            {"name": "off", "filter": "enabled", "reason": "the rule is disabled"},
        ],
        "unexpected": ["from-shop"],
        "unreadable": None,
    }


def test_an_unreadable_event_fails_its_case() -> None:
    [failed] = results("cases: [{event: '[1]', fires: []}]")

    assert not failed.passed
    assert to_json(failed)["unreadable"] == "the value is JSON, but not an object"


def test_a_file_may_be_json() -> None:
    text = json.dumps({"cases": [{"event": {"severity": "error"}, "fires": ["errors"]}]})

    assert [place for place, _ in read_cases("c.json", text)] == ["c.json, cases[0]"]


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("", "c.yaml: is empty; expected `cases:` with a list"),
        ("[1]", "c.yaml: expected `cases:` with a list, each of an event and the rules that fire"),
        ("cases: 5", "c.yaml: cases: expected a list of 1 to 10000 cases, each of an event and the rules"),
        ("cases: []", "c.yaml: cases: expected a list of 1"),
        ("cases: {}", "c.yaml: cases: expected a list of 1"),
        ("cases: [5]", "c.yaml: cases[0]: expected a map"),
        ("cases: [{fires: []}]", "c.yaml: cases[0].event: is missing"),
        ("cases: [{event: {}}]", "c.yaml: cases[0].fires: is missing"),
        ("cases: [{event: 5, fires: []}]", "c.yaml: cases[0].event: expected an object, or its JSON as text"),
        ("cases: [{event: {a: .inf}, fires: []}]", "c.yaml: cases[0].event: can't be written as JSON"),
        (
            "cases: [{event: {}, fires: x}]",
            "c.yaml: cases[0].fires: expected a list of rules' names, [] for none",
        ),
        ("cases: [{event: {}, fires: [1]}]", "c.yaml: cases[0].fires[0]: expected text, not a number"),
        ("cases: [{event: {}, fires: [], expect: 1}]", "c.yaml: cases[0].expect: unknown field"),
        ("rules: [a]\ncases: [{event: {}, fires: []}]", "c.yaml: rules: unknown field"),
        ("cases: [", "c.yaml: line 2, column 1: "),
        ("cases: [{event: {}, fires: [x]}]", "c.yaml, cases[0].fires[0]: there is no rule 'x' among those"),
    ],
)
def test_what_is_wrong_with_a_file_is_named_with_its_place(text: str, error: str) -> None:
    with pytest.raises(CaseFileError) as failure:
        results(text)

    assert str(failure.value).startswith(error)
    assert all(line.isprintable() for line in failure.value.errors)


def test_all_that_is_wrong_is_named_at_once() -> None:
    with pytest.raises(CaseFileError) as failure:
        read_cases("c.yaml", "cases: [{event: 1, fires: []}, {event: {}}]\n---\ncases: 5")

    assert len(failure.value.errors) == 3
    assert str(failure.value).endswith("(and 2 more)")
