"""Two admin replicas and the command line write to one table at once; one replica is killed in the middle."""

import itertools
import json
import random
import statistics
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import yaml

from tests.support.admin import Api, admin_settings, run_admin
from tests.support.brokers import Broker
from tests.support.installation import Installation
from tests.support.processes import Spawn, run_tocsin
from tests.support.records import Stored, read_all
from tests.support.rules import fields

TARGET = "http://127.0.0.1:9/hook"
SEED = 7
CLIENTS = 6


class Write(NamedTuple):
    """One write that was answered: what it set, and when it was begun and answered (monotonic seconds)."""

    key: bytes
    mark: str | None
    offset: int | None
    begun: float
    answered: float


class Client:
    """Makes, changes and deletes rules of its own, and keeps what was acknowledged."""

    def __init__(self, number: int, apis: list[Api]) -> None:
        self._number = number
        self._apis = apis
        self._random = random.Random(SEED * 100 + number)
        self._marks = itertools.count()
        self._mine: list[int] = []
        self.acknowledged: list[Write] = []
        self.created: list[int] = []
        self.unknown: set[bytes] = set()
        self.failed = 0

    def write(self) -> None:
        """One write through a replica of the client's choice; the other one when nobody answers there."""
        mark = f"{self._number}-{next(self._marks)}"
        api = self._random.choice(self._apis)
        chance = self._random.random()
        rule_id = self._random.choice(self._mine) if self._mine and chance < 0.6 else None
        method, path, body = "POST", "/trigger-rules", fields(mark, action_target=TARGET, description=mark)
        if rule_id is not None:
            path = f"/trigger-rules/{rule_id}"
            method, body = ("PATCH", {"description": mark}) if chance < 0.5 else ("DELETE", {})
        begun = time.monotonic()
        try:
            answer = api.ask(method, path, None if method == "DELETE" else body)
        except OSError:
            # Killed while it was asked: whether that was written nobody knows, so nothing is said about it.
            if rule_id is not None:
                self.unknown.add(b"%d" % rule_id)
                self._mine.remove(rule_id)
            self.failed += 1
            return
        done = time.monotonic()
        assert answer.status in {200, 201, 204}, answer
        if method == "DELETE":
            self._mine.remove(rule_id or 0)
            self.acknowledged.append(Write(b"%d" % (rule_id or 0), None, None, begun, done))
            return
        if method == "POST":
            self._mine.append(answer.json["id"])
            self.created.append(answer.json["id"])
        key = b"%d" % answer.json["id"]
        self.acknowledged.append(Write(key, mark, answer.json["offset"], begun, done))


@pytest.mark.real_kafka
@pytest.mark.parametrize(
    ("writes", "by_command"),
    [(200, 10), pytest.param(2_000, 100, marks=pytest.mark.soak)],
    ids=["part", "soak"],
)
def test_replicas_and_commands_lose_no_write(
    broker: Broker, prefix: str, spawn: Spawn, tmp_path: Path, writes: int, by_command: int
) -> None:
    with Installation(broker.bootstrap, prefix) as here:
        settings = [here.settings(admin=admin_settings()) for _ in range(2)]
        (first, one), (_, other) = (run_admin(spawn, each) for each in settings)
        apis = [one, other]
        clients = [Client(number, apis) for number in range(CLIENTS)]
        left = itertools.count(1)
        through = threading.Event()
        killed_at: list[float] = []

        def work(client: Client) -> None:
            while (number := next(left)) <= writes - by_command:
                client.write()
                if number >= writes // 2:
                    through.set()

        def kill() -> None:
            assert through.wait(600)
            apis.remove(one)
            first.kill()
            killed_at.append(time.monotonic())

        def command() -> list[str]:
            names = []
            for number in range(by_command):
                file = tmp_path / f"rule-{number}.yaml"
                file.write_text(yaml.safe_dump(fields(f"cli-{number}", action_target=TARGET)))
                code, _, err = run_tocsin(
                    "rules",
                    "apply",
                    "-f",
                    str(file),
                    "--timeout",
                    "60s",
                    settings=settings[1],
                    directory=tmp_path,
                )
                assert code == 0, err
                names.append(f"cli-{number}")
            return names

        with ThreadPoolExecutor(CLIENTS + 2) as pool:
            commands = pool.submit(command)
            killing = pool.submit(kill)
            for worker in [pool.submit(work, client) for client in clients]:
                worker.result()
            killing.result()
            names = commands.result()

        made = [write for client in clients for write in client.acknowledged]
        spent = [write.answered - write.begun for write in made]
        assert max(write.answered for write in made) > killed_at[0], "the other one goes on"
        unknown = set().union(*(client.unknown for client in clients))
        records = [
            record for record in read_all(here.bootstrap, here.topics.rules) if record.key != b"_table"
        ]
        _check(made, unknown, {record.offset: (record.key, _mark(record.value)) for record in records})
        _check_ids([client.created for client in clients], records)
        table: dict[bytes, Any] = {}
        for record in records:
            assert record.key is not None
            table[record.key] = None if record.value is None else json.loads(record.value)
        standing = {rule["name"] for rule in table.values() if rule is not None}
        assert set(names) <= standing
        created = Counter(rule["name"] for rule in table.values() if rule is not None)
        assert max(created.values()) == 1, "every name once"
        items = other.get("/trigger-rules?limit=1000").json["items"]
        assert {item["name"] for item in items} <= standing
        lost = sum(client.failed for client in clients)
        print(
            f"{len(made)} writes acknowledged, {len(names)} by the command line, {lost} not known;"
            f" p50 {statistics.median(spent) * 1000:.0f} ms, max {max(spent):.1f} s"
        )
        assert len(made) + lost == writes - by_command


def _mark(value: bytes | None) -> str | None:
    return None if value is None else json.loads(value).get("description")


def _check_ids(created: list[list[int]], records: list[Stored]) -> None:
    """No id was given twice: neither to two who asked, nor to two rules of which one was deleted."""
    answered = list(itertools.chain.from_iterable(created))
    assert len(answered) == len(set(answered))
    uids: dict[bytes | None, set[str]] = {}
    for record in records:
        if record.value is not None:
            uids.setdefault(record.key, set()).add(json.loads(record.value)["uid"])
    assert len(uids) >= len(answered)
    assert {key: found for key, found in uids.items() if len(found) > 1} == {}
    assert len(set().union(*uids.values())) == len(uids)


def _check(
    made: list[Write], unknown: set[bytes], records: dict[int, tuple[bytes | None, str | None]]
) -> None:
    """Every acknowledged write is in the topic, where it was said to be, and in the order of the answers."""
    ids = [write.key for write in made if write.mark is not None]
    for write in made:
        if write.offset is not None:
            assert records[write.offset] == (write.key, write.mark), write
    known = sorted((write for write in made if write.offset is not None), key=lambda write: write.answered)
    latest, at = -1, 0
    for write in sorted(known, key=lambda write: write.begun):
        while at < len(known) and known[at].answered < write.begun:
            latest = max(latest, known[at].offset or 0)
            at += 1
        assert (write.offset or 0) > latest, "a write begun after an answer is later in the topic"
    last: dict[bytes, Write] = {}
    for write in sorted(made, key=lambda write: write.answered):
        last[write.key] = write
    newest = {key: mark for _, (key, mark) in sorted(records.items())}
    for key, write in last.items():
        if key not in unknown:
            assert newest[key] == write.mark, "the last acknowledged write stands"
    assert set(ids) <= {key for key, _ in records.values()}
