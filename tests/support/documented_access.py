"""The rights that docs/operations.md gives to each component, read from its table."""

import re
from pathlib import Path

from processor.kafka.access import Need

DOCUMENT = Path(__file__).parents[2] / "docs" / "operations.md"
_ROW = re.compile(r"\| `?(?:tocsin )?([\w-]+)`? \| ([\w, ]+) \| ([a-z ]+) `([^`*]+)(\*?)` \| [^|]+ \|")


def documented() -> dict[str, list[Need]]:
    """By component, in the table's order."""
    section = DOCUMENT.read_text().split("## Rights on Kafka")[1].split("\n## ")[0]
    found: dict[str, list[Need]] = {}
    for who, operations, kind, name, star in _ROW.findall(section):
        need = Need(kind.replace(" ", "-"), name, tuple(operations.split(", ")), bool(star))
        found.setdefault(who, []).append(need)
    return found
