"""The trigger rule: what it may say, its record, its secrets, the live table, and the one way rules are
written.

Decides whether a record is a rule and what the rule topic's records add up to; never whether an event fires
one (matching) nor how a webhook is sent (delivery). Start with schema.py for the fields and codec.py for
the record. table.py is the table as pure state; live.py keeps it up to date in a role, store.py is the
fenced writer around changes.py (what a write does) and plan.py (what applying files would do). Secrets:
values.py, sealing.py, references.py, resolve.py.
"""

from processor.rules.changes import (
    Applied,
    Change,
    Create,
    Delete,
    RaiseNextId,
    Rehearsal,
    Release,
    Update,
    Writer,
)
from processor.rules.codec import InvalidRule, read_record, to_record
from processor.rules.errors import (
    FieldError,
    InvalidFields,
    NameTaken,
    NoSuchRule,
    OutOfIds,
    RevisionConflict,
    RuleFailure,
    RuleTooLarge,
    SecretError,
    StoreFailure,
    StoreUnavailable,
)
from processor.rules.live import LiveRules
from processor.rules.references import References
from processor.rules.releases import Releases
from processor.rules.resolve import Resolver
from processor.rules.schema import RuleDraft, TriggerRule
from processor.rules.sealing import KeyRing
from processor.rules.store import RuleStore
from processor.rules.table import RuleSnapshot, RuleTable

__all__ = [
    "Applied",
    "Change",
    "Create",
    "Delete",
    "FieldError",
    "InvalidFields",
    "InvalidRule",
    "KeyRing",
    "LiveRules",
    "NameTaken",
    "NoSuchRule",
    "OutOfIds",
    "RaiseNextId",
    "References",
    "Rehearsal",
    "Release",
    "Releases",
    "Resolver",
    "RevisionConflict",
    "RuleDraft",
    "RuleFailure",
    "RuleSnapshot",
    "RuleStore",
    "RuleTable",
    "RuleTooLarge",
    "SecretError",
    "StoreFailure",
    "StoreUnavailable",
    "TriggerRule",
    "Update",
    "Writer",
    "read_record",
    "to_record",
]
