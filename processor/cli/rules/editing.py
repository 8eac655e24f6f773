"""`tocsin rules|scan-rules edit`: one rule in the person's own editor, checked, and written if nobody changed
it since.

Whatever is wrong with the text stands above it when the editor opens again. What could not be written is
kept in a file.
"""

import argparse
import os
import shlex
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Callable, Mapping
from io import StringIO
from pathlib import Path
from typing import Any

from processor.cli.errors import DONE, CommandFailed
from processor.cli.output import add_output_flag, print_rows, printable
from processor.cli.parser import Subparsers
from processor.cli.rules.finding import add_reference, check_reference, find
from processor.cli.rules.kind import AnyStore, Kind, kind_of
from processor.cli.rules.store import table_store
from processor.cli.waiting import add_timeout_flag
from processor.rules import (
    InvalidRule,
    RevisionConflict,
    RuleFailure,
    StoreUnavailable,
    Update,
)
from processor.rules.documents import write_yaml
from processor.rules.files import Files, read_files
from processor.settings import Settings

_COLUMNS = ("action", "name", "id", "reason")
_HELP = (
    "# The rule is written when the editor is closed. Lines that begin with # are left out, *** stands for a",
    "# secret as it is. An empty file, or one without changes, leaves the rule alone.",
)
_HELP_WITHOUT_SECRETS = (
    "# The rule is written when the editor is closed. Lines that begin with # are left out.",
    "# An empty file, or one without changes, leaves the rule alone.",
)
Editor = Callable[[Path], None]


def add_actions(actions: Subparsers, kind: Kind) -> None:
    """Add `edit`."""
    parser = actions.add_parser(
        "edit",
        help="change one rule in your editor",
        description="Opens the rule in $VISUAL, $EDITOR or vi and writes it when that is closed. If something"
        " is wrong with it, the editor opens again and says what.",
    )
    add_reference(parser, kind)
    add_output_flag(parser)
    add_timeout_flag(parser)
    parser.set_defaults(run_action=_run)


def editor_of(environ: Mapping[str, str]) -> Editor:
    """Opens a file in the editor that the environment names, and returns when that has been closed.

    Raises CommandFailed when there is no such program, and when it ends with an error.
    """
    said = environ.get("VISUAL") or environ.get("EDITOR") or "vi"
    try:
        command = shlex.split(said)
    except ValueError:
        command = []
    if not command or shutil.which(command[0]) is None:
        raise CommandFailed(f"there is no editor {said!r}: set EDITOR to another")

    def edit(file: Path) -> None:
        # Ctrl-C is the editor's. Not SIG_IGN, which it would inherit.
        before = signal.signal(signal.SIGINT, lambda *_: None)
        try:
            ended = subprocess.run([*command, os.fspath(file)], check=False)  # noqa: S603 - their own choice
        finally:
            signal.signal(signal.SIGINT, before)
        if ended.returncode:
            raise CommandFailed(f"the editor {said!r} ended with {ended.returncode}; nothing was changed")

    return edit


def _run(args: argparse.Namespace, settings: Settings) -> int:
    check_reference(args)
    edit = editor_of(os.environ)
    with table_store(args, settings) as store:
        snapshot = store.read()
        rule, kind = find(snapshot, args).rule, kind_of(args)
        if isinstance(rule, InvalidRule):
            raise CommandFailed(f"rule {rule.key} is invalid: apply a valid version of it, or delete it")
        with tempfile.TemporaryDirectory(prefix="tocsin-edit-") as directory:
            original = _as_text(kind.exported(rule, snapshot, False))
            revision = (rule, snapshot.offsets[rule.id], original)
            editing = _Editing(kind, store, settings, revision, Path(directory))
            action = editing.run(edit)
    row = {"action": action, "name": editing.name, "id": rule.id, "reason": None}
    print_rows([row], _COLUMNS, args.output)
    return DONE


class _Editing:
    """One rule being edited, from the first opening to the write."""

    def __init__(
        self,
        kind: Kind,
        store: AnyStore,
        settings: Settings,
        revision: tuple[Any, int, str],
        directory: Path,
    ) -> None:
        """revision: the rule, the offset of its record, and its text."""
        self._kind = kind
        self._store = store
        self._settings = settings
        self._rule, self._offset, self._original = revision
        self._file = directory / f"rule-{self._rule.id}.yaml"
        self._help = _HELP if kind.has_sealed else _HELP_WITHOUT_SECRETS
        self.name = str(self._rule.name)

    def run(self, edit: Editor) -> str:
        """Open the editor until the text can be written, or is left alone: "updated" or "unchanged"."""
        text = self._original
        complaints: list[str] = []
        while True:
            said = [f"# {printable(line)}" for line in complaints]
            self._file.write_text("\n".join([*self._help, *said, text]), encoding="utf-8")
            edit(self._file)
            edited = _read(self._file)
            if not edited.strip() or edited == self._original:
                return "unchanged"
            if complaints and edited == text:
                raise CommandFailed(f"the rule is still not right, and was left as it is; {self._keep(text)}")
            text = edited
            complaints = self._write(text)
            if not complaints:
                return "updated"

    def _write(self, text: str) -> list[str]:
        """Nothing when it was written, else what is wrong with it, in lines."""
        # What can't be read at all is one complaint; its line is said as it is when the editor opens again.
        shifted = StringIO("\n" * (len(self._help) + 1) + text)
        read = read_files(self._kind.files, ["-"], shifted)
        if read.problems:
            return [str(error) for problem in read.problems for error in problem.errors]
        if len(read.wanted.drafts) != 1:
            return [f"expected one rule, there are {len(read.wanted.drafts)}"]
        draft = read.wanted.drafts[0].draft
        if wrong := self._other_identity(draft):
            return wrong
        self._kind.warn(Files(read.wanted, (), 1), self._settings)
        try:
            self._store.apply([Update(self._rule.id, draft, expect=self._offset)])
        except RevisionConflict:
            raise CommandFailed(
                f"somebody else changed rule {self._rule.id} meanwhile: edit it again; {self._keep(text)}"
            ) from None
        except StoreUnavailable as failure:
            raise CommandFailed(f"{failure}; {self._keep(text)}") from None
        except RuleFailure as failure:
            return [str(failure)]
        self.name = draft.name
        return []

    def _other_identity(self, draft: Any) -> list[str]:
        same = {
            name: (None, "", getattr(self._rule, name)) for name in ("id", "uid") if hasattr(self._rule, name)
        }
        return [
            f"{name}: is the rule's own and stays {getattr(self._rule, name)}"
            for name, allowed in same.items()
            if getattr(draft, name) not in allowed
        ]

    def _keep(self, text: str) -> str:
        """Put the text where it outlives the command; says where."""
        handle, name = tempfile.mkstemp(prefix=f"tocsin-rule-{self._rule.id}-", suffix=".yaml")
        with os.fdopen(handle, "w", encoding="utf-8") as kept:
            kept.write(text)
        return f"your text is in {name}"


def _as_text(fields: Mapping[str, Any]) -> str:
    stream = StringIO()
    write_yaml(fields, stream)
    return stream.getvalue().removeprefix("---\n")


def _read(file: Path) -> str:
    """The text below the lines at the top that begin with #; those further down are the person's."""
    try:
        lines = file.read_text(encoding="utf-8", errors="replace").splitlines(keepends=True)
    except FileNotFoundError:
        return ""
    while lines and lines[0].startswith("#"):
        lines.pop(0)
    return "".join(lines)
