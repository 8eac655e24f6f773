"""`tocsin rules reseal` on a broker."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from processor.cli.main import main
from tests.support.brokers import Broker
from tests.support.logs import logging_as_before
from tests.support.records import Record, produce, read_all
from tests.support.rules import KEY, OTHER_KEY, record, ring
from tests.support.topics import create_topic

Command = Callable[..., tuple[int, str, str]]


@pytest.fixture
def topic(broker: Broker, prefix: str) -> str:
    create_topic(broker.bootstrap, f"{prefix}trigger-rules", 1, {"cleanup.policy": "compact"})
    return f"{prefix}trigger-rules"


@pytest.fixture
def reseal(broker: Broker, prefix: str, capsys: pytest.CaptureFixture[str]) -> Command:
    """Runs `rules reseal` with these keys; exit code, standard output and error."""

    def run(keys: list[str], *arguments: str) -> tuple[int, str, str]:
        environ = {
            "TOCSIN_KAFKA__BOOTSTRAP_SERVERS": broker.bootstrap,
            "TOCSIN_TOPICS__PREFIX": prefix,
            "TOCSIN_SECRETS__KEYS": json.dumps(keys),
        }
        with logging_as_before():
            code = main(["rules", "reseal", "--log-format", "json", *arguments], environ)
        out, err = capsys.readouterr()
        return code, out, err

    return run


def stored(broker: Broker, topic: str) -> dict[int, Any]:
    records = {r.key: r.value for r in read_all(broker.bootstrap, topic)}
    return {int(key): json.loads(value) for key, value in records.items() if key and value and key.isdigit()}


def sealed(plain: str, rule_id: int, key: str = KEY) -> dict[str, str]:
    return {"secret": ring(key).seal(plain, rule_id)}


def test_all_secrets_are_sealed_anew_and_the_old_key_is_no_longer_needed(
    broker: Broker, topic: str, reseal: Command
) -> None:
    rules = {
        1: record("a", action_secret=sealed("one", 1)),
        2: record("b", action_secret=[sealed("two", 2), sealed("three", 2, OTHER_KEY)]),
        3: record("c", action_secret="open"),
        4: record("d"),
    }
    produce(broker.bootstrap, topic, [Record(value, b"%d" % key) for key, value in rules.items()])

    code, out, _ = reseal([OTHER_KEY, KEY], "--dry-run", "-o", "json")
    planned = [(row["action"], row["name"], row["id"], row["reason"]) for row in json.loads(out)]
    assert code == 0
    assert planned == [("resealed", name, n, None) for n, name in enumerate("abc", 1)]
    assert stored(broker, topic)[3]["action_secret"] == "open"

    code, out, _ = reseal([OTHER_KEY, KEY], "-o", "json")
    assert code == 0
    assert [(row["action"], row["id"]) for row in json.loads(out)] == [("resealed", n) for n in (1, 2, 3)]
    after, new = stored(broker, topic), ring(OTHER_KEY)
    assert new.open(after[1]["action_secret"]["secret"], 1) == "one"
    assert [new.open(one["secret"], 2) for one in after[2]["action_secret"]] == ["two", "three"]
    assert new.open(after[3]["action_secret"]["secret"], 3) == "open"

    code, out, _ = reseal([OTHER_KEY], "-o", "json")
    assert code == 0
    assert {row["action"] for row in json.loads(out)} == {"unchanged"}


def test_rules_that_no_key_opens_are_named_and_the_others_are_done(
    broker: Broker, topic: str, reseal: Command
) -> None:
    lost = ring("k0:" + KEY[3:]).seal("s", 1)
    produce(
        broker.bootstrap,
        topic,
        [
            Record(record("lost", action_secret={"secret": lost}), b"1"),
            Record(record("fine", action_secret=sealed("s", 2)), b"2"),
            Record(record("broken", foo=1), b"3"),
        ],
    )

    code, out, err = reseal([OTHER_KEY, KEY])
    assert code == 1
    assert [line.split()[:3] for line in out.splitlines()] == [
        ["ACTION", "NAME", "ID"],
        ["failed", "lost", "1"],
        ["resealed", "fine", "2"],
    ]
    assert err.splitlines()[-1] == "tocsin: rules with secrets that can't be opened: lost (1)"
    assert "invalid records are left as they are" in err
    after = stored(broker, topic)
    assert after[1]["action_secret"] == {"secret": lost}
    assert ring(OTHER_KEY).open(after[2]["action_secret"]["secret"], 2) == "s"
