"""Every role from the image, with Kafka in a container: an event becomes a webhook, a signal a clean end."""

import json
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from tests.support.brokers import free_port
from tests.support.docker_broker import DockerBroker, missing
from tests.support.image_processes import WHY_NOT, ImageProcess, can_run
from tests.support.receiver import Answer, Receiver
from tests.support.records import Record, produce
from tests.support.settings import settings_for
from tests.support.topics import create_topic

pytestmark = pytest.mark.skipif(not can_run(), reason=WHY_NOT)

RULE = """\
name: failures
filter_message_regex: (?i)failed
action_type: webhook
action_target: {target}
"""


@pytest.fixture(scope="module")
def kafka() -> Iterator[DockerBroker]:
    if why := missing():
        pytest.skip(why)
    broker = DockerBroker()
    try:
        broker.start()
        yield broker
    finally:
        broker.close()


def test_all_roles_run_from_the_image(
    kafka: DockerBroker, prefix: str, receiver: Receiver, tmp_path: Path
) -> None:
    create_topic(kafka.bootstrap, f"{prefix}event-log", 2)
    token, port = "0123456789abcdef", free_port()
    shared: dict[str, dict[str, Any]] = {
        "admin": {"listen": f"127.0.0.1:{port}", "tokens": {"ops": token}},
        "sender": {"retry_schedule": ["1s"]},
    }
    rules = tmp_path / "rules"
    rules.mkdir()
    (rules / "failures.yaml").write_text(RULE.format(target=receiver.url()))
    tmp_path.chmod(0o755)
    receiver.answer("/hook", Answer(503))

    def command(*arguments: str) -> str:
        settings = settings_for(kafka.bootstrap, prefix, **shared)
        with ImageProcess(*arguments, settings=settings, directory=tmp_path) as process:
            code, out, log = process.wait()
        assert code == 0, log
        return out

    command("topics", "apply")
    assert [
        row["action"] for row in json.loads(command("rules", "apply", "-f", "/given/rules", "-o", "json"))
    ] == ["created"]
    with ExitStack() as stack:
        roles = {
            role: stack.enter_context(
                ImageProcess(
                    "run", role, settings=settings_for(kafka.bootstrap, prefix, **shared), directory=tmp_path
                )
            )
            for role in ("matcher", "sender", "admin")
        }
        for process in roles.values():
            process.wait_ready()
        produce(kafka.bootstrap, f"{prefix}event-log", [Record(b'{"message":"deploy FAILED"}')])
        first, second = receiver.wait_for(2)

        assert first.webhook_id == second.webhook_id
        assert second.json()["trigger_name"] == "failures"
        request = urllib.request.Request(
            f"http://127.0.0.1:{port}/api/v1/trigger-rules", headers={"Authorization": f"Bearer {token}"}
        )
        with urllib.request.urlopen(request, timeout=5.0) as answer:
            assert [rule["name"] for rule in json.load(answer)["items"]] == ["failures"]
        for role, process in roles.items():
            code, seconds = process.stop()
            assert code == 0, role
            assert seconds < 20, role
