"""Fixtures of the tests of commands that read and write rules."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.brokers import Broker
from tests.support.records import Record, produce
from tests.support.rules import KEY
from tests.support.rules_commands import Tocsin
from tests.support.topics import create_topic


@pytest.fixture
def tocsin(broker: Broker, prefix: str, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Tocsin:
    create_topic(broker.bootstrap, f"{prefix}trigger-rules", 1, {"cleanup.policy": "compact"})
    environ = {
        "TOCSIN_KAFKA__BOOTSTRAP_SERVERS": broker.bootstrap,
        "TOCSIN_TOPICS__PREFIX": prefix,
        "TOCSIN_SECRETS__KEYS": json.dumps([KEY]),
    }
    return Tocsin(environ, capsys, tmp_path)


@pytest.fixture
def plain(broker: Broker, prefix: str) -> Callable[..., None]:
    """Writes records as a plain producer does."""

    def write(*records: tuple[bytes, bytes | None]) -> None:
        produce(broker.bootstrap, f"{prefix}trigger-rules", [Record(value, key) for key, value in records])

    return write
