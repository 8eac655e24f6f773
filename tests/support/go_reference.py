"""Go itself as the reference: builds one of the small programs beside this file and asks it questions."""

import json
import shutil
import subprocess
from collections.abc import Iterable
from pathlib import Path
from typing import Any

_HERE = Path(__file__).parent
_BUILD_SECONDS = 120
_ANSWER_SECONDS = 120


def go_is_here() -> bool:
    return shutil.which("go") is not None


def build(name: str, into: Path) -> Path:
    """The program tests/support/<name>, compiled into the directory `into`."""
    program = into / name
    command = ["go", "build", "-o", str(program), str(_HERE / name / "main.go")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=_BUILD_SECONDS, check=False)
    if done.returncode != 0:
        raise RuntimeError(f"go build {name}: {done.stderr}")
    return program


def ask(program: Path, questions: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """One answer for each question, in their order; both are JSON lines."""
    lines = "".join(json.dumps(question) + "\n" for question in questions)
    done = subprocess.run(
        [str(program)], input=lines.encode(), capture_output=True, timeout=_ANSWER_SECONDS, check=True
    )
    return [json.loads(line) for line in done.stdout.splitlines()]
