"""A scanner at work in tests: its topics and rules, and a node's logs written as the kubelet has them."""

import gzip
import json
import os
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from processor.kafka.cluster import Cluster
from processor.kafka.topic_admin import apply
from processor.settings import Settings
from tests.support.processes import Process, Spawn
from tests.support.records import Record, produce, read_all
from tests.support.settings import Groups, settings_for, with_changes
from tests.support.topics import create_topic


class CriLog:
    """One container's log: `0.log`, and what rotation has put aside."""

    def __init__(self, root: Path, pod: str, container: str = "app", restarts: int = 0) -> None:
        """`pod`: `<namespace>_<pod>_<uid>`."""
        self.directory = root / pod / container
        self.directory.mkdir(parents=True, exist_ok=True)
        self.path = self.directory / f"{restarts}.log"
        self._file = self._opened()
        self._rotations = 0

    def write(self, *texts: str, stream: str = "stdout", tag: str = "F", at: str | None = None) -> None:
        """Append a line for each text, in one write."""
        self.raw(b"".join(cri_line(text, stream, tag, at) for text in texts))

    def raw(self, data: bytes) -> None:
        """Append these bytes."""
        os.write(self._file, data)

    def rotate(self, keep: int = 5) -> None:
        """As the kubelet does: compress what was rotated before, rename, have the log opened anew, delete all
        but the newest `keep` files.
        """
        for aside in self.aside():
            if aside.suffix != ".gz":
                compressed = aside.with_name(f"{aside.name}.tmp")
                compressed.write_bytes(gzip.compress(aside.read_bytes(), 1))
                compressed.rename(f"{aside}.gz")
                aside.unlink()
        self._rotations += 1
        stamp = time.strftime("%Y%m%d-", time.gmtime()) + f"{self._rotations:06d}"
        self.path.rename(self.path.with_name(f"{self.path.name}.{stamp}"))
        old, self._file = self._file, self._opened()
        os.close(old)
        for aside in self.aside()[: -(keep - 1)]:
            aside.unlink()

    def aside(self) -> list[Path]:
        """Files put aside, the oldest first."""
        return sorted(self.directory.glob(f"{self.path.name}.*"))

    def truncate(self) -> None:
        """As copytruncate does."""
        os.truncate(self.path, 0)

    def remove(self) -> None:
        """With its pod's directory."""
        os.close(self._file)
        for path in self.directory.iterdir():
            path.unlink()
        self.directory.rmdir()
        self.directory.parent.rmdir()

    def _opened(self) -> int:
        return os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC)


def cri_line(text: str, stream: str = "stdout", tag: str = "F", at: str | None = None) -> bytes:
    """One line as a container runtime writes it."""
    if at is None:
        now = time.time_ns()
        seconds = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(now // 1_000_000_000))
        at = f"{seconds}.{now % 1_000_000_000:09d}Z"
    return f"{at} {stream} {tag} {text}\n".encode()


class ScannerSite:
    """An installation with scanners: topics are there from the start."""

    def __init__(self, bootstrap: str, prefix: str, directory: Path, **groups: Mapping[str, Any]) -> None:
        self.bootstrap = bootstrap
        self.pods = directory / "pods"
        self.state = directory / "state"
        self.pods.mkdir(exist_ok=True)
        scanner = {
            "event_topic": f"{prefix}event-log",
            "sources": ["cri"],
            "cri_path": str(self.pods),
            "state_directory": str(self.state),
            "node": "node-1",
        }
        self._settings = settings_for(bootstrap, prefix, **with_changes({"scanner": scanner}, groups))
        self.model = Settings.model_validate(self._settings)
        self.event_topic = self.model.scanner.event_topic
        create_topic(bootstrap, self.event_topic, 2)
        apply(self.model, Cluster(self.model.kafka, f"{prefix}tests"), 60.0)

    def settings(self, **groups: Mapping[str, Any]) -> Groups:
        """For one more process, with a telemetry port of its own."""
        fresh = settings_for(self.bootstrap, self.model.topics.prefix)["telemetry"]
        return with_changes(with_changes(self._settings, {"telemetry": fresh}), groups)

    def put_rule(self, rule_id: int, pattern: str, **fields: Any) -> None:
        """Write a scan rule as a plain producer does."""
        rule = {"id": rule_id, "name": f"rule-{rule_id}", "pattern": pattern, "severity": "error", **fields}
        record = Record(json.dumps(rule).encode(), key=b"%d" % rule_id)
        produce(self.bootstrap, self.model.topics.scan_rules, [record])

    def start(self, spawn: Spawn, *arguments: str, **groups: Mapping[str, Any]) -> Process:
        """A scanner."""
        return spawn("run", "scanner", *arguments, settings=self.settings(**groups))

    def events(self) -> list[dict[str, Any]]:
        """All events so far, of each partition in order."""
        return [json.loads(record.value or b"") for record in read_all(self.bootstrap, self.event_topic)]
