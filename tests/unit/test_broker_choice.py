"""Which broker a test run takes."""

from pathlib import Path

import pytest

from tests.support import docker_broker, embedded_broker, java_broker
from tests.support.brokers import ExternalBroker, choose


@pytest.mark.parametrize(
    ("docker", "java", "taken", "why"),
    [
        (None, None, "docker", ""),
        ("no engine", None, "java", "no docker: no engine"),
        ("no engine", "no java", "embedded", "no docker: no engine; no java: no java"),
    ],
)
def test_auto_takes_the_first_that_is_there_and_says_why(
    monkeypatch: pytest.MonkeyPatch, docker: str | None, java: str | None, taken: str, why: str
) -> None:
    monkeypatch.setattr(docker_broker, "missing", lambda: docker)
    monkeypatch.setattr(java_broker, "missing", lambda: java)
    monkeypatch.setattr(embedded_broker, "missing", lambda: None)

    choice = choose("auto")

    assert (choice.kind, choice.why) == (taken, why)
    assert choice.real == (taken != "embedded")


def test_a_broker_that_was_asked_for_and_is_not_there_is_no_other_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(docker_broker, "missing", lambda: "no engine")

    with pytest.raises(ValueError, match="TOCSIN_TEST_BROKER=docker: no engine"):
        choose("docker")


def test_a_broker_that_is_already_there_is_never_stopped(tmp_path: Path) -> None:
    broker = choose("kafka.test:9093").create(tmp_path)

    assert isinstance(broker, ExternalBroker)
    assert broker.bootstrap == "kafka.test:9093"
    for end in (broker.stop, broker.kill, broker.restart):
        with pytest.raises(RuntimeError):
            end()


@pytest.mark.parametrize("wanted", ["kafka", "host:", ":9092", "host:port", "Docker"])
def test_anything_else_is_refused(wanted: str) -> None:
    with pytest.raises(ValueError, match="use auto, docker, java, embedded or host:port"):
        choose(wanted)
