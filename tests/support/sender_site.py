"""A running sender with its topics and a receiver, for a module of tests that take a rule each."""

import itertools
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from tests.support.brokers import Broker
from tests.support.installation import Installation
from tests.support.processes import Process
from tests.support.receiver import Receiver
from tests.support.topics import delete_topics

_rule_ids = itertools.count(1)


class Hook(NamedTuple):
    """A rule's id, and the path and URL that are its receiver."""

    rule_id: int
    path: str
    url: str


class SenderSite(NamedTuple):
    """What is running; a test asks for a `hook` of its own, writes the rule and adds jobs."""

    here: Installation
    receiver: Receiver
    sender: Process

    def hook(self) -> Hook:
        """A rule id and a path that no other test uses."""
        number = next(_rule_ids)
        path = f"/hook/{number}"
        return Hook(number, path, self.receiver.url(path))


@contextmanager
def sender_site(
    broker: Broker,
    directory: Path,
    *,
    env: Mapping[str, str] | None = None,
    **groups: Mapping[str, Any],
) -> Iterator[SenderSite]:
    """A sender that is ready, with settings `groups` and environment `env`; on failure its log is printed."""
    prefix = f"sender-{uuid.uuid4().hex[:6]}."
    with Receiver() as receiver, Installation(broker.bootstrap, prefix, **groups) as here:
        sender = Process("run", "sender", directory=directory, settings=here.settings(), env=env)
        try:
            yield SenderSite(here, receiver, sender.wait_ready())
        finally:
            sender.kill()
            print(f"--- {sender.name} (exit code {sender.returncode})\n{sender.log()[-4000:]}")
    delete_topics(broker.bootstrap, prefix)
