"""The records that earlier versions wrote (written_records.py), read from their files and put into topics."""

import base64
import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from confluent_kafka import Producer

from processor.kafka.cluster import Cluster
from processor.kafka.records import Commit, Position
from tests.support.offsets import set_commits
from tests.support.records import Stored
from tests.support.written_records import PREFIX

FILES = sorted(Path(__file__).parent.glob("records_*.json"))


class Earlier:
    """What one version wrote."""

    def __init__(self, file: Path) -> None:
        self._made = json.loads(file.read_text())

    @property
    def topics(self) -> list[str]:
        """Their names, with PREFIX."""
        return list(self._made["topics"])

    def records(self, topic: str) -> list[Stored]:
        """Those of a topic, by its name without the prefix."""
        name = f"{PREFIX}{topic}"
        return [
            Stored(
                name,
                one["partition"],
                one["offset"],
                _bytes(one["key"]),
                _bytes(one["value"]),
                tuple((header, _bytes(value) or b"") for header, value in one["headers"]),
                0,
            )
            for one in self._made["topics"][name]
        ]

    def commits(self) -> Iterator[tuple[str, Position, Commit]]:
        """Group, partition and commit, with PREFIX in both names."""
        for group, topics in self._made["commits"].items():
            for topic, partitions in topics.items():
                for number, (next_offset, metadata) in partitions.items():
                    yield group, Position(topic, int(number)), Commit(next_offset, metadata)

    def put(self, bootstrap: str, prefix: str, cluster: Cluster) -> None:
        """Write it all into empty topics of one partition, each record at its offset, and the commits."""
        for name in self.topics:
            topic = name.removeprefix(PREFIX)
            _replay(bootstrap, f"{prefix}{topic}", self.records(topic))
        for group, position, commit in self.commits():
            topic = f"{prefix}{position.topic.removeprefix(PREFIX)}"
            info = cluster.topic(topic)
            assert info is not None
            # The topic is another one here; all else is as it was.
            _, topic_id, rest = commit.metadata.split(";", 2)
            assert topic_id
            moved = Commit(commit.next_offset, f"1;{info.id};{rest}")
            set_commits(bootstrap, f"{prefix}{group.removeprefix(PREFIX)}", {Position(topic, 0): moved})


def _replay(bootstrap: str, topic: str, records: list[Stored]) -> None:
    """A gap is where a transaction's marker stood, so each run of offsets is a transaction here."""
    producer = Producer(
        {"bootstrap.servers": bootstrap, "transactional.id": f"{topic}.replay", "log_level": 0}
    )
    producer.init_transactions(30)
    due = str(time.time_ns() // 1_000_000).encode()
    at = 0
    for run in _runs(records):
        assert run[0].offset == at, f"{topic}: offset {run[0].offset} can't be had, the next one is {at}"
        producer.begin_transaction()
        for record in run:
            # Due when it is put there, whatever the clocks say.
            headers: list[tuple[str, str | bytes | None]] = [
                (name, due if name == "tocsin-not-before" else value) for name, value in record.headers
            ]
            producer.produce(topic, record.value, record.key, partition=0, headers=headers)
        producer.commit_transaction(30)
        at = run[-1].offset + 2


def _runs(records: list[Stored]) -> Iterator[list[Stored]]:
    run: list[Stored] = []
    for record in records:
        if run and record.offset != run[-1].offset + 1:
            yield run
            run = []
        run.append(record)
    if run:
        yield run


def _bytes(value: Any) -> bytes | None:
    if isinstance(value, dict):
        return base64.b64decode(value["base64"])
    return None if value is None else str(value).encode()
