"""Fixtures that all tests share; tests/support has the helpers they hand out."""

import re
import signal
import uuid
from collections.abc import Iterator
from pathlib import Path

import hypothesis
import pytest

from tests.support.brokers import Broker, Choice, choose, wanted_broker
from tests.support.processes import Process, Spawn
from tests.support.reaper import REAPER
from tests.support.receiver import Receiver
from tests.support.topics import delete_topics

CHOICE = pytest.StashKey[Choice]()


# A property holds or it doesn't; how long an example takes says something about the machine.
hypothesis.settings.register_profile("tests", deadline=None)
hypothesis.settings.load_profile("tests")


def pytest_configure(config: pytest.Config) -> None:
    # A shell that starts the tests in the background has them ignore it, and what they start would too.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        config.stash[CHOICE] = choose(wanted_broker())
    except ValueError as error:
        raise pytest.UsageError(str(error)) from None


def pytest_unconfigure() -> None:
    REAPER.close()


def pytest_report_header(config: pytest.Config) -> str:
    choice = config.stash[CHOICE]
    kind = f"{choice.kind} {choice.address}".strip()
    return f"broker: {kind}" + (f" ({choice.why})" if choice.why else "")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Marks what uses a broker, and skips what the embedded one can't prove."""
    reason = (
        "needs Apache Kafka itself; the embedded broker (noida-db) has gaps that this test would fall into"
    )
    for item in items:
        if {"broker", "own_broker"} & set(getattr(item, "fixturenames", ())):
            item.add_marker(pytest.mark.kafka)
        if not config.stash[CHOICE].real and item.get_closest_marker("real_kafka"):
            item.add_marker(pytest.mark.skip(reason=reason))


@pytest.fixture(scope="session")
def broker(pytestconfig: pytest.Config, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Broker]:
    """The run's broker, for tests that leave it alone: use own topics (see `prefix`), never stop it."""
    yield from _running(pytestconfig.stash[CHOICE], tmp_path_factory.mktemp("broker"))


@pytest.fixture
def own_broker(pytestconfig: pytest.Config, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Broker]:
    """A broker of this test's own, to be stopped, killed and restarted at will. Costs about 5 s."""
    if pytestconfig.stash[CHOICE].kind == "external":
        pytest.skip("the broker that TOCSIN_TEST_BROKER names is not the tests' to stop")
    yield from _running(pytestconfig.stash[CHOICE], tmp_path_factory.mktemp("own-broker"))


def _running(choice: Choice, directory: Path) -> Iterator[Broker]:
    REAPER.adopt("directory", directory)
    broker = choice.create(directory)
    try:
        broker.start()
        yield broker
    finally:
        broker.close()
        REAPER.release("directory", directory)


@pytest.fixture
def prefix(request: pytest.FixtureRequest) -> Iterator[str]:
    """A topics.prefix that no other test has, such as `applies-twice-3f9c1a.`.

    Its topics are deleted after the test, those on the test's own broker excepted: they go with it.
    """
    name = re.sub(r"[^a-z0-9]+", "-", request.node.name.lower().removeprefix("test_"))[:40].strip("-")
    prefix = f"{name}-{uuid.uuid4().hex[:6]}."
    shared: Broker | None = request.getfixturevalue("broker") if "broker" in request.fixturenames else None
    yield prefix
    if shared is not None:
        delete_topics(shared.bootstrap, prefix)


@pytest.fixture
def spawn(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Spawn]:
    """Starts `tocsin …` as real processes: `spawn("run", "matcher", settings=settings)` -> Process.

    What still runs at the end of the test is killed. Of a failed test, the ends of the logs are printed.
    """
    started: list[Process] = []

    def start(*arguments: str, **options: object) -> Process:
        process = Process(*arguments, directory=tmp_path, **options)  # type: ignore[arg-type]
        started.append(process)
        return process

    yield start
    for process in started:
        process.kill()
        print(f"--- {process.name} (exit code {process.returncode})\n{process.log()[-4000:]}")


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    """A local HTTP server that records what it gets and answers as it is told (200 when it isn't)."""
    with Receiver() as server:
        yield server
