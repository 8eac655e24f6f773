"""`tocsin rules …` and `scan-rules …` as tests run them: in this process, on topics of their own."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from processor.cli.main import main
from processor.rules.documents import write_yaml
from tests.support.logs import logging_as_before


class Tocsin:
    """Runs commands in this process, against the test's own rule topic."""

    def __init__(
        self,
        environ: Mapping[str, str],
        captured: pytest.CaptureFixture[str],
        directory: Path,
        command: str = "rules",
    ) -> None:
        self._command = command
        self.environ = dict(environ)
        self._captured = captured
        self._directory = directory
        self.out = ""
        self.err = ""

    def run(self, *arguments: str, expect: int = 0) -> str:
        """Standard output of `tocsin COMMAND …`; the exit code must be `expect`."""
        with logging_as_before():
            code = main([self._command, *arguments, "--log-format", "json"], self.environ)
        self.out, self.err = self._captured.readouterr()
        assert code == expect, self.err
        return self.out

    def rows(self, *arguments: str, expect: int = 0) -> Any:
        """Its JSON."""
        return json.loads(self.run(*arguments, "-o", "json", expect=expect))

    def apply(
        self, rules: list[dict[str, Any]], *arguments: str, expect: int = 0
    ) -> list[tuple[str, str, int | None]]:
        """(action, name, id) of applying a file with these documents."""
        rows = self.rows("apply", "-f", str(self.write(rules)), *arguments, expect=expect)
        assert all(set(row) == {"action", "name", "id", "reason"} for row in rows)
        return [(row["action"], row["name"], row["id"]) for row in rows]

    def write(self, rules: list[dict[str, Any]]) -> Path:
        """A file with these documents."""
        file = self._directory / "rules.yaml"
        with file.open("w") as stream:
            for rule in rules:
                write_yaml(rule, stream)
        return file
