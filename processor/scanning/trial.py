"""One rule tried on one line, with the code that judges real ones. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, NamedTuple

from processor.scanning.event import Line, ScanEvent, captured, make_event, readable
from processor.scanning.lines import MAX_LINE, STDERR, STDOUT, Tail
from processor.scanning.rule import ScanRule
from processor.scanning.ruling import Ruling


class Trial(NamedTuple):
    """What the rule makes of the line.

    matched: whether it would become an event if no cooldown and no bucket held it back. reason: why not, in
    words; "" if matched. captures: what the named groups matched. event: the one it would make, or None.
    """

    matched: bool
    reason: str
    captures: Mapping[str, str]
    event: ScanEvent | None


def try_line(
    rule: ScanRule,
    line: bytes,
    *,
    now: str,
    stream: Literal["stdout", "stderr"] = "stdout",
    tail: Tail | None = None,
    node: str = "",
) -> Trial:
    """Try a valid rule on a line without its end and time stamp, of any encoding; of a long one, its first
    MAX_LINE bytes.

    now: RFC 3339, the line's time. tail: whose line it is; without it, one of the rule's own workload.
    Whether the rule is enabled, or holds for that workload, is effective()'s to say.
    """
    ruling = Ruling(rule)
    text = readable(line[:MAX_LINE])
    number = STDERR if stream == "stderr" else STDOUT
    if not ruling.pattern.search_utf8(text):
        return Trial(False, "the pattern is not found in the line", {}, None)
    groups = captured(ruling, text)
    if number not in ruling.streams:
        return Trial(False, f"the rule looks at {rule.streams} alone", groups, None)
    whose = tail or Tail("trial", rule.workload or "example")
    return Trial(True, "", groups, make_event(ruling, whose, Line(text, number, now), 0, node))
