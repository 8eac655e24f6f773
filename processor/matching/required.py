"""Rules without a regex by what their event patterns require, so that few patterns are tried on an event."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

from processor.filters import Path
from processor.matching.rule import CompiledRule

_Lists = tuple[frozenset[str] | None, frozenset[str] | None]


class FilterIndex:
    """Finds the rules whose event pattern may let an event pass.

    A rule stands under one path and the texts of which the event must have one there; those that require
    nothing of the kind are candidates for every event.
    """

    def __init__(self) -> None:
        self._required: dict[tuple[str, ...], tuple[Path, dict[str, dict[int, CompiledRule]]]] = {}
        self._others: dict[int, CompiledRule] = {}
        self._lists: Counter[_Lists] = Counter()
        self.count = 0
        """How many rules there are."""

    def add(self, rule: CompiledRule) -> None:
        """Take a rule in; it must not be there."""
        self.count += 1
        self._lists[rule.severities, rule.sources] += 1
        where = _best_required(rule)
        if where is None:
            self._others[rule.id] = rule
            return
        path, texts = where
        _, by_text = self._required.setdefault(path.names, (path, {}))
        for text in texts:
            by_text.setdefault(text, {})[rule.id] = rule

    def remove(self, rule: CompiledRule) -> None:
        """Take a rule out that is there."""
        self.count -= 1
        lists = rule.severities, rule.sources
        self._lists[lists] -= 1
        if not self._lists[lists]:
            del self._lists[lists]
        where = _best_required(rule)
        if where is None:
            del self._others[rule.id]
            return
        path, texts = where
        _, by_text = self._required[path.names]
        for text in texts:
            del by_text[text][rule.id]
            if not by_text[text]:
                del by_text[text]
        if not by_text:
            del self._required[path.names]

    def any_accepts(self, severity: str, source: str) -> bool:
        """Whether the lists of any rule accept both: else the event need not be decoded."""
        return any(
            (severities is None or severity in severities) and (sources is None or source in sources)
            for severities, sources in self._lists
        )

    def candidates(self, document: Mapping[str, Any]) -> Iterable[CompiledRule]:
        """Rules whose patterns may let this event pass, whatever their lists say; each once."""
        found = dict(self._others)
        for path, by_text in self._required.values():
            for leaf in path.leaves(document):
                if isinstance(leaf, str):
                    found.update(by_text.get(leaf, {}))
        return found.values()


def _best_required(rule: CompiledRule) -> tuple[Path, frozenset[str]] | None:
    """The path with the fewest texts; the first of several."""
    required = rule.event_filter.required if rule.event_filter is not None else ()
    return min(required, key=lambda one: len(one[1]), default=None)
