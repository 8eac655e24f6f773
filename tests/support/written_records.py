"""Writes down every kind of record that this version writes, for the tests of later ones.

    python -m tests.support.written_records tests/support/records_<version>.json

A Kafka of its own, the roles as processes and a few rules, events and commands; then all topics as they are,
and what the groups have committed. Targets are references to TARGETS, so that a later test may name receivers
of its own. Run it once before a release, with the code of that release.
"""

import base64
import json
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from processor.kafka.records import Commit
from tests.support.installation import Installation
from tests.support.java_broker import JavaBroker
from tests.support.offsets import committed
from tests.support.processes import Process, run_tocsin
from tests.support.receiver import Answer, Receiver
from tests.support.records import Record, Stored, produce, read_all
from tests.support.rules import KEY, fields
from tests.support.topics import create_topic
from tests.support.waiting import wait_until

PREFIX = "tocsin."
EVENTS = "tocsin.event-log"
TARGETS = {
    "TOCSIN_SECRET_GOOD": "/good",
    "TOCSIN_SECRET_FAILING": "/failing",
    "TOCSIN_SECRET_DYING": "/dying",
    "TOCSIN_SECRET_HANGING": "/hanging",
}
"""Variables, and the paths of the receiver that they lead to."""

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
PLAIN_RULE = {
    "name": "plain",
    "action_type": "webhook",
    "action_target": "https://hooks.example.com/plain",
    "action_secret": "a plain secret",
    "filter_severity": "warn, error",
    "filter_source": "plain",
}


def rules() -> list[dict[str, Any]]:
    """What is applied, in the order of ids from 1."""

    def one(name: str, target: str, **more: Any) -> dict[str, Any]:
        to = {"ref": f"env:TOCSIN_SECRET_{target}"}
        return fields(name, action_target=to, filter_source=[name], **more)

    return [
        one(
            "good",
            "GOOD",
            action_secret=SECRET,
            description="every field",
            labels={"team": "shop"},
            filter_severity=["error", "fatal"],
            filter_message_regex="(?i)failed|boom",
            filter_pattern={"detail": {"n": [{"numeric": [">", 0]}]}},
            delivery={
                "timeout": "10s",
                "rate_limit": "20/s",
                "max_attempts": 4,
                "headers": {"X-Team": "shop", "X-Key": {"secret": "header-secret"}},
                "retry_4xx": True,
            },
        ),
        one("failing", "FAILING"),
        one("dying", "DYING"),
        one("hanging", "HANGING"),
        one("paused", "GOOD", paused=True),
        one("muted", "GOOD", muted_until="2999-01-01T00:00:00Z"),
        one("later", "GOOD"),
        one("gone", "GOOD", enabled=False),
    ]


def event(source: str) -> Record:
    """One on which the rule of that name fires."""
    value = {"severity": "error", "source": source, "message": "it failed", "detail": {"n": 7}}
    return Record(json.dumps(value).encode(), headers=[("traceparent", _TRACE)])


_TRACE = b"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"


class Scenario:
    """What is done, in order."""

    def __init__(self, here: Installation, receiver: Receiver, directory: Path) -> None:
        self._here = here
        self._receiver = receiver
        self._directory = directory
        self._environ = {name: receiver.url(path) for name, path in TARGETS.items()}

    def run(self) -> None:
        """From an empty installation to all kinds of records; the roles end in the middle of their work."""
        here, receiver = self._here, self._receiver
        receiver.answer("/failing", then=Answer(503, body=b"down"))
        receiver.answer("/dying", Answer(410), Answer(410))
        receiver.answer("/hanging", then=Answer(200, delay=600))
        self._write_rules()
        matcher, sender = self._start("matcher"), self._start("sender")
        for source in ("good", "failing", "dying", "paused", "muted"):
            produce(here.bootstrap, EVENTS, [event(source)])
        produce(here.bootstrap, EVENTS, [Record(b"not json"), Record(None, key=b"k")])
        self._outcomes("cancelled", "dead", "deferred", "delivered", "failed")
        self._tocsin("deliveries", "redeliver", "--rule", "dying")
        wait_until(lambda: self._counted("dead") == 2, 30, "it dies again")
        self._tocsin("deliveries", "release", "--destination", "https://released.example.com")
        # Finished above one that is not: the commit's metadata says which.
        produce(here.bootstrap, EVENTS, [event("hanging")])
        receiver.wait_for(1, path="/hanging")
        produce(here.bootstrap, EVENTS, [event("good")])
        wait_until(lambda: self._counted("delivered") == 2, 30, "delivered above the one that hangs")
        wait_until(
            lambda: committed(here.bootstrap, "tocsin.sender", here.topics.jobs)[0].metadata[-1] != ";"
        )
        sender.kill()
        # A job that no sender has seen, and an event that no matcher has.
        produce(here.bootstrap, EVENTS, [event("later")])
        self._settled(matcher)
        matcher.kill()
        produce(here.bootstrap, EVENTS, [event("later")])

    def _settled(self, matcher: Process) -> None:
        end = read_all(self._here.bootstrap, EVENTS)[-1].offset + 1
        wait_until(
            lambda: committed(self._here.bootstrap, "tocsin.matcher", EVENTS)[0].next_offset == end, 30
        )
        assert matcher.returncode is None

    def _write_rules(self) -> None:
        file = self._directory / "rules.json"
        for rule in rules():
            file.write_text(json.dumps(rule))
            self._tocsin("rules", "apply", "-f", str(file), "--set", "fixture")
        self._tocsin("rules", "delete", "gone")
        plain = Record(json.dumps(PLAIN_RULE).encode(), key=b"100")
        produce(self._here.bootstrap, self._here.topics.rules, [plain])

    def _start(self, role: str) -> Process:
        settings = self._here.settings()
        return Process(
            "run", role, directory=self._directory, settings=settings, env=self._environ
        ).wait_ready()

    def _tocsin(self, *arguments: str) -> None:
        settings = self._here.settings()
        code, out, err = run_tocsin(
            *arguments, directory=self._directory, settings=settings, env=self._environ
        )
        assert code == 0, out + err

    def _counted(self, outcome: str) -> int:
        return [record["outcome"] for record in self._here.audit()].count(outcome)

    def _outcomes(self, *wanted: str) -> None:
        wait_until(
            lambda: {record["outcome"] for record in self._here.audit()} == set(wanted),
            30,
            lambda: f"{wanted}: {self._here.audit()}",
        )


def _shown(record: Stored) -> dict[str, Any]:
    return {
        "partition": record.partition,
        "offset": record.offset,
        "key": _text(record.key),
        "value": _text(record.value),
        "headers": [[name, _text(value)] for name, value in record.headers],
    }


def _text(value: bytes | None) -> Any:
    """As text where it is UTF-8, for people who look at the file."""
    if value is None:
        return None
    try:
        return value.decode()
    except UnicodeDecodeError:
        return {"base64": base64.b64encode(value).decode()}


def _commits(find: Callable[[str, str], dict[int, Commit]], topics: dict[str, list[str]]) -> dict[str, Any]:
    return {
        group: {
            topic: {
                str(number): [one.next_offset, one.metadata] for number, one in find(group, topic).items()
            }
            for topic in names
        }
        for group, names in topics.items()
    }


def write(path: Path) -> None:
    """Run the scenario and write the file."""
    with tempfile.TemporaryDirectory() as directory:
        broker = JavaBroker(Path(directory) / "broker")
        (Path(directory) / "broker").mkdir()
        broker.start()
        try:
            create_topic(broker.bootstrap, EVENTS, 1)
            with (
                Receiver() as receiver,
                Installation(
                    broker.bootstrap,
                    PREFIX,
                    secrets={"keys": [KEY]},
                    sender={"retry_schedule": ["5s"] * 50, "timeout": "10m"},
                ) as here,
            ):
                Scenario(here, receiver, Path(directory)).run()
                retries = [here.topics.retry(delay) for delay in here.model.sender.tiers]
                names = [EVENTS, here.topics.rules, here.topics.jobs, *retries]
                names += [here.topics.dead, here.topics.deliveries, here.topics.events_dead]
                groups = {"tocsin.matcher": [EVENTS], "tocsin.sender": [here.topics.jobs, *retries]}
                made = {
                    "topics": {name: list(map(_shown, read_all(broker.bootstrap, name))) for name in names},
                    "commits": _commits(
                        lambda group, topic: committed(broker.bootstrap, group, topic), groups
                    ),
                }
        finally:
            broker.close()
    path.write_text(json.dumps(made, indent=1, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    write(Path(sys.argv[1]))
