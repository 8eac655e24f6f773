"""What `--keep` prints: commands that work as they stand, for a rule and an event by hand."""

import json
import shlex
import shutil
import sys
from collections.abc import Iterable
from pathlib import Path

from processor.demo.roles import Role
from processor.settings import Settings

_EVENT = {"severity": "info", "source": "me", "message": "hello"}


def lines(config: Path, settings: Settings, origin: str, roles: Iterable[Role]) -> Iterable[str]:
    """The commands, and where else there is something to see."""
    bootstrap, (topic, *_) = settings.kafka.bootstrap_servers, settings.matcher.event_topics
    rule = {
        "name": "mine",
        "filter_message_regex": "hello",
        "action_type": "webhook",
        "action_target": f"{origin}/mine",
    }
    yield "It goes on running; Ctrl-C ends it. In another terminal, add a rule:"
    yield ""
    yield f"  echo {_quoted(rule)} | {tocsin()} --config {shlex.quote(str(config))} rules apply -f -"
    yield ""
    yield "and send an event that it fires on:"
    yield ""
    if shutil.which("kcat"):
        yield f"  echo {_quoted(_EVENT)} | kcat -P -b {bootstrap} -t {topic}"
        yield ""
        yield "or without kcat:"
        yield ""
    python = f"{shlex.quote(sys.executable)} -c {shlex.quote(_produce(bootstrap, topic))}"
    yield f"  echo {_quoted(_EVENT)} | {python}"
    yield ""
    for role in roles:
        yield f"{role.name:<8} {role.telemetry}/metrics, log {role.child.log}"


def tocsin() -> str:
    """The command that runs this code, as short as it works in another terminal."""
    for found in (Path(sys.executable).with_name("tocsin"), Path(sys.argv[0]).resolve()):
        if found.name == "tocsin" and found.is_file():
            on_path = shutil.which("tocsin")
            same = on_path is not None and Path(on_path).resolve() == found.resolve()
            return "tocsin" if same else shlex.quote(str(found))
    return "tocsin"


def _produce(bootstrap: str, topic: str) -> str:
    return (
        "import sys; from confluent_kafka import Producer; "
        f'p = Producer({{"bootstrap.servers": "{bootstrap}"}}); '
        f'p.produce("{topic}", sys.stdin.read().strip()); p.flush()'
    )


def _quoted(value: object) -> str:
    return shlex.quote(json.dumps(value))
