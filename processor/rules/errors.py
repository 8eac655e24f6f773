"""What can go wrong with rules, named once.

RuleFailure
├── InvalidFields           fields of one rule, each with its path and what is wrong with it
├── SecretError             a secret can't be sealed, opened or looked up; names the place, never a value
└── StoreFailure
    ├── StoreUnavailable    no broker, no topic or no rights; nothing is known to have been written
    ├── RevisionConflict    the rule is not, or no longer, the version the caller had seen
    │   └── ChangedTwice    one write would change a rule twice
    ├── NameTaken           another rule has the name
    ├── NoSuchRule          nothing under that id or key
    ├── OutOfIds            every id up to 2^53-1 has been given out
    └── RuleTooLarge        the record is larger than the topic takes
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

_SHOWN = 20  # errors of one rule that are put into words; `errors` has all of them


class RuleFailure(Exception):  # noqa: N818  (most of these say what happened; nothing is broken)
    """Base of everything this package raises on purpose."""


class FieldError(NamedTuple):
    """One field (`delivery.headers.X-Team`, or empty for the rule itself) and what is wrong with it."""

    field: str
    message: str

    def __str__(self) -> str:
        return f"{self.field}: {self.message}" if self.field else self.message


class InvalidFields(RuleFailure):
    """A rule that can't be taken; `errors` lists every wrong field, none of them with its value."""

    def __init__(self, errors: Sequence[FieldError]) -> None:
        said = [str(error) for error in errors[:_SHOWN]]
        if len(errors) > _SHOWN:
            said.append(f"and {len(errors) - _SHOWN} more")
        super().__init__("; ".join(said))
        self.errors = tuple(errors)


class SecretError(RuleFailure):
    """A secret that can't be sealed, opened or looked up.

    `place` is the field it belongs to (empty where it is not known yet); the text never holds the value.
    """

    def __init__(self, message: str, place: str = "") -> None:
        super().__init__(f"{place}: {message}" if place else message)
        self.message = message
        self.place = place

    def at(self, place: str) -> SecretError:
        """The same failure, at a field."""
        return SecretError(self.message, place)


class StoreFailure(RuleFailure):
    """A write that was not made, or a table that could not be read."""


class StoreUnavailable(StoreFailure):
    """No broker in time, a missing topic, or missing rights."""


class RevisionConflict(StoreFailure):
    """The rule changed since it was read (or is there where it was expected not to be)."""


class ChangedTwice(RevisionConflict):
    """A transaction has one record for each rule: the second change needs another one."""


class NameTaken(StoreFailure):
    """Names are unique among valid rules, and another one has this name."""


class NoSuchRule(StoreFailure):
    """There is nothing to change or delete."""


class OutOfIds(StoreFailure):
    """No id is left below 2^53."""


class RuleTooLarge(StoreFailure):
    """The topic's max.message.bytes is smaller than the rule's record."""
