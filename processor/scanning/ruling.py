"""A scan rule made ready to be asked. Pure."""

from __future__ import annotations

from datetime import timedelta
from typing import Final

from processor.patterns import Pattern, compile_pattern
from processor.patterns.captures import group_names
from processor.scanning.lines import STDERR, STDOUT
from processor.scanning.rule import ScanRule
from processor.scanning.template import Template, read_template

_STREAMS: Final = {"stdout": (STDOUT,), "stderr": (STDERR,), "both": (STDOUT, STDERR)}


class Ruling:
    """One rule: its pattern, its template, its streams. Immutable."""

    __slots__ = ("cooldown_ms", "groups", "pattern", "rule", "streams", "template")

    def __init__(self, rule: ScanRule) -> None:
        """The rule is a valid one."""
        self.rule = rule
        self.pattern: Pattern = compile_pattern(rule.pattern)
        self.groups = group_names(self.pattern)
        self.template: Template | None = (
            read_template(rule.message_template, self.groups) if rule.message_template else None
        )
        self.streams: tuple[int, ...] = _STREAMS[rule.streams]
        self.cooldown_ms = rule.cooldown // timedelta(milliseconds=1)
