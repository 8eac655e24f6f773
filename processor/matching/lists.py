"""Rules by what their lists of severities and sources accept."""

from __future__ import annotations

from collections.abc import Sequence

from processor.matching.rule import CompiledRule

_By = dict[str | None, dict[int, CompiledRule]]


class ListIndex:
    """Finds the rules that accept a severity and a source, looking only at those that name the source and
    those that take any.
    """

    def __init__(self) -> None:
        self._by_source: _By = {}
        self._by_severity: _By = {}
        self.count = 0
        """How many rules there are."""

    def add(self, rule: CompiledRule) -> None:
        """Take a rule in; it must not be there."""
        self.count += 1
        by, names = self._place(rule)
        for name in names:
            by.setdefault(name, {})[rule.id] = rule

    def remove(self, rule: CompiledRule) -> None:
        """Take a rule out that is there."""
        self.count -= 1
        by, names = self._place(rule)
        for name in names:
            del by[name][rule.id]
            if not by[name]:
                del by[name]

    def accepting(self, severity: str, source: str) -> Sequence[CompiledRule]:
        """The rules whose lists accept both."""
        by_source, by_severity = self._by_source, self._by_severity
        return [
            *(rule for rule in by_source.get(source, {}).values() if rule.accepts(severity, source)),
            *by_severity.get(severity, {}).values(),
            *by_severity.get(None, {}).values(),
        ]

    def _place(self, rule: CompiledRule) -> tuple[_By, Sequence[str | None]]:
        """Where the rule stands: under each source if it names any, else under its severities or None."""
        if rule.sources is not None:
            return self._by_source, [*rule.sources]
        return self._by_severity, [None] if rule.severities is None else [*rule.severities]
