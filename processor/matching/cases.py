"""Cases: events with the rules that are expected to fire, a team's unit tests of its rules.

    cases:
      - name: a failed deploy calls
        event: {severity: error, source: ci, message: deploy failed}
        fires: [deploy-failures]

YAML or JSON. `event` is an object, or the event's JSON as text where every byte matters. `fires` are names:
these rules, and of the rules that are tried no others.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Annotated, Any, Final, NamedTuple

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from processor.events import EventDecoder, Unreadable
from processor.matching.explain import Refusal
from processor.matching.trial import Trial
from processor.rules.documents import DocumentError, read_json, read_yaml
from processor.rules.errors import FieldError
from processor.rules.explain import invalid_fields
from processor.rules.fields import wrong

MAX_CASES: Final = 10_000


class CaseFileError(ValueError):
    """The file can't be used; `errors` are all that is wrong with it, each in one line with its place."""

    def __init__(self, errors: Sequence[str]) -> None:
        super().__init__(errors[0] if len(errors) == 1 else f"{errors[0]} (and {len(errors) - 1} more)")
        self.errors = tuple(errors)


def _as_value(said: object) -> bytes:
    if isinstance(said, str):
        return said.encode(errors="replace")
    if isinstance(said, dict):
        try:
            return json.dumps(said, ensure_ascii=False, allow_nan=False).encode()
        except (TypeError, ValueError, RecursionError):
            raise wrong("can't be written as JSON") from None
    raise wrong("expected an object, or its JSON as text")


def _as_names(said: object) -> object:
    if isinstance(said, list):
        return tuple(said)
    raise wrong("expected a list of rules' names, [] for none")


def _as_cases(said: object) -> object:
    if isinstance(said, list) and 0 < len(said) <= MAX_CASES:
        return tuple(said)
    raise wrong(f"expected a list of 1 to {MAX_CASES} cases, each of an event and the rules that fire")


class Case(BaseModel):
    """One event, as it would be logged, and the names of the rules that should fire."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, hide_input_in_errors=True)

    name: str = Field(default="", description="For people.")
    event: Annotated[bytes, BeforeValidator(_as_value)] = Field(description="An object, or JSON as text.")
    fires: Annotated[tuple[str, ...], BeforeValidator(_as_names)] = Field(description="Names of rules.")


class _File(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, hide_input_in_errors=True)

    cases: Annotated[tuple[Case, ...], BeforeValidator(_as_cases)]


class Missing(NamedTuple):
    """A rule that was expected to fire, and what kept it from it."""

    name: str
    refusal: Refusal


class Result(NamedTuple):
    """What came of one case. It failed if anything is missing or unexpected, or its event is unreadable."""

    place: str
    case: Case
    missing: tuple[Missing, ...]
    unexpected: tuple[str, ...]
    unreadable: Unreadable | None

    @property
    def passed(self) -> bool:
        """Whether what fires is what was expected."""
        return not self.missing and not self.unexpected and self.unreadable is None


def read_cases(place: str, text: str) -> list[tuple[str, Case]]:
    """The cases of a file with their places; `place` is its name (JSON if it ends so, else YAML).

    Raises CaseFileError.
    """
    found: list[tuple[str, Case]] = []
    errors: list[str] = []
    try:
        documents = list(read_json(text) if Path(place).suffix.lower() == ".json" else read_yaml(text))
    except DocumentError as error:
        raise CaseFileError([f"{place}: {error}"]) from None
    for number, document in enumerate(documents, 1):
        where = place if len(documents) == 1 else f"{place}, document {number}"
        try:
            read = _File.model_validate(document.data)
        except ValidationError as failure:
            errors += (f"{where}: {_worded(error)}" for error in invalid_fields(failure).errors)
            continue
        found += ((f"{where}, cases[{n}]", case) for n, case in enumerate(read.cases))
    if not documents:
        errors.append(f"{place}: is empty; expected `cases:` with a list of events and the rules that fire")
    if errors:
        raise CaseFileError(errors)
    return found


def check_names(cases: Iterable[tuple[str, Case]], trial: Trial) -> None:
    """Raises CaseFileError for names that no rule has: such a case could only fail."""
    names = {rule.name for rule in trial.rules}
    errors = [
        f"{place}.fires[{n}]: there is no rule {name!r} among those that are tried"
        for place, case in cases
        for n, name in enumerate(case.fires)
        if name not in names
    ]
    if errors:
        raise CaseFileError(errors)


def run_cases(cases: Iterable[tuple[str, Case]], trial: Trial, decoder: EventDecoder) -> Iterable[Result]:
    """What comes of each case, in their order."""
    for place, case in cases:
        event = decoder.decode(case.event)
        if isinstance(event, Unreadable):
            yield Result(place, case, (), (), event)
            continue
        verdicts = trial.verdicts(event)
        fired = {verdict.rule.name for verdict in verdicts if verdict.fires}
        # Two rules of plain producers may share a name: it fired if one of them did.
        missing = {v.rule.name: v.refusal for v in verdicts if v.refusal and v.rule.name not in fired}
        yield Result(
            place,
            case,
            tuple(Missing(name, missing[name]) for name in dict.fromkeys(case.fires) if name in missing),
            tuple(sorted(fired - set(case.fires))),
            None,
        )


def _worded(error: FieldError) -> str:
    if not error.field:
        return "expected `cases:` with a list, each of an event and the rules that fire"
    return str(error)


def to_json(result: Result) -> dict[str, Any]:
    """The result for programs."""
    return {
        "place": result.place,
        "name": result.case.name,
        "passed": result.passed,
        "missing": [
            {"name": one.name, "filter": one.refusal.filter, "reason": one.refusal.reason}
            for one in result.missing
        ],
        "unexpected": list(result.unexpected),
        "unreadable": result.unreadable.detail if result.unreadable else None,
    }
