"""Trigger rules, as the commands know them."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from processor.cli.rules.checking import warn_of_targets
from processor.cli.rules.kind import AnyPlan, Kind
from processor.rules import KeyRing, RuleSnapshot, RuleStore, TriggerRule
from processor.rules.difference import difference
from processor.rules.fields import format_time
from processor.rules.files import TRIGGER_RULES
from processor.rules.plan import Wanted, make_plan
from processor.rules.redraft import redraft
from processor.rules.view import exported, shown
from processor.settings import Settings

_COLUMNS: Final[Sequence[str]] = ("key", "name", "status", "enabled", "set", "target", "reason")
_WIDE: Final[Sequence[str]] = (
    *_COLUMNS[:-1],
    *("severity", "source", "paused", "muted_until", "updated_by", "updated_at", "reason"),
)


def _plan(wanted: Wanted, snapshot: RuleSnapshot, settings: Settings, **options: Any) -> AnyPlan:
    return make_plan(wanted, snapshot, KeyRing.of(settings), **options)


def _exported(rule: TriggerRule, _: object, with_sealed: bool) -> dict[str, Any]:
    return exported(rule, with_sealed=with_sealed)


def _left_out(rule: TriggerRule, with_sealed: bool) -> int:
    return sum(1 for _, secret in rule.secrets() if secret.is_plain or not with_sealed)


def _remark(rule: TriggerRule) -> str | None:
    unsealed = rule.unsealed()
    return f"unsealed: {', '.join(unsealed)}" if unsealed else None


def _row(rule: TriggerRule) -> Mapping[str, object]:
    return {
        "target": rule.origin or "(a reference)",
        "severity": ",".join(rule.filter_severity),
        "source": ",".join(rule.filter_source),
        "paused": rule.paused,
        "muted_until": format_time(rule.muted_until) if rule.muted_until else None,
    }


TRIGGER: Final = Kind(
    command="rules",
    noun="rule",
    files=TRIGGER_RULES,
    open_store=RuleStore,
    make_plan=_plan,
    shown=shown,
    exported=_exported,
    left_out=_left_out,
    redraft=redraft,
    columns=_COLUMNS,
    wide=_WIDE,
    row=_row,
    warn=warn_of_targets,
    remark=_remark,
    difference=difference,
    words={
        "delete": "delete a rule; its waiting jobs are cancelled",
        "enable": "let rules fire again",
        "disable": "let rules fire nothing; waiting jobs are cancelled",
        "get": "show one rule, secrets as ***",
        "export": "print all rules as YAML that `rules apply` takes back, ids included; secrets as ***",
    },
    has_sealed=True,
)
