"""The demo from beginning to end: start, feed, wait until all is delivered, say what it came to, stop."""

import asyncio
import base64
import os
import secrets
import signal
import tempfile
import time
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import aiohttp
import yaml

from processor.demo import by_hand
from processor.demo.blocking import in_thread
from processor.demo.broker import STOP_TIMEOUT, program, start_broker, wait_for_answer
from processor.demo.children import Child
from processor.demo.errors import DemoError
from processor.demo.feed import Feed
from processor.demo.progress import LOOK_EVERY, Progress, until_complete
from processor.demo.receiver import Receiver
from processor.demo.roles import STOP_TIMEOUT as ROLE_STOP_TIMEOUT
from processor.demo.roles import Role, child_environment
from processor.demo.rules import DemoRules, apply_rules, load_rules
from processor.demo.sample import own_file, read_events
from processor.demo.screen import Screen
from processor.demo.summary import Summary
from processor.kafka import topic_admin
from processor.kafka.cluster import Cluster
from processor.kafka.config import client_config
from processor.kafka.errors import KafkaFailure
from processor.kafka.event_log import EventLog, make_event_topic
from processor.settings import Settings, load_settings

PREFIX: Final = "demo."
EVENT_TOPIC: Final = "demo.event-log"
PARTITIONS: Final = 2
ADMIN_TIMEOUT: Final = 15.0

SAMPLE_RATE: Final = 40.0
INPUT_RATE: Final = 1000.0
"""Events a second, unless it is said: the sample slowly enough to watch, a file in a few seconds."""


@dataclass(frozen=True, slots=True)
class Options:
    """What the command line says; None takes the project's own file, the usual rate, every event."""

    input: Path | None = None
    rules: Path | None = None
    rate: float | None = None
    limit: int | None = None
    keep: bool = False


class Interrupted(Exception):  # noqa: N818  (as people say it)
    """A signal came before the end; everything that was started is stopped."""


def run_demo(options: Options, screen: Screen) -> None:
    """Run it, and leave nothing behind: no process, no file. Main thread only.

    Returns when all went well, and with `keep` after the signal that ends it. Raises DemoError (also
    InputError), Interrupted, and BrokenPipeError when standard output is gone.
    """
    try:
        asyncio.run(_until_signal(_Demo(options, screen)))
    except BrokenPipeError:
        raise
    except (KafkaFailure, OSError) as failure:
        raise DemoError(str(failure)) from None


async def _until_signal(demo: "_Demo") -> None:
    """Run until the end, or until the first SIGINT, SIGTERM or SIGHUP; later ones don't disturb the end.

    The signals stay taken, so that a late one can't spoil the exit code either.
    """
    running = asyncio.ensure_future(demo.run())
    loop = asyncio.get_running_loop()
    received = False

    def end() -> None:
        if not demo.ending:
            running.cancel()

    def note(*_: object) -> None:
        nonlocal received
        if not received:
            received = True
            loop.call_soon_threadsafe(end)

    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, note)
    try:
        await running
    except asyncio.CancelledError:
        if not demo.complete:
            raise Interrupted from None


class _Demo:
    """One run."""

    def __init__(self, options: Options, screen: Screen) -> None:
        self._options = options
        self._screen = screen
        self._begun = time.monotonic()
        self._children: list[Child] = []
        self._feed: Feed | None = None
        self._receiver = Receiver(screen.webhook, self._sent_at)
        self._rules_path = options.rules or own_file("rules")
        self.complete = False
        """Whether the summary was printed: what comes after is only waiting to be ended."""
        self.ending = False
        """Whether everything is being stopped already."""

    async def run(self) -> None:
        """All of it. Cancelled, it stops what it has started."""
        program()  # what is missing or wrong is said before anything starts
        source = self._options.input or own_file("demo/events.ndjson")
        events = read_events(source, self._options.limit)
        async with AsyncExitStack() as stack:
            try:
                await self._show(stack, events)
            finally:
                self.ending = True

    async def _show(self, stack: AsyncExitStack, events: list[bytes]) -> None:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="tocsin-demo-")))
        rules = await self._start_receiver(stack)
        settings, config = await self._start_broker(stack, directory)
        made = await in_thread(lambda: apply_rules(rules, settings))
        self._screen.step("rules", f"{made} from {_shown(self._rules_path)}{_aimed(rules)}")
        session = await stack.enter_async_context(aiohttp.ClientSession())
        matcher, sender = await self._start_roles(stack, config, rules, session)
        sent = await self._feed_all(settings, events)
        self._finish(sent, await until_complete(sent, matcher, sender, self._receiver, self._check))
        if self._options.keep:
            await self._keep(config, settings, (matcher, sender))

    async def _start_broker(self, stack: AsyncExitStack, directory: Path) -> tuple[Settings, Path]:
        broker, address = await start_broker(directory)
        self._children.append(broker)
        stack.push_async_callback(broker.stop, STOP_TIMEOUT)
        config = directory / "tocsin.yaml"
        config.write_text(yaml.safe_dump(_settings_file(address), sort_keys=False))
        settings = load_settings(config, {})
        await wait_for_answer(broker, address)
        self._screen.step("broker", f"noida-db, embedded, at {address}")
        await in_thread(lambda: _make_topics(settings))
        self._screen.step("topics", f"{EVENT_TOPIC} and {len(settings.output_topics)} of Tocsin's own")
        return settings, config

    async def _start_receiver(self, stack: AsyncExitStack) -> DemoRules:
        """Before all else, because where it listens is written into the rules, and those may be wrong."""
        origin = await self._receiver.start()
        stack.push_async_callback(self._receiver.close)
        rules = load_rules(self._rules_path, origin, os.environ, secrets.token_bytes)
        self._receiver.keys = rules.keys
        self._screen.step("receiver", f"{origin}, verifies signatures")
        return rules

    async def _start_roles(
        self, stack: AsyncExitStack, config: Path, rules: DemoRules, session: aiohttp.ClientSession
    ) -> tuple[Role, Role]:
        environ = child_environment(os.environ, rules.secrets)
        roles: list[Role] = []

        async def stop() -> None:
            await asyncio.gather(*(role.child.stop(ROLE_STOP_TIMEOUT) for role in roles))

        stack.push_async_callback(stop)
        for name in ("matcher", "sender"):
            roles.append(await Role.start(name, config, environ, session))
            self._children.append(roles[-1].child)
        for role in roles:
            await role.wait_ready()
            self._screen.step(role.name, f"tocsin run {role.name}, process {role.child.pid}, ready")
        matcher, sender = roles
        return matcher, sender

    async def _feed_all(self, settings: Settings, events: list[bytes]) -> int:
        usual = INPUT_RATE if self._options.input else SAMPLE_RATE
        rate = usual if self._options.rate is None else self._options.rate
        pace = f"{rate:,g} a second" if rate else "as fast as they go"
        self._screen.step("events", f"{len(events):,}, {pace}")
        self._screen.say()
        log = EventLog(client_config(settings.kafka, f"{PREFIX}feed"), EVENT_TOPIC)
        self._feed = Feed(log, secrets.token_bytes(8))
        await self._feed.send(events, rate, self._check)
        return self._feed.sent

    def _finish(self, events: int, progress: Progress) -> None:
        summary = Summary(
            events,
            progress.matches,
            progress.delivered,
            progress.dead,
            progress.cancelled,
            self._receiver.repeats,
            self._receiver.seconds,
            time.monotonic() - self._begun,
        )
        self._screen.say()
        for line in summary.lines():
            self._screen.say(line)
        if summary.dead:
            raise DemoError(f"{summary.dead} webhooks could not be delivered")
        self.complete = True

    async def _keep(self, config: Path, settings: Settings, roles: tuple[Role, Role]) -> None:
        self._screen.show_all()
        self._screen.say()
        for line in by_hand.lines(config, settings, self._receiver.origin, roles):
            self._screen.say(line)
        self._screen.say()
        while True:
            self._check()
            await asyncio.sleep(LOOK_EVERY)

    def _check(self) -> None:
        """Raise if something that should run doesn't any more."""
        self._receiver.check()
        for child in self._children:
            child.check()

    def _sent_at(self, trace: str) -> float | None:
        return self._feed.sent_at(trace) if self._feed is not None else None


def _settings_file(address: str) -> dict[str, object]:
    """The settings of this run, for the roles and for commands by hand."""
    key = base64.b64encode(secrets.token_bytes(32)).decode()
    return {
        "kafka": {"bootstrap_servers": address},
        "topics": {"prefix": PREFIX, "partitions": PARTITIONS},
        "matcher": {"event_topics": [EVENT_TOPIC], "start_from": "earliest"},
        "sender": {"retry_schedule": ["5s", "1m"], "egress": {"allow_cidrs": ["127.0.0.0/8"]}},
        "secrets": {"keys": [f"demo:{key}"]},
        "telemetry": {"listen": "127.0.0.1:0"},
        "process": {"shutdown_timeout": "5s"},
        "logging": {"level": "info", "format": "json"},
    }


def _make_topics(settings: Settings) -> None:
    cluster = Cluster(settings.kafka, settings.topics.name("demo"))
    make_event_topic(cluster, EVENT_TOPIC, PARTITIONS, ADMIN_TIMEOUT)
    for row in topic_admin.apply(settings, cluster, ADMIN_TIMEOUT):
        if row.action == "invalid":
            raise DemoError(f"topic {row.name}: {row.reason}")


def _aimed(rules: DemoRules) -> str:
    return f", {rules.aimed} of them pointed to the receiver" if rules.aimed else ""


def _shown(path: Path) -> str:
    """As short as it can be from here."""
    try:
        return str(path.resolve().relative_to(Path.cwd()))
    except ValueError:
        return str(path)
