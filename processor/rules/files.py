"""Rules files: YAML or JSON, one rule per document, read into drafts of one kind.

Everything that is wrong is said at once: each error names the file, the document, the rule and the field.
Knows nothing of Kafka.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Hashable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, Protocol, Self, TextIO, TypeAlias, TypeVar

from pydantic import ValidationError

from processor.rules.building import Draft
from processor.rules.documents import Document, DocumentError, read_json, read_yaml
from processor.rules.errors import FieldError, RuleFailure
from processor.rules.explain import invalid_fields
from processor.rules.fields import MAX_ID
from processor.rules.planning import SourcedDraft, Wanted
from processor.rules.schema import KIND, RuleDraft

TABLE_KIND = "RuleTable"


class DraftModel(Draft, Protocol):
    """A draft that is read by pydantic."""

    @classmethod
    def model_validate(cls, obj: Any) -> Self: ...


M = TypeVar("M", bound=DraftModel)
STDIN = "-"
_SUFFIXES = (".yaml", ".yml", ".json")


@dataclass(frozen=True, slots=True)
class FileKind(Generic[M]):
    """A kind of rules that files hold: what their documents call it and its table, and what reads one.

    identify: the identity that a document without a valid draft has, from its name and its fields.
    """

    kind: str
    table_kind: str
    draft: type[M]
    identify: Callable[[str, Mapping[str, object]], Hashable] = lambda name, _: name


TRIGGER_RULES = FileKind(KIND, TABLE_KIND, RuleDraft)


class UnreadableFile(RuleFailure):
    """There is no such file or directory, or it can't be opened."""


@dataclass(frozen=True, slots=True)
class DocumentProblem:
    """What is wrong with one document; `name` is the rule's and `identity` too, as far as it has one."""

    place: str
    name: str
    errors: tuple[FieldError, ...]
    identity: Hashable | None = None

    def lines(self) -> Iterable[str]:
        """One line for each error."""
        named = f"{self.place} ({self.name})" if self.name else self.place
        return (f"{named}: {error}" for error in self.errors)


@dataclass(frozen=True)
class Files(Generic[M]):
    """What was read: the drafts that are right, and every problem; `documents` counts those that aren't
    empty.
    """

    wanted: Wanted[M]
    problems: tuple[DocumentProblem, ...]
    documents: int

    def without_problems(self) -> Files[M]:
        """The drafts that can be applied although others can't; the problems have one more for each draft
        that is right itself but shares its name with a document that isn't: which of them is meant, nobody
        knows.
        """
        wrong = {problem.place for problem in self.problems}
        doubted = {problem.identity for problem in self.problems if problem.identity is not None}
        right = [sourced for sourced in self.wanted.drafts if sourced.place not in wrong]
        error = FieldError("name", "an invalid document has the same")
        doubtful = [
            DocumentProblem(sourced.place, sourced.draft.name, (error,), sourced.draft.identity)
            for sourced in right
            if sourced.draft.identity in doubted
        ]
        drafts = tuple(sourced for sourced in right if sourced.draft.identity not in doubted)
        return Files(Wanted(drafts, self.wanted.next_id), (*self.problems, *doubtful), self.documents)


RuleFiles: TypeAlias = Files[RuleDraft]


def read_rules(
    sources: Iterable[str], stdin: TextIO, report: Callable[[int], None] = lambda _: None
) -> RuleFiles:
    """Files of trigger rules; as read_files()."""
    return read_files(TRIGGER_RULES, sources, stdin, report)


def read_files(
    kind: FileKind[M],
    sources: Iterable[str],
    stdin: TextIO,
    report: Callable[[int], None] = lambda _: None,
) -> Files[M]:
    """Read files, directories (their *.yaml, *.yml and *.json, not what is below) and `-`.

    Raises UnreadableFile when one of them isn't there. A name may stand only once in all of them. `report`
    is told after each document how many there were.
    """
    reader = _Reader(kind, report)
    for source in sources:
        if source == STDIN:
            try:
                reader.read("stdin", stdin.read(), json_only=False)
            except UnicodeDecodeError:
                reader.problem("stdin", "is not UTF-8")
        else:
            for path in _paths(Path(source)):
                reader.read_path(path)
    return reader.finish()


def _paths(path: Path) -> list[Path]:
    try:
        if not path.is_dir():
            return [path]
        return sorted(p for p in path.iterdir() if p.suffix.lower() in _SUFFIXES and p.is_file())
    except OSError as error:
        raise UnreadableFile(f"{path}: {error.strerror or error}") from None


class _Reader(Generic[M]):
    def __init__(self, kind: FileKind[M], report: Callable[[int], None]) -> None:
        self._kind = kind
        self._report = report
        self._drafts: list[SourcedDraft[M]] = []
        self._problems: list[DocumentProblem] = []
        self._next_id: int | None = None
        self._places: set[str] = set()

    def read_path(self, path: Path) -> None:
        try:
            raw = path.read_bytes()
        except OSError as error:
            raise UnreadableFile(f"{path}: {error.strerror or error}") from None
        try:
            text = raw.decode("utf-8-sig")
        except UnicodeDecodeError:
            self.problem(os.fspath(path), "is not UTF-8")
            return
        self.read(os.fspath(path), text, json_only=path.suffix.lower() == ".json")

    def read(self, file: str, text: str, *, json_only: bool) -> None:
        number = 0
        try:
            for number, document in enumerate(read_json(text) if json_only else read_yaml(text), 1):
                place = file if json_only else f"{file}, document {number}, line {document.line}"
                self._take(place, document)
                self._report(len(self._places))
        except DocumentError as error:
            # What follows can't be read any more, what came before still counts.
            self.problem(file if not number else f"{file}, after document {number}", str(error))

    def problem(self, place: str, message: str, name: str = "") -> None:
        """Something is wrong with a whole document or file."""
        self._places.add(place)
        self._problems.append(DocumentProblem(place, name, (FieldError("", message),)))

    def finish(self) -> Files[M]:
        first: dict[Hashable, str] = {}
        for place, draft in ((sourced.place, sourced.draft) for sourced in self._drafts):
            if (also := first.setdefault(draft.identity, place)) is not place:
                error = FieldError("name", f"is there twice, also in {also}")
                self._problems.append(DocumentProblem(place, draft.name, (error,), draft.identity))
        return Files(Wanted(tuple(self._drafts), self._next_id), tuple(self._problems), len(self._places))

    def _take(self, place: str, document: Document) -> None:
        data = document.data
        self._places.add(place)
        if not isinstance(data, Mapping):
            self.problem(place, f"expected a rule, not {_a(data)}")
        elif data.get("kind") == self._kind.table_kind:
            self._take_table(place, data)
        else:
            self._take_rule(place, data)

    def _take_rule(self, place: str, data: Mapping[str, object]) -> None:
        name = data.get("name")
        shown = name[:100] if isinstance(name, str) else ""
        kind = data.get("kind", self._kind.kind)
        errors: tuple[FieldError, ...] = ()
        if kind != self._kind.kind:
            known = f"expected {self._kind.kind} or {self._kind.table_kind}"
            errors = (
                FieldError(
                    "kind", f"unknown kind {kind[:60]!r}, {known}" if isinstance(kind, str) else known
                ),
            )
        try:
            draft = self._kind.draft.model_validate(
                {field: value for field, value in data.items() if field != "kind"}
            )
        except ValidationError as failure:
            errors += invalid_fields(failure).errors
        except RecursionError:
            errors += (FieldError("", "is nested too deeply"),)
        if errors:
            identity = self._kind.identify(name, data) if isinstance(name, str) and name else None
            self._problems.append(DocumentProblem(place, shown, errors, identity))
        else:
            self._drafts.append(SourcedDraft(place, draft))

    def _take_table(self, place: str, data: Mapping[str, object]) -> None:
        next_id = data.get("next_id")
        errors = [
            FieldError(str(field)[:100], "unknown field")
            for field in data
            if field not in ("kind", "next_id")
        ]
        if type(next_id) is not int or not 1 <= next_id <= MAX_ID + 1:
            errors.append(FieldError("next_id", f"expected a whole number from 1 to {MAX_ID + 1}"))
        else:
            self._next_id = max(self._next_id or 0, next_id)
        if errors:
            self._problems.append(DocumentProblem(place, self._kind.table_kind, tuple(errors)))


def _a(data: object) -> str:
    return "a list" if isinstance(data, list) else "a single value"
