"""One rule, ready to judge events and to make jobs."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import Any

from processor.filters import EventFilter
from processor.jobs import RuleJobs
from processor.patterns import Pattern, compile_pattern
from processor.rules.schema import TriggerRule


class CompiledRule:
    """One version of an enabled rule. What is costly is made when it is first needed."""

    def __init__(self, rule: TriggerRule, epoch: int) -> None:
        """`epoch`: matcher.replay_epoch."""
        self.rule = rule
        self.id = rule.id
        self.regex = rule.filter_message_regex
        """Go's syntax; empty is any message."""
        self.severities = frozenset(rule.filter_severity) or None
        self.sources = frozenset(rule.filter_source) or None
        self.filtered = rule.filter_pattern is not None
        self._epoch = epoch

    @cached_property
    def jobs(self) -> RuleJobs:
        """What is the same for all its jobs."""
        rule = self.rule
        limited = rule.delivery.rate_limit is not None
        return RuleJobs(rule.id, rule.uid, rule.name, self._epoch, one_shard=limited)

    @cached_property
    def event_filter(self) -> EventFilter | None:
        """Its event pattern; None is any event."""
        return self.rule.event_filter()

    @cached_property
    def pattern(self) -> Pattern:
        """Its regex."""
        return compile_pattern(self.regex)

    def accepts(self, severity: str, source: str) -> bool:
        """What its lists say."""
        return (self.severities is None or severity in self.severities) and (
            self.sources is None or source in self.sources
        )

    def passes(self, document: Mapping[str, Any]) -> bool:
        """What its event pattern says of an event decoded from JSON."""
        return self.event_filter is None or self.event_filter.matches(document)
