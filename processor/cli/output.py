"""Results on standard output: a table for people, `-o json` for programs.

Text that comes from Kafka may hold anything, so a table shows control characters escaped: no rule's name can
move a terminal's cursor.
"""

import argparse
import json
import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import TextIO


def add_output_flag(parser: argparse.ArgumentParser) -> None:
    """`-o table|json`, as `args.output`."""
    parser.add_argument(
        "-o", "--output", choices=("table", "json"), default="table", help="table (the default) or json"
    )


def print_rows(
    rows: Iterable[Mapping[str, object]],
    columns: Sequence[str],
    output: str,
    stream: TextIO | None = None,
) -> None:
    """Print `rows` as a table of `columns`, or with output "json" as one array of the whole rows.

    In the table a missing value or None is empty, True and False are yes and no, and the last column is never
    padded.
    """
    if output == "json":
        print_json(list(rows), stream)
        return
    lines = [[column.upper().replace("_", " ") for column in columns]]
    lines += [[_cell(row.get(column)) for column in columns] for row in rows]
    widths = [max(len(line[i]) for line in lines) for i in range(len(columns))]
    for line in lines:
        padded = "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True))
        print(padded.rstrip(), file=stream or sys.stdout)


def print_stream(
    rows: Iterable[Mapping[str, object]],
    widths: Mapping[str, int],
    output: str,
    stream: TextIO | None = None,
) -> None:
    """Print `rows` as they come, each at once: lines of columns at least so wide, or with "json" JSON lines.

    The JSON lines hold the whole rows. Ends with `rows`.
    """
    target = stream or sys.stdout
    if output != "json":
        print(_fixed({column: column.upper().replace("_", " ") for column in widths}, widths), file=target)
    for row in rows:
        print(json.dumps(row) if output == "json" else _fixed(row, widths), file=target, flush=True)


def print_fields(fields: Mapping[str, object], stream: TextIO | None = None) -> None:
    """Print one thing's fields for people, a line each: name and value."""
    width = max((len(name) for name in fields), default=0)
    for name, value in fields.items():
        print(f"{name.ljust(width)}  {_cell(value)}".rstrip(), file=stream or sys.stdout)


def print_json(value: object, stream: TextIO | None = None) -> None:
    """Print `value` as JSON in ASCII, indented; raises TypeError for what JSON has no form for."""
    print(json.dumps(value, indent=2), file=stream or sys.stdout)


def _fixed(row: Mapping[str, object], widths: Mapping[str, int]) -> str:
    cells = (_cell(row.get(column)).ljust(width) for column, width in widths.items())
    return "  ".join(cells).rstrip()


def printable(text: str) -> str:
    """The text with its control characters escaped."""
    return text if text.isprintable() else "".join(c if c.isprintable() else repr(c)[1:-1] for c in text)


def _cell(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    return printable(str(value))
