"""Each job is attempted until it is delivered or dead, whatever happens to the senders and to the broker.

Two senders share the job partitions while a seeded plan kills them (SIGKILL), freezes them for longer than
their session lasts (zombies that wake up and go on), or kills the broker. The receiver fails every third
request and writes down who sent what when; that and the topics, read with read_committed, must explain each
other.
"""

import os
import random
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import pytest

from tests.support.brokers import Broker
from tests.support.chaos import Step, Victim, carry_out, plan_for
from tests.support.installation import Installation, Job
from tests.support.offsets import lag
from tests.support.processes import Process, Spawn
from tests.support.receiver import Answer, Receiver
from tests.support.repeats import (
    AttemptKey,
    Committed,
    Copy,
    Interruption,
    broken_histories,
    unexcused,
)
from tests.support.waiting import wait_until

pytestmark = pytest.mark.real_kafka

PARTITIONS = 6
MAX_IN_FLIGHT = 50
LIVING, MORTAL = 1, 2
"""Two rules: one has attempts enough that no job of it dies, the other two, so that about a ninth dies."""

REJOINED_WITHIN = 20.0
"""Seconds after a broker's return until each sender knows again what it owns: sessions end meanwhile."""


@dataclass(frozen=True)
class Size:
    """How large the test is; `seconds` to feed the jobs in."""

    jobs: int
    seconds: float
    gap: float
    kills: int
    freezes: int
    patience: float


TENTH = Size(2_000, 14.0, 1.5, 1, 1, 120.0)
SHORT = Size(1_000, 7.0, 1.5, 0, 0, 120.0)
WHOLE = Size(20_000, 120.0, 4.0, 5, 3, 600.0)


def sizes(small: Size) -> pytest.MarkDecorator:
    """Run in a small size and, as a soak test, in whole."""
    whole = pytest.param(WHOLE, id="whole", marks=pytest.mark.soak)
    return pytest.mark.parametrize("size", [pytest.param(small, id="tenth"), whole])


@pytest.fixture
def dice() -> random.Random:
    """Another run each time; TOCSIN_TEST_SEED repeats one."""
    seed = int(os.environ.get("TOCSIN_TEST_SEED") or random.randrange(1_000_000))
    print(f"seed: TOCSIN_TEST_SEED={seed}")
    return random.Random(seed)


class Senders:
    """Two of them; each process signs its requests with a name of its own, and each blow is written down."""

    def __init__(self, here: Installation, spawn: Spawn) -> None:
        self._here = here
        self._spawn = spawn
        self._started: dict[str, int] = {}
        self.interruptions: list[Interruption] = []
        self.victims = [Sender(name, self) for name in "ab"]
        for victim in self.victims:
            victim.process.wait_ready()

    def start(self, name: str) -> Process:
        """The next process in this place."""
        self._started[name] = self._started.get(name, 0) + 1
        return self._spawn(
            "run",
            "sender",
            settings=self._here.settings(logging={"level": "warning"}),
            env={"TOCSIN_SECRET_SENDER": self.running(name)},
            name=self.running(name),
        )

    def running(self, name: str) -> str:
        """What the process in this place calls itself."""
        return f"{name}{self._started[name]}"


class Sender(Victim):
    """A place for a sender."""

    def __init__(self, name: str, senders: Senders) -> None:
        self._senders = senders
        self._frozen_at = 0.0
        super().__init__(name, lambda: senders.start(name))

    def kill(self) -> None:
        """SIGKILL."""
        self._note("killed", time.time())
        super().kill()

    def freeze(self) -> None:
        """SIGSTOP."""
        super().freeze()
        self._frozen_at = time.time()

    def thaw(self) -> None:
        """SIGCONT."""
        self._note("frozen", self._frozen_at, time.time())
        super().thaw()

    def _note(self, what: str, at: float, until: float | None = None) -> None:
        name = self._senders.running(self.name)
        self._senders.interruptions.append(Interruption(name, what, at, until))


class Feed:
    """Adds jobs evenly over some seconds, each tenth one of the rule whose jobs may die."""

    def __init__(self, here: Installation, size: Size) -> None:
        self._here = here
        self._size = size
        self.jobs: list[Job] = []

    def go_on(self, gone: float) -> None:
        """Add what is due `gone` seconds after the start."""
        due = min(self._size.jobs, int(self._size.jobs * gone / self._size.seconds))
        if due - len(self.jobs) < min(self._size.jobs // 100, self._size.jobs - len(self.jobs)):
            time.sleep(0.01)  # the pace of the feed; nothing waits for it
            return
        numbers = range(len(self.jobs), due)
        self.jobs += self._here.add(self._here.job(MORTAL if n % 10 == 0 else LIVING) for n in numbers)

    def finish(self) -> None:
        """Add the rest."""
        self.go_on(self._size.seconds)
        assert len(self.jobs) == self._size.jobs


@pytest.fixture
def here(request: pytest.FixtureRequest, prefix: str) -> Iterator[Installation]:
    broker: Broker = request.getfixturevalue(
        "own_broker" if "own_broker" in request.fixturenames else "broker"
    )
    with Installation(
        broker.bootstrap,
        prefix,
        topics={"partitions": PARTITIONS},
        # The last wait repeats: a short one, for those that fail again and again.
        sender={"retry_schedule": ["1s", "2s", "3s", "1s"], "max_in_flight": MAX_IN_FLIGHT},
    ) as installation:
        yield installation


@pytest.fixture
def failing(here: Installation, receiver: Receiver) -> Receiver:
    """A receiver that fails every third request."""
    receiver.answer_by("/hook", lambda nth, _: Answer(500 if nth % 3 == 2 else 200, delay=0.05))
    name = {"x-sender": {"ref": "env:TOCSIN_SECRET_SENDER"}}
    here.put_rule(LIVING, receiver.url(), delivery={"headers": name, "max_attempts": 30})
    here.put_rule(MORTAL, receiver.url(), delivery={"headers": name, "max_attempts": 2})
    return receiver


@sizes(TENTH)
def test_killed_and_frozen_senders_deliver_every_job_and_repeat_only_what_was_not_committed(
    here: Installation, failing: Receiver, spawn: Spawn, dice: random.Random, size: Size
) -> None:
    senders, feed = Senders(here, spawn), Feed(here, size)
    steps = [
        step
        for victim in senders.victims
        for step in plan_for(victim, dice, size.gap, size.kills, size.freezes)
    ]
    carry_out([*steps, Step(size.seconds, "fed", lambda: None)], feed.go_on)
    feed.finish()
    wait_for_the_end(here, feed.jobs, size.patience)
    for victim in senders.victims:
        victim.stop()
    judge(here, failing, feed.jobs, senders.interruptions)


@sizes(SHORT)
def test_broker_that_is_killed_in_the_middle_loses_no_job_and_forks_none(
    own_broker: Broker,
    here: Installation,
    failing: Receiver,
    spawn: Spawn,
    dice: random.Random,
    size: Size,
) -> None:
    senders, feed = Senders(here, spawn), Feed(here, size)
    away = dice.uniform(0.2, 0.5) * size.seconds
    carry_out([Step(away, "the broker dies", own_broker.kill)], feed.go_on)
    killed = time.time()
    own_broker.start()
    back = time.time()
    began = time.monotonic() - away
    carry_out([Step(size.seconds, "fed", lambda: None)], lambda _: feed.go_on(time.monotonic() - began))
    feed.finish()
    wait_for_the_end(here, feed.jobs, size.patience)
    # A member that could not reach the group for a session has lost its partitions.
    senders.interruptions.append(Interruption("", "broker away", killed, back + REJOINED_WITHIN))
    for victim in senders.victims:
        victim.stop()
    judge(here, failing, feed.jobs, senders.interruptions)


def wait_for_the_end(here: Installation, jobs: list[Job], patience: float) -> None:
    """Wait until every job has ended and nothing is left in any job topic."""

    topics = [here.topics.jobs, *(here.topics.retry(delay) for delay in here.model.sender.tiers)]
    group = here.topics.group("sender")

    def ended() -> int:
        return sum(record["outcome"] in ("delivered", "dead") for record in here.audit())

    def state() -> str:
        left = {topic.removeprefix(here.prefix): lag(here.bootstrap, group, topic) for topic in topics}
        return f"{ended()} of {len(jobs)} ended, lag {left}"

    wait_until(lambda: ended() >= len(jobs), patience, state, every=0.5)
    wait_until(lambda: sum(lag(here.bootstrap, group, topic) for topic in topics) == 0, 30, state, every=0.5)


def judge(here: Installation, receiver: Receiver, jobs: list[Job], interruptions: list[Interruption]) -> None:
    """What the receiver saw and what the topics hold must explain each other."""
    committed = list(committed_attempts(here))
    copies = [
        Copy(
            AttemptKey(request.webhook_id, int(request.headers["webhook-attempt"])),
            request.headers["x-sender"],
            int(request.headers["webhook-timestamp"]),
            request.time,
        )
        for request in receiver.requests()
    ]
    print(
        f"{len(jobs)} jobs, {len(copies)} requests of {len(committed)} attempts, so "
        f"{len(copies) - len(committed)} repeated; {[(one.sender, one.what) for one in interruptions]}"
    )
    show_none(broken_histories(committed, [job.id for job in jobs]))
    show_none(unexcused(copies, committed, interruptions))

    delivered = [record.key.job_id for record in committed if record.outcome == "delivered"]
    dead = [record.header("tocsin-job-id") for record in here.dead()]
    print(f"{len(jobs)} jobs = {len(delivered)} delivered + {len(dead)} dead")
    assert len(delivered) + len(dead) == len(jobs)
    assert {*delivered, *dead} == {job.id for job in jobs}
    # Each dead one had its two attempts; all others were delivered.
    assert {record.header("tocsin-rule-id") for record in here.dead()} <= {str(MORTAL)}


def committed_attempts(here: Installation) -> Iterator[Committed]:
    """The audit topic, without what was only put off: no attempt was made of it."""
    for stored, record in zip(here.audit_records(), here.audit(), strict=True):
        if record["outcome"] == "deferred":
            continue
        key = AttemptKey(record["job_id"], record["attempt"])
        yield Committed(key, record["outcome"], record["started_at_ms"] / 1000, stored.timestamp_ms / 1000)


def show_none(faults: Iterable[str]) -> None:
    """Fail with the first few of them."""
    found = list(faults)
    assert not found, "\n".join([f"{len(found)} in all", *found[:10]])
