"""docs/scan-rules.md names every field of a scan rule, and what it shows is right."""

import re
from io import StringIO
from pathlib import Path

import pytest

from processor.cli.main import parse
from processor.cli.scan_rules.kind import SCAN
from processor.rules.files import read_files
from processor.scanning.rule import ScanDraft

TEXT = (Path(__file__).parents[2] / "docs" / "scan-rules.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```yaml\n(.+?)\n```", TEXT, re.DOTALL)


def rows() -> dict[str, str]:
    """The example of each field in the table."""
    table = TEXT.split("## Fields")[1].split("\n\n")[1]
    cells = [[cell.strip() for cell in line.strip("|").split(" | ")] for line in table.splitlines()[2:]]
    return {name: row[1].strip("`") for row in cells for name in re.findall(r"`([a-z_]+)`", row[0])}


def errors(text: str, directory: Path) -> list[str]:
    (directory / "rules.yaml").write_text(text)
    read = read_files(SCAN.files, [str(directory)], StringIO())
    assert read.documents
    return [str(error) for problem in read.problems for error in problem.errors]


def test_the_table_has_every_field_and_no_other() -> None:
    assert set(rows()) == {*ScanDraft.model_fields, "kind"}


@pytest.mark.parametrize("name", [name for name in rows() if name not in {"updated_by", "updated_at"}])
def test_the_example_of_a_field_is_valid(name: str, tmp_path: Path) -> None:
    fields = {"name": "a", "pattern": "'killed (?P<pid>\\d+)'", name: rows()[name]}
    if name == "overrides":
        fields["workload"] = "shop/api"
    assert errors("".join(f"{field}: {value}\n" for field, value in fields.items()), tmp_path) == []


@pytest.mark.parametrize("example", BLOCKS)
def test_the_rules_it_shows_are_valid(example: str, tmp_path: Path) -> None:
    assert errors(example, tmp_path) == []


def test_the_commands_it_shows_are_there() -> None:
    said = re.findall(r"^tocsin (scan-rules .+)$", TEXT, re.MULTILINE)
    assert len(said) >= 3
    for command in said:
        parse(command.replace("'", "").split(maxsplit=4) if " test " in command else command.split())
