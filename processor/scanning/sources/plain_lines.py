"""Lines of plain text: everything is stdout, and nothing says when it was written. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import repeat

from processor.scanning.lines import MAX_LINE, STDOUT
from processor.scanning.sources.cri_lines import Parsed

NOTHING = Parsed((), b"", (), 0)


class PlainLog:
    """Reads lines that end with a line feed, or with a carriage return before it."""

    def __init__(self) -> None:
        self._within = False

    def parse(self, data: bytes) -> Parsed:
        """The lines in `data`, which ends with an end of line unless its last line is too long to be had."""
        texts = data.removesuffix(b"\n").split(b"\n")
        if b"\r" in data:
            texts = [text.removesuffix(b"\r") for text in texts]
        cut = 0
        ended = data.endswith(b"\n")
        if self._within or not ended or len(data) > MAX_LINE:
            texts, cut = self._cut(texts, ended=ended)
        return Parsed(texts, bytes(repeat(STDOUT, len(texts))), [b""] * len(texts), cut)

    def finish(self) -> Parsed:
        """Nothing is kept here."""
        return NOTHING

    def save(self) -> dict[str, str | int]:
        """A part of a position: whether a too long line has only been begun."""
        return {"within": 1} if self._within else {}

    def restore(self, position: Mapping[str, str | int]) -> None:
        """Take back what save() gave."""
        self._within = bool(position.get("within"))

    def _cut(self, lines: list[bytes], *, ended: bool) -> tuple[list[bytes], int]:
        texts: list[bytes] = []
        cut = 0
        for number, line in enumerate(lines):
            pieces = [line[at : at + MAX_LINE] for at in range(0, len(line), MAX_LINE)] or [b""]
            last = number == len(lines) - 1
            if len(pieces) > 1 or (self._within and number == 0) or (last and not ended):
                cut += len(pieces)
            texts += pieces
        self._within = not ended
        return texts, cut
