"""What `rules apply --dry-run` shows of a rule."""

import io
from collections.abc import Mapping
from typing import Any

import pytest

from processor.cli.colours import coloured_diff, wants_colours
from processor.rules import RuleTable
from processor.rules.changes import build
from processor.rules.difference import difference
from processor.rules.plan import SourcedDraft, Wanted, make_plan
from tests.support.rules import draft, fields, writer

BY = writer()


def table_with(rule: Mapping[str, Any]) -> RuleTable:
    table = RuleTable()
    plan = make_plan(wanted(rule), table.snapshot(), BY.keys)
    for offset, (key, value) in enumerate(build(plan.changes, table.snapshot(), BY).records):
        table.apply(key, value, None, offset)
    return table


def wanted(*rules: Mapping[str, Any]) -> Wanted:
    return Wanted(tuple(SourcedDraft("f.yaml", draft(**rule)) for rule in rules))


def changed_lines(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[str]:
    """The lines that begin with + or -, without the two of the head."""
    plan = make_plan(wanted(after), table_with(before).snapshot(), BY.keys)
    return [line for line in difference(plan.steps[0]) if line[0] in "+-" and line[:3] not in ("+++", "---")]


def test_only_what_changes_is_in_it() -> None:
    before = fields("a", labels={"team": "shop"}, delivery={"timeout": "10s"})

    assert changed_lines(before, before) == []
    assert changed_lines(before, {**before, "delivery": {"timeout": "20s"}}) == [
        "-  timeout: 10s",
        "+  timeout: 20s",
    ]


@pytest.mark.parametrize(
    ("field", "one", "other"),
    [
        ("action_target", {"secret": "https://h.example/ONE"}, {"secret": "https://h.example/TWO"}),
        ("action_secret", "ONE", "TWO"),
        ("action_secret", ["KEPT", "ONE"], ["KEPT", "TWO"]),
        ("delivery", {"headers": {"X-Key": {"secret": "ONE"}}}, {"headers": {"X-Key": {"secret": "TWO"}}}),
    ],
)
def test_a_secret_that_changes_is_said_to_and_not_shown(field: str, one: Any, other: Any) -> None:
    before, after = fields("a", **{field: one}), fields("a", **{field: other})

    lines = changed_lines(before, after)

    assert [line.lstrip("+- ") for line in lines] == ["secret: '***'", "secret: '*** (sealed anew)'"]
    assert changed_lines(before, before) == []
    text = "\n".join(difference(make_plan(wanted(after), RuleTable().snapshot(), BY.keys).steps[0]))
    assert "***" in text
    assert not {word for word in ("ONE", "TWO", "KEPT", "sealed:") if word in text}


def test_a_new_rule_is_shown_without_an_id_that_it_has_not_got_yet() -> None:
    new, asked = make_plan(wanted(fields("a"), fields("b", id=7)), RuleTable().snapshot(), BY.keys).steps

    assert list(difference(new))[:2] == ["--- /dev/null", "+++ rule a"]
    assert not [line for line in difference(new) if line.startswith(("+id:", "+uid:"))]
    assert "+id: 7" in list(difference(asked))


def test_a_part_of_the_plan_is_what_is_valid_and_deletes_nothing() -> None:
    snapshot = table_with(fields("standing", set="s")).snapshot()
    said = wanted(fields("good"), fields("bad", action_secret="***"))

    whole = make_plan(said, snapshot, BY.keys, set_name="s", prune=True)
    part = make_plan(said, snapshot, BY.keys, set_name="s", prune=True, partial=True)

    assert (whole.changes, len(whole.invalid)) == ((), 1)
    assert [step.action for step in part.steps] == ["created", "invalid"]
    assert len(part.changes) == 1


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(
    ("stream", "environ", "wanted_there"),
    [
        (Terminal(), {"TERM": "xterm"}, True),
        (Terminal(), {"TERM": "dumb"}, False),
        (Terminal(), {"TERM": "xterm", "NO_COLOR": "1"}, False),
        (io.StringIO(), {"TERM": "xterm"}, False),
    ],
)
def test_colours_are_for_terminals_that_want_them(
    stream: io.StringIO, environ: Mapping[str, str], wanted_there: bool
) -> None:
    assert wants_colours(stream, environ) is wanted_there


def test_a_diff_is_green_and_red() -> None:
    assert list(coloured_diff(["+new", "-old", " same"])) == [
        "\x1b[32m+new\x1b[0m",
        "\x1b[31m-old\x1b[0m",
        " same",
    ]
