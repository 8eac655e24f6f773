"""docs/rules.md names every field of a rule, and what it shows is right."""

import re
from io import StringIO
from pathlib import Path

import pytest

from processor.rules import RuleDraft
from processor.rules.files import read_rules
from processor.rules.schema import Delivery

DOCUMENT = Path(__file__).parents[2] / "docs" / "rules.md"
TEXT = DOCUMENT.read_text(encoding="utf-8")
EXAMPLES = re.findall(r"```yaml\n(.+?)\n```", TEXT, re.DOTALL)


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
