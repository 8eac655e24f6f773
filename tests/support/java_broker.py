"""Apache Kafka from its Maven artifacts: one process, broker and controller (KRaft), nothing to install.

The jars go to tests/broker/libs, once; tests/broker/pom.xml says which.
"""

import fcntl
import hashlib
import os
import shutil
import signal
import subprocess
import uuid
from base64 import urlsafe_b64encode
from pathlib import Path

from tests.support.brokers import Broker, free_port
from tests.support.child import Child, tail

HOME = Path(__file__).resolve().parent.parent / "broker"
LIBS = HOME / "libs"

# What a one-node broker needs, what a quick test wants, and the one thing that Tocsin advises for real ones.
# (A killed broker may register again only when its predecessor's session is over: 9 s by default.)
PROPERTIES = """\
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@127.0.0.1:{controller}
listeners=PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller}
advertised.listeners=PLAINTEXT://127.0.0.1:{port}
controller.listener.names=CONTROLLER
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT
log.dirs={data}
offsets.topic.replication.factor=1
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
offsets.topic.num.partitions=5
transaction.state.log.num.partitions=5
share.coordinator.state.topic.num.partitions=1
num.network.threads=2
num.io.threads=4
log.cleaner.dedupe.buffer.size=8388608
group.initial.rebalance.delay.ms=0
auto.create.topics.enable=false
transaction.abort.timed.out.transaction.cleanup.interval.ms=1000
# Tests write records with times long ago, and nothing may delete them under a test.
log.retention.check.interval.ms=86400000
broker.heartbeat.interval.ms=1000
broker.session.timeout.ms=4000
"""


class JavaBroker(Broker):
    """Runs in `directory`: server.properties, data/, broker.log."""

    kind = "java"

    def __init__(self, directory: Path, more: str = "") -> None:
        """`more` are further properties, over those of PROPERTIES; `{port}` and `{controller}` in them are
        those of the listeners.
        """
        super().__init__("127.0.0.1", free_port())
        self._more = more
        self._directory = directory
        self._log = directory / "broker.log"
        self._properties = directory / "server.properties"
        self._child: Child | None = None

    def _launch(self) -> None:
        if not self._properties.exists():
            self._format()
        self._child = Child(_java("-Xms256m", "-Xmx1g", "kafka.Kafka", str(self._properties)), self._log)

    def _format(self) -> None:
        template = PROPERTIES + self._more
        text = template.format(port=self.port, controller=free_port(), data=self._directory / "data")
        self._properties.write_text(text)
        cluster_id = urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=").replace("-", "A")
        arguments = ["format", "--cluster-id", cluster_id, "--config", str(self._properties)]
        command = _java("-Xmx128m", "-XX:TieredStopAtLevel=1", "kafka.tools.StorageTool", *arguments)
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
        assert done.returncode == 0, f"kafka.tools.StorageTool: {done.stdout}{done.stderr}"

    def stop(self) -> None:
        if self._child is not None:
            self._child.terminate(grace=30)
            self._child = None

    def kill(self) -> None:
        if self._child is not None:
            self._child.kill()
            self._child = None

    def close(self) -> None:
        self.kill()  # its data goes with it: nothing to flush
        shutil.rmtree(self._directory, ignore_errors=True)

    def pause(self) -> None:
        """SIGSTOP: connections stay open, nothing answers."""
        assert self._child is not None
        self._child.signal(signal.SIGSTOP)

    def resume(self) -> None:
        assert self._child is not None
        self._child.signal(signal.SIGCONT)

    def log_tail(self) -> str:
        return tail(self._log)

    def _check_alive(self) -> bool:
        code = self._child.returncode if self._child else None
        assert code is None, f"Kafka ended with exit code {code}\n{self.log_tail()}"
        return False


def missing() -> str | None:
    """Why this broker can't be had here; None when it can. Fetches nothing."""
    if shutil.which("java") is None:
        return "java is not installed"
    if not _complete() and shutil.which("mvn") is None:
        return "mvn is not installed and tests/broker/libs is not there"
    return None


def _java(*arguments: str) -> list[str]:
    _fetch_jars()
    return [
        "java",
        f"-Dlog4j2.configurationFile={HOME / 'log4j2.properties'}",
        "-cp",
        f"{LIBS}/*",
        *arguments,
    ]


def _stamp() -> Path:
    """Names the pom.xml that the jars were fetched for: another one fetches them again."""
    return LIBS / f"of-{hashlib.sha256((HOME / 'pom.xml').read_bytes()).hexdigest()[:16]}"


def _complete() -> bool:
    return _stamp().exists()


def _fetch_jars() -> None:
    """Have Maven copy the jars, once (runs at the same time wait). Minutes at worst, and 100 MB."""
    if _complete():
        return
    LIBS.mkdir(exist_ok=True)
    with (LIBS / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if _complete():
            return
        for old in (*LIBS.glob("*.jar"), *LIBS.glob("of-*")):
            old.unlink()
        command = ["mvn", "-q", "-B", "-f", str(HOME / "pom.xml"), "dependency:copy-dependencies"]
        command.append(f"-DoutputDirectory={LIBS}")
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=900, check=False, env=_maven_env()
        )
        assert done.returncode == 0, f"{' '.join(command)}\n{done.stdout}{done.stderr}"
        _stamp().touch()


def _maven_env() -> dict[str, str]:
    return {**os.environ, "MAVEN_OPTS": os.environ.get("MAVEN_OPTS", "-Xmx512m")}
