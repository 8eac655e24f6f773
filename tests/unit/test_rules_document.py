"""docs/rules.md names every field of a rule, and what it shows is right."""

import argparse
import json
import re
from io import StringIO
from pathlib import Path

import pytest

from processor.cli.main import whole_parser
from processor.events import EventDecoder, EventFields
from processor.filters import compile_filter
from processor.filters.conditions import OPERATORS
from processor.filters.syntax import MAX_CHARACTERS, MAX_COMBINATIONS, MAX_CONDITIONS, MAX_DEPTH, OR
from processor.matching.cases import check_names, read_cases, run_cases
from processor.matching.trial import Trial, as_rules
from processor.patterns import PatternError, compile_pattern
from processor.rules import RuleDraft
from processor.rules.files import read_rules
from processor.rules.schema import Delivery

DOCUMENT = Path(__file__).parents[2] / "docs" / "rules.md"
TEXT = DOCUMENT.read_text(encoding="utf-8")
BLOCKS = re.findall(r"```yaml\n(.+?)\n```", TEXT, re.DOTALL)
EXAMPLES = [block for block in BLOCKS if not block.startswith("# cases.yaml")]


def rows() -> dict[str, list[str]]:
    """The cells of the table of fields, by field."""
    table = TEXT.split("## Fields")[1].split("\n\n")[1]
    cells = [[cell.strip() for cell in line.strip("|").split(" | ")] for line in table.splitlines()[2:]]
    return {name: row for row in cells for name in re.findall(r"`([a-z0-9_.]+)`", row[0])}


def test_the_table_has_every_field_and_no_other() -> None:
    own = {name for name in RuleDraft.model_fields if name != "delivery"}
    assert set(rows()) == own | {f"delivery.{name}" for name in Delivery.model_fields} | {"kind"}


def test_what_is_required_is_said_to_be() -> None:
    required = {name for name, field in RuleDraft.model_fields.items() if field.is_required()}
    assert {name for name, row in rows().items() if row[1] == "required"} == required


@pytest.mark.parametrize("name", [name for name in rows() if name not in {"updated_by", "updated_at"}])
def test_the_example_of_a_field_is_valid(name: str, tmp_path: Path) -> None:
    example = rows()[name][3].removesuffix("|").strip().strip("`")
    group, _, inner = name.rpartition(".")
    fields = {"name": "a", "action_type": "webhook", "action_target": "https://h.example/x"}
    fields |= {group: f"{{{inner}: {example}}}"} if group else {name: example}
    text = "".join(f"{field}: {value}\n" for field, value in fields.items())
    (tmp_path / "rule.yaml").write_text(text)

    read = read_rules([str(tmp_path)], StringIO())

    assert [str(error) for problem in read.problems for error in problem.errors] == []


@pytest.mark.parametrize("example", EXAMPLES)
def test_the_rules_it_shows_are_valid(example: str, tmp_path: Path) -> None:
    (tmp_path / "rule.yaml").write_text(example)

    read = read_rules([str(tmp_path)], StringIO())

    assert [str(error) for problem in read.problems for error in problem.errors] == []
    assert len(read.wanted.drafts) == 1


def pattern_rows() -> list[list[str]]:
    """The pattern, what passes and what doesn't, of each row of the table of operators."""
    table = TEXT.split("| to ask for |")[1].split("\n\n")[0]
    return [re.findall(r"`(\{.+?\})`", line)[-3:] for line in table.splitlines()[2:]]


@pytest.mark.parametrize(("pattern", "passes", "fails"), pattern_rows())
def test_the_examples_of_event_patterns_are_right(pattern: str, passes: str, fails: str) -> None:
    compiled = compile_filter(json.loads(pattern))

    assert compiled.matches(json.loads(passes))
    assert not compiled.matches(json.loads(fails))


def test_every_operator_has_an_example() -> None:
    shown = " ".join(pattern for pattern, _, _ in pattern_rows())

    assert {name for name in OPERATORS | {OR} if f'"{name}"' in shown} == OPERATORS | {OR}


def test_the_limits_of_patterns_are_those_of_the_code() -> None:
    said = re.search(
        r"at most ([\d,]+) values, ([\d,]+) characters, (\d+) names in one path, and (\d+) ways", TEXT
    )

    assert said is not None
    limits = [int(number.replace(",", "")) for number in said.groups()]
    assert limits == [MAX_CONDITIONS, MAX_CHARACTERS, MAX_DEPTH, MAX_COMBINATIONS]


def test_the_cases_it_shows_pass_on_the_rules_it_shows(tmp_path: Path) -> None:
    for name in ("deploy-failures", "large-orders-that-failed"):
        [rule] = [example for example in EXAMPLES if f"name: {name}\n" in example]
        (tmp_path / f"{name}.yaml").write_text(rule)
    drafts = read_rules([str(tmp_path)], StringIO()).wanted.drafts
    trial = Trial(as_rules(sourced.draft for sourced in drafts))
    [text] = set(BLOCKS) - set(EXAMPLES)
    cases = read_cases("cases.yaml", text)
    check_names(cases, trial)

    results = list(run_cases(cases, trial, EventDecoder(EventFields())))

    assert [result.passed for result in results] == [True] * 3


def message_rows() -> list[list[str]]:
    """The pattern, a message it is found in and one it isn't, of each row of the table of patterns."""
    table = TEXT.split("| looked for | pattern | found in |")[1].split("\n\n")[0]
    rows = [re.findall(r"`(.+?)`(?= \|)", line) for line in table.splitlines()[2:]]
    return [[cell.replace(r"\|", "|") for cell in row] for row in rows]


@pytest.mark.parametrize(("pattern", "found_in", "not_in"), message_rows())
def test_the_examples_of_message_patterns_are_right(pattern: str, found_in: str, not_in: str) -> None:
    compiled = compile_pattern(pattern)

    assert compiled.search(found_in.replace(r"\n", "\n"))
    assert not compiled.search(not_in.replace(r"\n", "\n"))


@pytest.mark.parametrize("pattern", [r"\C", r"\p{C}", r"\p{Cn}", "(?P<é>a)", r"\x{D800}", r"(?=a)", r"(a)\1"])
def test_what_is_said_to_be_refused_is(pattern: str) -> None:
    with pytest.raises(PatternError):
        compile_pattern(pattern)


def test_every_command_of_rules_is_named() -> None:
    actions = _parser_of_rules()

    assert [name for name in actions if not re.search(rf"rules {name}\b|`{name}`", TEXT)] == []
    assert {"edit", "mute", "export"} <= set(actions)


def _parser_of_rules() -> list[str]:
    parser = whole_parser()
    groups = [action for action in parser._actions if isinstance(action, argparse._SubParsersAction)]
    inner = groups[0].choices["rules"]._actions
    [commands] = [action for action in inner if isinstance(action, argparse._SubParsersAction)]
    return list(commands.choices)
