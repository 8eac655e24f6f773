"""Writes verdicts.ndjson anew: generated patterns and events with what event-ruler says.

Needs Java and Maven. Run as `python -m tests.support.eventruler.write_verdicts`.
"""

import json
import subprocess
import tempfile
from collections import Counter
from pathlib import Path

from tests.support.event_patterns import Maker

_HERE = Path(__file__).parent
VERDICTS = _HERE / "verdicts.ndjson"
_SEED = 20_261_123
_CASES = 6_000
_KEPT = 500  # of each verdict
_SECONDS = 300


def main() -> None:
    """Ask, and keep as many cases that pass as cases that don't.

    Patterns that event-ruler and Tocsin read differently on purpose are not made (see processor.filters).
    """
    make = Maker(_SEED)
    cases = [{"pattern": make.pattern(), "event": make.event()} for _ in range(_CASES)]
    with tempfile.TemporaryDirectory() as directory:
        jars = f"{directory}/jars"
        fetch = ["mvn", "-q", "-f", str(_HERE / "pom.xml"), "dependency:copy-dependencies"]
        subprocess.run([*fetch, f"-DoutputDirectory={jars}"], check=True, timeout=_SECONDS)
        path = f"{jars}/*:{directory}"
        program = str(_HERE / "Verdicts.java")
        subprocess.run(["javac", "-cp", path, "-d", directory, program], check=True, timeout=_SECONDS)
        lines = "".join(json.dumps(case) + "\n" for case in cases)
        command = ["java", "-cp", path, "Verdicts"]
        done = subprocess.run(
            command, input=lines.encode(), capture_output=True, check=True, timeout=_SECONDS
        )
    verdicts = done.stdout.decode().split()
    with VERDICTS.open("w", encoding="utf-8") as file:
        kept = Counter[str]()
        for case, verdict in zip(cases, verdicts, strict=True):
            kept[verdict] += 1
            if kept[verdict] > _KEPT:
                continue
            file.write(json.dumps({"verdict": verdict, **case}, separators=(",", ":")) + "\n")


if __name__ == "__main__":
    main()
