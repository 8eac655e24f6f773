"""`tocsin …` commands run in this process, with what they print."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from processor.cli.main import main
from tests.support.logs import logging_as_before


class Commands:
    """Runs `tocsin <first> …` with these settings; `out` and `err` are what the last one printed."""

    def __init__(
        self,
        first: str,
        settings: Mapping[str, Any],
        captured: pytest.CaptureFixture[str],
        directory: Path,
    ) -> None:
        self._first = first
        self._captured = captured
        file = directory / "tocsin.yaml"
        file.write_text(yaml.safe_dump(dict(settings)))
        self._environ = {"TOCSIN_CONFIG": str(file)}
        self.out = ""
        self.err = ""

    def run(self, *arguments: str, expect: int = 0) -> str:
        """What it prints on standard output; the exit code must be `expect`."""
        with logging_as_before():
            code = main([self._first, *arguments, "--log-format", "json", "--timeout", "30s"], self._environ)
        self.out, self.err = self._captured.readouterr()
        assert code == expect, self.err
        return self.out

    def json(self, *arguments: str, expect: int = 0) -> Any:
        """Its JSON."""
        return json.loads(self.run(*arguments, "-o", "json", expect=expect))

    def warnings(self) -> list[dict[str, Any]]:
        """The last command's log lines from warning on."""
        lines = [json.loads(line) for line in self.err.splitlines() if line.startswith("{")]
        return [line for line in lines if line["level"] in {"warning", "error"}]
