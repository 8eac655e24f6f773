"""What the commands need to know of a kind of rules: `tocsin rules` has one, `tocsin scan-rules` another.

A command's arguments hold its kind as `args.kind`. Types of rules are open here: each kind's functions go
with its own rules, and no command mixes two kinds.
"""

import argparse
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Protocol

from processor.rules.building import Writer
from processor.rules.fenced import FencedStore, Report
from processor.rules.files import FileKind, Files
from processor.rules.planning import Plan, Step, Wanted
from processor.settings import Settings

Rule = Any
Snapshot = Any
AnyStore = FencedStore[Any, Any, Any]
AnyStep = Step[Any]
AnyPlan = Plan[Any, Any]
AnyFiles = Files[Any]


class OpenStore(Protocol):
    """Makes a store; it connects with its first call."""

    def __call__(
        self, settings: Settings, writer: Writer, *, timeout: timedelta, report: Report
    ) -> AnyStore: ...


class MakePlan(Protocol):
    """Compares what files say with the table."""

    def __call__(
        self,
        wanted: Wanted[Any],
        snapshot: Snapshot,
        settings: Settings,
        *,
        set_name: str | None,
        prune: bool,
        partial: bool,
    ) -> AnyPlan: ...


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of rules.

    command, noun: `rules` and `rule`, for messages. shown: a rule as `get` has it. exported: as a file has it
    (with the table it is in; sealed secrets, if there are any, kept or not). left_out: how many secrets an
    export leaves out. redraft: a rule with some fields changed. columns, wide, row: its table for people.
    warn: says what is allowed and won't work. remark: what is to be said of a valid rule. difference: of a
    step, as the lines of a unified diff. words: help of actions whose effect is this kind's own, by action.
    """

    command: str
    noun: str
    files: FileKind[Any]
    open_store: OpenStore
    make_plan: MakePlan
    shown: Callable[[Rule], dict[str, Any]]
    exported: Callable[[Rule, Snapshot, bool], dict[str, Any]]
    left_out: Callable[[Rule, bool], int]
    redraft: Callable[..., Any]
    columns: Sequence[str]
    wide: Sequence[str]
    row: Callable[[Rule], Mapping[str, object]]
    warn: Callable[[AnyFiles, Settings], None]
    remark: Callable[[Rule], str | None]
    difference: Callable[[AnyStep], Iterable[str]]
    words: Mapping[str, str]
    has_sealed: bool = False
    has_workloads: bool = False


def kind_of(args: argparse.Namespace) -> Kind:
    """The kind of the command that is run."""
    kind: Kind = args.kind
    return kind
