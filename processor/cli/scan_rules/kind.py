"""Scan rules, as the commands know them."""

from collections.abc import Hashable, Iterable, Mapping, Sequence
from typing import Any, Final

from processor.cli.rules.kind import AnyPlan, Kind
from processor.durations import format_duration
from processor.rules.difference import unified
from processor.rules.files import FileKind
from processor.rules.planning import Step
from processor.scanning.codec import to_fields
from processor.scanning.plan import Wanted, make_plan
from processor.scanning.rule import KIND, TABLE_KIND, ScanDraft, ScanRule
from processor.scanning.store import ScanRuleStore
from processor.scanning.table import ScanSnapshot
from processor.settings import Settings

_COLUMNS: Final[Sequence[str]] = (
    *("key", "name", "workload", "status", "enabled", "severity", "set", "pattern", "reason"),
)
_WIDE: Final[Sequence[str]] = (
    *_COLUMNS[:-1],
    *("overrides", "streams", "cooldown", "message_template", "updated_by", "updated_at", "reason"),
)
_BY_THE_WRITER = ("updated_by", "updated_at")


def _identify(name: str, fields: Mapping[str, object]) -> Hashable:
    return (fields.get("workload") or None, name) if isinstance(fields.get("workload"), str) else (None, name)


def _plan(wanted: Wanted, snapshot: ScanSnapshot, settings: Settings, **options: Any) -> AnyPlan:
    del settings  # no secrets, no keys
    return make_plan(wanted, snapshot, **options)


def exported(rule: ScanRule, snapshot: ScanSnapshot | None, _: bool = False) -> dict[str, Any]:
    """The rule for a file: without who wrote it and when, and with the name of the global rule that it
    overrides, since another table may give that one another id.
    """
    fields = {name: value for name, value in to_fields(rule).items() if name not in _BY_THE_WRITER}
    if snapshot is not None and isinstance(rule.overrides, int):
        other = snapshot.rules.get(rule.overrides)
        if other is not None and len(snapshot.by_identity[other.identity]) == 1:
            fields["overrides"] = other.name
    return {"kind": KIND, **fields}


def _redraft(rule: ScanRule, **changes: Any) -> ScanDraft:
    return ScanDraft.model_validate({**to_fields(rule), **changes})


def _difference(step: Step[ScanRule]) -> Iterable[str]:
    if step.before is step.after:
        return ()
    after = None if step.after is None else exported(step.after, None)
    if step.before is None and step.id is None and after is not None:
        del after["id"]  # it has none yet
    before = None if step.before is None else exported(step.before, None)
    what = f"scan rule {step.name}" if step.id is None else f"scan rule {step.id} {step.name}"
    return unified(before, after, what)


def _row(rule: ScanRule) -> Mapping[str, object]:
    return {
        "workload": rule.workload or "(all)",
        "severity": rule.severity,
        "pattern": rule.pattern,
        "overrides": rule.overrides,
        "streams": rule.streams,
        "cooldown": format_duration(rule.cooldown),
        "message_template": rule.message_template,
    }


def _no_warning(_read: object, _settings: Settings) -> None:
    """Whatever is allowed works."""


SCAN: Final = Kind(
    command="scan-rules",
    noun="scan rule",
    files=FileKind(KIND, TABLE_KIND, ScanDraft, _identify),
    open_store=ScanRuleStore,
    make_plan=_plan,
    shown=to_fields,
    exported=exported,
    left_out=lambda _rule, _with_sealed: 0,
    redraft=_redraft,
    columns=_COLUMNS,
    wide=_WIDE,
    row=_row,
    warn=_no_warning,
    remark=lambda _: None,
    difference=_difference,
    words={
        "delete": "delete a scan rule; with a global one, all that override it",
        "enable": "let scan rules match again",
        "disable": "let scan rules match nothing; one that overrides switches the global rule off",
        "get": "show one scan rule",
        "export": "print all scan rules as YAML that `scan-rules apply` takes back, ids included",
    },
    has_workloads=True,
)
