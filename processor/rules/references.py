"""What a rule's `{ref: …}` may name, looked up where it is used: in the process that sends.

`env:TOCSIN_SECRET_…` is a variable of that process, `file:…` a file inside secrets.directory. Nothing else
can be named, so whoever may write rules can't read the rest of the machine.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from processor.rules.errors import SecretError
from processor.rules.values import check_reference

MAX_FILE_BYTES = 65_536


class References:
    """Looks references up. Files are read at each look-up: a mounted secret that changes is in force at
    once.
    """

    def __init__(self, environ: Mapping[str, str], directory: Path | None = None) -> None:
        self._environ = environ
        self._directory = directory

    def look_up(self, ref: str) -> str:
        """The text behind `ref`, of a file without one newline at its end; raises SecretError."""
        try:
            check_reference(ref)
        except ValueError as wrong:
            raise SecretError(str(wrong)) from None
        kind, _, name = ref.partition(":")
        text = self._variable(name) if kind == "env" else self._file(name)
        if not text:
            raise SecretError(f"{ref} is empty")
        return text

    def _variable(self, name: str) -> str:
        text = self._environ.get(name)
        if text is None:
            raise SecretError(f"the environment variable {name} is not set in this process")
        return text

    def _file(self, name: str) -> str:
        if self._directory is None:
            raise SecretError(f"file:{name} can't be read: secrets.directory is not set")
        try:
            # Links are followed first: a mounted Kubernetes secret is made of them, and they must stay
            # inside.
            directory = self._directory.resolve(strict=True)
            path = (directory / name).resolve(strict=True)
            if not path.is_relative_to(directory):
                raise SecretError(f"file:{name} leads out of secrets.directory")
            with path.open("rb") as file:
                raw = file.read(MAX_FILE_BYTES + 1)
            if len(raw) > MAX_FILE_BYTES:
                raise SecretError(f"file:{name} is larger than {MAX_FILE_BYTES} bytes")
            text = raw.decode()
        except (OSError, RuntimeError) as failure:  # RuntimeError: links that lead in a circle
            why = (
                failure.strerror if isinstance(failure, OSError) and failure.strerror else "can't be resolved"
            )
            raise SecretError(f"file:{name} can't be read: {why}") from None
        except UnicodeDecodeError:
            raise SecretError(f"file:{name} is not UTF-8") from None
        return text[:-1].removesuffix("\r") if text.endswith("\n") else text
