"""Which scan rules hold for a workload. Pure."""

from __future__ import annotations

from collections.abc import Iterable

from processor.scanning.rule import ScanRule


def effective(rules: Iterable[ScanRule], workload: str) -> tuple[ScanRule, ...]:
    """The rules that a workload's lines are judged by, in the order of their ids.

    The enabled global ones, apart from those that a rule of the workload overrides, and the workload's own
    enabled ones. A disabled rule that overrides switches the global one off; whether that one is enabled says
    nothing about the rule that takes its place.
    """
    mine: list[ScanRule] = []
    everybodys: list[ScanRule] = []
    for rule in rules:
        if rule.workload is None:
            everybodys.append(rule)
        elif rule.workload == workload:
            mine.append(rule)
    overridden = {rule.overrides for rule in mine if rule.overrides is not None}
    left = [rule for rule in everybodys if rule.id not in overridden and rule.name not in overridden]
    return tuple(sorted((rule for rule in (*left, *mine) if rule.enabled), key=lambda rule: rule.id))
