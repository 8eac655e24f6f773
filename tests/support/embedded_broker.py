"""noida-db: an embedded broker with real transactions. Good for a look, not for proof (see real_kafka)."""

import importlib.resources
import importlib.util
import shutil
from pathlib import Path

from tests.support.brokers import Broker, free_port
from tests.support.child import Child, tail


class EmbeddedBroker(Broker):
    """Runs in `directory`: data/, broker.log."""

    kind = "embedded"
    real = False

    def __init__(self, directory: Path) -> None:
        super().__init__("127.0.0.1", free_port())
        self._directory = directory
        self._log = directory / "broker.log"
        self._child: Child | None = None

    def _launch(self) -> None:
        # The server itself and not the command `noida-db`: that is a parent that passes no signal on.
        program = Path(str(importlib.resources.files("noida_db"))) / "noida-db"
        program.chmod(0o755)
        where = ["--data-dir", str(self._directory / "data"), "--kafka-port", str(self.port)]
        self._child = Child([str(program), "start", "--only", "kafka", *where], self._log)

    def stop(self) -> None:
        if self._child is not None:
            self._child.terminate(grace=15)
            self._child = None

    def kill(self) -> None:
        if self._child is not None:
            self._child.kill()
            self._child = None

    def close(self) -> None:
        self.kill()
        shutil.rmtree(self._directory, ignore_errors=True)

    def log_tail(self) -> str:
        return tail(self._log)

    def _check_alive(self) -> bool:
        code = self._child.returncode if self._child else None
        assert code is None, f"noida-db ended with exit code {code}\n{self.log_tail()}"
        return False


def missing() -> str | None:
    """Why this broker can't be had here; None when it can."""
    return None if importlib.util.find_spec("noida_db") else "the package noida-db is not installed"
