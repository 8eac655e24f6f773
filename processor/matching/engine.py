"""Which rules an event fires.

Rule by rule, each filter in the order of its cost. A rule set is built from a snapshot of the rule table and
never changes; building the next one reuses what was compiled for rules that stayed as they were.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from processor.events import Event
from processor.jobs import RuleJobs
from processor.patterns import Pattern, compile_pattern
from processor.rules.schema import TriggerRule


class CompiledRule:
    """One enabled rule, ready to judge events and to make jobs."""

    __slots__ = ("jobs", "pattern", "rule", "severities", "sources")

    def __init__(self, rule: TriggerRule, epoch: int) -> None:
        self.rule = rule
        self.severities = frozenset(rule.filter_severity) or None
        self.sources = frozenset(rule.filter_source) or None
        self.pattern: Pattern | None = (
            compile_pattern(rule.filter_message_regex) if rule.filter_message_regex else None
        )
        limited = rule.delivery.rate_limit is not None
        self.jobs = RuleJobs(rule.id, rule.uid, rule.name, epoch, one_shard=limited)

    def fires(self, severity: str, source: str, message: bytes) -> bool:
        """All filters say yes; an empty one says yes to anything. `message`: in UTF-8."""
        return (
            (self.severities is None or severity in self.severities)
            and (self.sources is None or source in self.sources)
            and (self.pattern is None or self.pattern.search_utf8(message))
        )


class RuleSet:
    """The rules in force at one version of the rule table."""

    def __init__(
        self, rules: Mapping[int, TriggerRule], epoch: int = 0, previous: RuleSet | None = None
    ) -> None:
        """`rules`: the valid ones, by id. `epoch`: matcher.replay_epoch. `previous`: whose compiled rules to
        reuse.
        """
        kept = previous._compiled if previous is not None else {}
        self._compiled: dict[int, CompiledRule] = {}
        for rule_id, rule in rules.items():
            if rule.enabled:
                known = kept.get(rule_id)
                self._compiled[rule_id] = (
                    known if known is not None and known.rule is rule else CompiledRule(rule, epoch)
                )
        self._rules: Sequence[CompiledRule] = tuple(self._compiled.values())

    def match(self, event: Event) -> list[CompiledRule]:
        """The rules this event fires, each once, in no particular order."""
        severity, source = event.severity, event.source
        message = event.message.encode()  # once for all patterns
        return [rule for rule in self._rules if rule.fires(severity, source, message)]

    def __len__(self) -> int:
        return len(self._rules)
