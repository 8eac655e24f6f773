"""Names for processes under test: a hosts file of their own, which may change under them."""

import os
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

_WIDTH = 40
_MOUNT = 'mount --bind "$1" /etc/hosts && mount --bind "$2" /etc/nsswitch.conf && shift 2 && exec "$@"'
_WAYS = (["unshare", "-m"], ["unshare", "-r", "-m"])
"""As root, and as a user who may make user namespaces."""


class Hosts:
    """What getaddrinfo(3) finds in processes that are started behind `wrapper`; no name server is asked."""

    def __init__(self, directory: Path, names: Mapping[str, Sequence[str]]) -> None:
        self._names = {name: list(addresses) for name, addresses in names.items()}
        self._file = directory / "hosts"
        self._switch = directory / "nsswitch.conf"
        self._file.write_bytes(self._text())
        self._switch.write_text("hosts: files\n")

    def change(self, name: str, addresses: Sequence[str]) -> None:
        """Let the name have these from now on, as many as it had.

        The file changes in one write and keeps its length: whoever reads it sees the one or the other.
        """
        assert len(addresses) == len(self._names[name])
        self._names[name] = list(addresses)
        with self._file.open("r+b") as file:
            os.pwrite(file.fileno(), self._text(), 0)

    def wrapper(self) -> Sequence[str] | None:
        """What to put in front of a command; None where no mount namespace can be had."""
        inner = ["sh", "-c", _MOUNT, "sh", str(self._file), str(self._switch)]
        for way in _WAYS:
            try:
                done = subprocess.run([*way, *inner, "true"], capture_output=True, timeout=30, check=False)
            except OSError:
                continue
            if done.returncode == 0:
                return [*way, *inner]
        return None

    def _text(self) -> bytes:
        lines = [("127.0.0.1", "localhost"), ("::1", "localhost")]
        lines += [(address, name) for name, addresses in self._names.items() for address in addresses]
        return "".join(f"{address:<{_WIDTH}} {name}\n" for address, name in lines).encode()
