"""The commands shown in docs/operations.md are ones that there are."""

import re
import shlex
from pathlib import Path

import pytest

from processor.cli.main import parse

DOCUMENT = Path(__file__).parents[2] / "docs" / "operations.md"
COMMANDS = [
    line
    for block in re.findall(r"```sh\n(.+?)```", DOCUMENT.read_text(), re.DOTALL)
    for line in block.splitlines()
    if line.startswith("tocsin ")
]


@pytest.mark.parametrize("line", COMMANDS)
def test_command_is_understood(line: str) -> None:
    words = shlex.split(line, comments=True)
    assert parse(words[1:]).command == words[1]


def test_there_are_some() -> None:
    assert len(COMMANDS) > 5
